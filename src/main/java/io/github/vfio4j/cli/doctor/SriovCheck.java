package io.github.vfio4j.cli.doctor;

import java.util.Optional;

/** What SR-IOV asks for: of a virtual function the VF token, of a physical one that vfio-pci may create virtual ones. */
final class SriovCheck implements Check {

    private static final String ENABLE = "/sys/module/vfio_pci/parameters/enable_sriov";

    @Override
    public String name() {
        return "sriov";
    }

    @Override
    public Finding examine(Examination on) {
        Device device = on.device();
        if (device == null) {
            return notApplicable("Name a device to see what SR-IOV asks for");
        }
        Optional<Device> owner = device.physicalFunction();
        if (owner.isPresent()) {
            return virtualFunction(device, owner.get());
        }
        return device.totalVfs().map(total -> physicalFunction(on, device, total))
                .orElseGet(() -> notApplicable(device + " has no SR-IOV"));
    }

    /** Semantics §D.4. */
    private Finding virtualFunction(Device device, Device owner) {
        if (!owner.driver().filter(Device.VFIO_PCI::equals).isPresent()) {
            return ok("Its physical function " + owner + " is not on vfio-pci, so it opens without a VF token");
        }
        return unknown(
                "Its physical function " + owner + " is on vfio-pci, so it opens only with the VF token that the"
                        + " owner of that has set: ask for it, and see whether it is the right one",
                Fix.byUser("vfio4j token check " + device + " --file vf-token"));
    }

    private Finding physicalFunction(Examination on, Device device, int total) {
        String functions = device + " has " + device.numVfs() + " of " + total + " virtual functions";
        boolean off = on.files().read(ENABLE).filter("N"::equals).isPresent();
        return off && device.driver().filter(Device.VFIO_PCI::equals).isPresent()
                ? note(functions + ", and vfio-pci creates none (ENOENT) until it is told to",
                        Fix.byRoot("echo 1 > " + ENABLE))
                : ok(functions);
    }
}
