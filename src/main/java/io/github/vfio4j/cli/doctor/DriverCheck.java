package io.github.vfio4j.cli.doctor;

import java.util.List;
import java.util.stream.Collectors;

/** Whether the device is bound to a driver of VFIO; of the whole machine, whether any is. */
final class DriverCheck implements Check {

    @Override
    public String name() {
        return "driver";
    }

    @Override
    public Finding examine(Examination on) {
        Device device = on.device();
        return device == null ? machine(on.files()) : device(device);
    }

    private Finding device(Device device) {
        if (device.isBound()) {
            return ok(device + " is bound to " + device.driver().orElse("a driver of VFIO"));
        }
        if (!device.isPci()) {
            return problem(device + " has no driver of VFIO: make it anew, and see dmesg", Fix.NONE);
        }
        if (device.isBridge()) {
            return problem(device + " is a bridge, and vfio-pci takes endpoints only: choose a device behind it",
                    Fix.byUser("lspci -t -D"));
        }
        if (device.group().isEmpty()) {
            return unknown(device + " " + device.binding() + "; vfio-pci takes it only once it is in an IOMMU group",
                    Fix.NONE);
        }
        return problem(device + " " + device.binding()
                + (device.driver().isPresent()
                        ? "; see first that nothing here uses it (disks, network interfaces)"
                        : ""),
                Fix.byRoot(device.bind()));
    }

    private Finding machine(SystemFiles files) {
        List<Device> functions = DeviceList.usable(files);
        List<Device> bound = functions.stream().filter(Device::isBound).toList();
        if (!bound.isEmpty()) {
            return ok((bound.size() == 1 ? "1 function is" : bound.size() + " functions are")
                    + " bound to a driver of VFIO: "
                    + bound.stream().map(Device::toString).collect(Collectors.joining(", ")));
        }
        if (functions.isEmpty()) {
            return unknown("There is no PCI function in an IOMMU group", Fix.NONE);
        }
        String first = functions.stream().filter(function -> function.driver().isEmpty()).findFirst()
                .map(Device::toString).orElse("DEVICE");
        return problem("No PCI function is bound to vfio-pci; choose one of the " + functions.size() + " there are",
                Fix.byUser("vfio4j doctor " + first));
    }
}
