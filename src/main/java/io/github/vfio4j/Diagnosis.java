package io.github.vfio4j;

import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Why a device could not be opened, and what to do next. The kernel's errno alone does not tell: sysfs is asked too, but
 * only once something has failed.
 */
final class Diagnosis {

    static final String VFIO_PCI = "vfio-pci";
    private static final String NO_FUNCTION = "There is no PCI function at this address; 'lspci -D' lists those there"
            + " are";

    private static final String NO_MEDIATED_DEVICE = "There is no mediated device of this name with a driver; 'ls"
            + " /sys/bus/mdev/devices' lists those there are, and writing a UUID to its type's 'create' makes one";

    private static final String NO_TOKEN_TAKEN = "The function takes no VF token: it is no SR-IOV function with its physical"
            + " function on vfio-pci. Open it without one";

    /** Something that takes a call to find out. */
    interface Question {
        boolean ask() throws VfioException;
    }

    private Diagnosis() {
    }

    /** The function has no IOMMU group, perhaps because it does not exist. */
    static VfioException noIommuGroup(PciDevice function) throws VfioException {
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
    static Map<Errno, String> groupOpen(String path, @Nullable PciDevice function) throws VfioException {
        String bind = function == null ? "None of the group's functions is bound to vfio-pci" : noGroup(path, function);
        return Map.of(Errno.ENOENT, bind, Errno.ENODEV, bind, Errno.EBUSY,
                "The group is in use: one process at a time can have it open ('fuser -v " + path + "' shows which)",
                Errno.EACCES, noAccess(path), Errno.EPERM, noAccess(path));
    }

    private static String noAccess(String path) {
        return "This user may not open the group: 'chown $USER " + path + "' as root gives it to you";
    }

    private static String noGroup(String path, PciDevice function) throws VfioException {
        return isBound(function)
                ? function + " is bound to vfio-pci, but its group's file is not here: hand it to the container this"
                        + " runs in ('docker run --device " + path + "' for one)"
                : notBound(function);
    }

    private static String noDevice(PciDevice function, int group) throws VfioException {
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

    private static boolean isBound(PciDevice function) throws VfioException {
        return function.driver().filter(VFIO_PCI::equals).isPresent();
    }

    private static String notBound(PciDevice function) throws VfioException {
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
        return Map.of(Errno.EPERM, viability(group), Errno.EBUSY, viability(group), Errno.EINVAL,
                "What is mapped in the container lies where devices of the group have no addresses, or their IOMMU does not"
                        + " go with that of the devices there: unmap it, open all devices before anything is mapped, or"
                        + " open this one through a container of its own");
    }

    /** VFIO_GROUP_GET_DEVICE_FD. */
    static Map<Errno, String> deviceOpen(PciDevice function, int group, boolean tokenGiven) throws VfioException {
        Map<Errno, String> remedies = new HashMap<>();
        remedies.put(Errno.EACCES, token(function, tokenGiven));
        remedies.put(Errno.EINVAL, tokenGiven ? NO_TOKEN_TAKEN : "Its group is not viable or has left its container");
        remedies.put(Errno.ENODEV, noDevice(function, group));
        return remedies;
    }

    /** Why a token is not the right one, or none is not enough. */
    private static String token(PciDevice function, boolean tokenGiven) throws VfioException {
        Optional<PciAddress> physicalFunction = function.physicalFunction();
        String whose = physicalFunction.map(pf -> "that of its physical function " + pf)
                .orElse("the present one, and virtual functions of it are in use");
        if (tokenGiven) {
            return "The VF token is not " + whose + ": ask its owner for the right one";
        }
        return physicalFunction.isPresent()
                ? "The function needs " + whose.replace("that", "the VF token")
                        + ", which its owner sets: open it with that" + " token"
                : "Virtual functions of it are in use: open it with the present VF token";
    }

    /** open(2) of /dev/iommu. */
    static Map<Errno, String> iommufdOpen(String path) {
        String missing = "This kernel has no iommufd (CONFIG_IOMMUFD), or its module is not loaded: 'modprobe iommufd', or"
                + " use a container (Vfio.openContainer), which every kernel has";
        String noAccess = "This user may not open it: 'chown $USER " + path + "' as root gives it to you";
        return Map.of(Errno.ENOENT, missing, Errno.ENODEV, missing, Errno.EACCES, noAccess, Errno.EPERM, noAccess);
    }

    /** The function has no VFIO device. */
    static VfioException noVfioDevice(PciDevice function) throws VfioException {
        if (function.exists() && isBound(function) && function.iommuGroup().isEmpty()) {
            return noIommuGroup(function);
        }
        return new VfioException("open " + function, Errno.ENODEV,
                !function.exists()
                        ? NO_FUNCTION
                        : isBound(function) ? "vfio-pci has no device for it; see dmesg" : notBound(function));
    }

    /**
     * open(2) of /dev/vfio/devices/vfioN.
     *
     * @param hasNumber
     *            whether the kernel has a device number for it
     */
    static Map<Errno, String> cdevOpen(String path, boolean hasNumber) {
        String missing = hasNumber
                ? "The device's file is not here: hand it to the container this runs in ('docker run --device " + path
                        + "' for one)"
                : "On this kernel devices have no files of their own (CONFIG_VFIO_DEVICE_CDEV): use a container"
                        + " (Vfio.openContainer)";
        String noAccess = "This user may not open the device: 'chown $USER " + path + "' as root gives it to you";
        return Map.of(Errno.ENOENT, missing, Errno.EACCES, noAccess, Errno.EPERM, noAccess);
    }

    /**
     * VFIO_DEVICE_BIND_IOMMUFD of a PCI function.
     *
     * @param kernelTakesTokens
     *            asked after {@code EINVAL} with a token
     */
    static Map<Errno, String> bind(PciDevice function, boolean tokenGiven, Question kernelTakesTokens)
            throws VfioException {
        OptionalInt number = function.iommuGroup();
        String group = number.isPresent() ? Integer.toString(number.getAsInt()) : "N";
        Map<Errno, String> remedies = new HashMap<>(anyBind(group));
        remedies.put(Errno.EACCES, token(function, tokenGiven));
        if (tokenGiven && !kernelTakesTokens.ask()) {
            remedies.put(Errno.EINVAL,
                    "This kernel takes no VF token when a device is bound to an iommufd, nor does it ask"
                            + " for one (Linux 7.2 does): open the function through a container (Vfio.openContainer)");
        } else if (tokenGiven && !function.mayHaveToken()) {
            remedies.put(Errno.EINVAL, NO_TOKEN_TAKEN);
        }
        return remedies;
    }

    /** VFIO_DEVICE_BIND_IOMMUFD of a mediated device. */
    static Map<Errno, String> mediatedDeviceBind() {
        return anyBind("N");
    }

    private static Map<Errno, String> anyBind(String group) {
        return Map.of(Errno.EBUSY,
                "The file of the device's group is open, and a device is used either through its group"
                        + " or by itself: 'fuser -v /dev/vfio/" + group + "' shows who has it",
                Errno.EINVAL, "The device is bound already: 'fuser -v /dev/vfio/devices/*' shows who has it",
                Errno.EPERM,
                "A host driver or another iommufd has a device of the group: bind every function in"
                        + " /sys/kernel/iommu_groups/" + group
                        + "/devices to vfio-pci or to no driver, and open them through"
                        + " one iommufd. Or the platform can't isolate interrupts, and if that is acceptable: echo 1 >"
                        + " /sys/module/iommufd/parameters/allow_unsafe_interrupts",
                Errno.ENODEV, "Its driver is just giving it up");
    }

    private static String noMemory(OptionalLong lockedMemory) {
        return "The process may not lock that much memory" + (lockedMemory.isPresent()
                ? ": RLIMIT_MEMLOCK is " + lockedMemory.getAsLong() + " bytes, " + lockedMemory.getAsLong() / 1024
                        + " in 'ulimit -l'. Raise it ('ulimit -l unlimited' before the program starts,"
                        + " LimitMEMLOCK=infinity in a systemd unit), give it CAP_IPC_LOCK, or map less"
                : " (RLIMIT_MEMLOCK, 'ulimit -l'), or there is none left: map less");
    }

    /**
     * VFIO_DEVICE_ATTACH_IOMMUFD_PT: with the first device what is mapped already is pinned, and with each the addresses
     * that its IOMMU keeps for itself are taken away.
     *
     * @param lockedMemory
     *            what the process may lock
     */
    static Map<Errno, String> attach(OptionalLong lockedMemory) {
        return Map.of(Errno.EADDRINUSE,
                "Something is mapped at addresses that the device or its IOMMU can't use: unmap that, open the device"
                        + " first, and map within dmaLimits().iovaRanges()",
                Errno.ENOMEM, noMemory(lockedMemory), Errno.EFAULT,
                "Memory that was mapped before is not there any more: unmap it before it is freed", Errno.EINVAL,
                "Its IOMMU does not go with that of the devices here, or another device of its group is attached"
                        + " elsewhere: open it through an Iommufd of its own, all devices of the group with it");
    }

    /**
     * VFIO_IOMMU_MAP_DMA and IOMMU_IOAS_MAP, of what this library has found to be all right.
     *
     * @param lockedMemory
     *            what the process may lock
     */
    static Map<Errno, String> map(OptionalLong lockedMemory) {
        return Map.of(Errno.ENOMEM, noMemory(lockedMemory), Errno.ENOSPC,
                "A container has at most dma_entry_limit mappings, 65535 unless it was loaded with another number: map fewer"
                        + " and larger pieces, unmap some, or raise it"
                        + " (/sys/module/vfio_iommu_type1/parameters/dma_entry_limit)",
                Errno.EFAULT,
                "The memory is not there, or it can't be written and devices would: a file may be shorter than its mapping,"
                        + " or the memory was unmapped or protected behind the JVM's back. Or it is a device's (a RegionView),"
                        + " which a container maps and an iommufd does not",
                Errno.EEXIST, "Somebody else has mapped something there by the same descriptor", Errno.EINVAL,
                "The IOMMU can't do that: a direction it does not have, memory of a kind that can't be pinned, or an address"
                        + " that a device has meanwhile taken");
    }
}
