package io.github.vfio4j;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Why a device could not be opened, and what to do next. The kernel's errno alone does not tell: sysfs is asked too, but
 * only once something has failed.
 */
final class Diagnosis {

    private static final String VFIO_PCI = "vfio-pci";
    private static final String NO_FUNCTION = "There is no PCI function at this address; 'lspci -D' lists those there"
            + " are";

    private static final String NO_MEDIATED_DEVICE = "There is no mediated device of this name with a driver; 'ls"
            + " /sys/bus/mdev/devices' lists those there are, and writing a UUID to its type's 'create' makes one";

    private Diagnosis() {
    }

    /** The function has no IOMMU group, perhaps because it does not exist. */
    static VfioException noIommuGroup(PciDevice function) {
        if (!function.exists()) {
            return new VfioException("open " + function, Errno.ENODEV, NO_FUNCTION);
        }
        return new VfioException("open " + function, null, "The function is in no IOMMU group: turn the IOMMU on in the"
                + " firmware and boot with intel_iommu=on or amd_iommu=on");
    }

    /** There is no mediated device of that name, or none in a group. */
    static VfioException noMediatedDevice(UUID uuid) {
        return new VfioException("open mediated device " + uuid, Errno.ENODEV, NO_MEDIATED_DEVICE);
    }

    /** VFIO_GROUP_GET_DEVICE_FD of a mediated device. */
    static Map<Errno, String> mediatedDeviceOpen() {
        return Map.of(Errno.ENODEV, NO_MEDIATED_DEVICE);
    }

    /** VFIO_GROUP_GET_DEVICE_FD of a device of any bus. */
    static Map<Errno, String> namedDeviceOpen(int group) {
        return Map.of(Errno.ENODEV, "The group has no device of this name with a VFIO driver; 'ls"
                + " /sys/kernel/iommu_groups/" + group + "/devices' lists those it has");
    }

    /** open(2) of /dev/vfio/N. */
    static Map<Errno, String> groupOpen(String path, @Nullable PciDevice function) {
        String bind = function == null ? "None of the group's functions is bound to vfio-pci" : noGroup(path, function);
        return Map.of(Errno.ENOENT, bind, Errno.ENODEV, bind, Errno.EBUSY,
                "The group is in use: one process at a time can have it open ('fuser -v " + path + "' shows which)",
                Errno.EACCES, noAccess(path), Errno.EPERM, noAccess(path));
    }

    private static String noAccess(String path) {
        return "This user may not open the group: 'chown $USER " + path + "' as root gives it to you";
    }

    private static String noGroup(String path, PciDevice function) {
        return isBound(function)
                ? function + " is bound to vfio-pci, but its group's file is not here: hand it to the container this"
                        + " runs in ('docker run --device " + path + "' for one)"
                : notBound(function);
    }

    private static String noDevice(PciDevice function, int group) {
        OptionalInt ownGroup = function.iommuGroup();
        if (!function.exists()) {
            return NO_FUNCTION;
        }
        if (ownGroup.isPresent() && ownGroup.getAsInt() != group) {
            return function + " is not in group " + group + " but in group " + ownGroup.getAsInt()
                    + ": open it through that one";
        }
        return isBound(function) ? "vfio-pci has no device for it; see dmesg" : notBound(function);
    }

    private static boolean isBound(PciDevice function) {
        return function.driver().filter(VFIO_PCI::equals).isPresent();
    }

    private static String notBound(PciDevice function) {
        Optional<String> driver = function.driver();
        String state = driver.map(name -> "is bound to " + name + ", not to vfio-pci").orElse("is bound to no driver");
        String unbind = driver.isPresent()
                ? "echo " + function + " > /sys/bus/pci/devices/" + function + "/driver/unbind; "
                : "";
        return function + " " + state + ". As root: echo vfio-pci > /sys/bus/pci/devices/" + function
                + "/driver_override; " + unbind + "echo " + function + " > /sys/bus/pci/drivers_probe";
    }

    /** A group that can't be used as it is. */
    static VfioException notViable(int group) {
        return new VfioException("use group " + group, null, viability(group));
    }

    private static String viability(int group) {
        return "The group is not viable: a host driver holds one of its devices. Bind every function in"
                + " /sys/kernel/iommu_groups/" + group + "/devices to vfio-pci or to no driver";
    }

    /** VFIO_GROUP_SET_CONTAINER. */
    static Map<Errno, String> setContainer(int group) {
        return Map.of(Errno.EPERM, viability(group), Errno.EBUSY, viability(group));
    }

    /** VFIO_GROUP_GET_DEVICE_FD. */
    static Map<Errno, String> deviceOpen(PciDevice function, int group, boolean tokenGiven) {
        Map<Errno, String> remedies = new HashMap<>();
        Optional<PciAddress> physicalFunction = function.physicalFunction();
        String whose = physicalFunction.map(pf -> "that of its physical function " + pf)
                .orElse("the present one, and virtual functions of it are in use");
        remedies.put(Errno.EACCES,
                tokenGiven
                        ? "The VF token is not " + whose + ": ask its owner for the right one"
                        : physicalFunction.isPresent()
                                ? "The function needs " + whose.replace("that", "the VF token")
                                        + ", which its owner sets: open it with that token"
                                : "Virtual functions of it are in use: open it with the present VF token");
        remedies.put(Errno.EINVAL, tokenGiven
                ? "The function takes no VF token: it is no SR-IOV function with its physical function on vfio-pci."
                        + " Open it without one"
                : "Its group is not viable or has left its container");
        remedies.put(Errno.ENODEV, noDevice(function, group));
        return remedies;
    }
}
