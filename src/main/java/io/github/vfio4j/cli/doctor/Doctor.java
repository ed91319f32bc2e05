package io.github.vfio4j.cli.doctor;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioException;
import java.util.List;
import java.util.UUID;

/**
 * What stands between a user and a working device, in the order in which it has to be put right. It reads files, and opens
 * the device's group for a moment to see whether somebody has it; nothing is changed, and no device is opened.
 */
public final class Doctor {

    private static final List<Check> CHECKS = List.of(new IommuCheck(), new ModuleCheck(), new DriverCheck(),
            new GroupCheck(), new PermissionCheck(), new UseCheck(), new MemlockCheck(), new SriovCheck(),
            new NativeAccessCheck(), new KernelCheck());

    private Doctor() {
    }

    /** Examines the machine as a whole. */
    public static Report examine(Machine machine) {
        return machine.isLinux()
                ? new Report("This machine: " + machine, findings(new Examination(machine, null)),
                        DeviceList.describe(machine), "'vfio4j doctor DEVICE' examines a device")
                : elsewhere(machine);
    }

    /**
     * Examines a PCI function.
     *
     * @throws VfioException
     *             {@code ENODEV} if there is none at the address
     */
    public static Report examine(Machine machine, PciAddress function) throws VfioException {
        return examine(machine, Device.pci(machine.files(), function), function.toString(),
                "There is no PCI function at this address; 'lspci -D' lists those there are");
    }

    /**
     * Examines a mediated device.
     *
     * @throws VfioException
     *             {@code ENODEV} if there is none of that name
     */
    public static Report examine(Machine machine, UUID mediatedDevice) throws VfioException {
        // Not repeated where there is none: it may be a VF token that has got into the wrong place.
        return examine(machine, Device.mediated(machine.files(), mediatedDevice), "a mediated device",
                "There is none with this UUID; 'ls /sys/bus/mdev/devices' lists those there are, and writing a UUID to"
                        + " its type's 'create' makes one");
    }

    private static Report examine(Machine machine, Device device, String called, String none) throws VfioException {
        if (!machine.isLinux()) {
            return elsewhere(machine);
        }
        if (!device.exists()) {
            throw new VfioException("examine " + called, Errno.ENODEV, none);
        }
        return new Report(device + device.id().map(id -> " (" + id + ")").orElse("") + ": " + machine,
                findings(new Examination(machine, device)), List.of(),
                "'vfio4j features " + device + "' shows what it can do");
    }

    private static List<Finding> findings(Examination examination) {
        return CHECKS.stream().map(check -> check.examine(examination)).toList();
    }

    /** Where the files of Linux are not even asked for. */
    private static Report elsewhere(Machine machine) {
        return new Report("This machine: " + machine,
                List.of(new Finding("system", Outcome.PROBLEM,
                        "VFIO is an interface of the Linux kernel, and this is " + machine.system()
                                + ": the emulated kernel runs here too",
                        Fix.byUser("vfio4j doctor --emulated", "vfio4j demo"))),
                List.of(), "");
    }
}
