package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_h;
import io.github.vfio4j.uapi.vfio_pci_dependent_device;
import io.github.vfio4j.uapi.vfio_pci_hot_reset_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Which functions are reset when the slot or bus of one is ({@code VFIO_DEVICE_GET_PCI_HOT_RESET_INFO}, vfio.h).
 *
 * @param byDeviceId
 *            whether the functions are identified within an iommufd, and not by IOMMU group
 * @param owned
 *            in that case, whether all of them are the program's, so that the reset is allowed
 * @param devices
 *            the functions, the asking one included
 */
public record HotResetInfo(boolean byDeviceId, boolean owned, List<DependentDevice> devices) {

    private static final long HEADER = vfio_pci_hot_reset_info.count$offset() + Integer.BYTES;
    private static final int FIRST_GUESS = 8;
    /** No bus has more functions. */
    private static final int MOST = 256;

    /**
     * Information with a copy of the list.
     */
    public HotResetInfo {
        devices = List.copyOf(devices);
    }

    /**
     * Asks a device.
     *
     * @param device
     *            a PCI device
     * @return what is reset with it
     * @throws VfioException
     *             {@code ENODEV} if neither its slot nor its bus can be reset
     */
    public static HotResetInfo of(DeviceHandle device) throws VfioException {
        String operation = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO of " + device;
        try (Arena arena = Arena.ofConfined()) {
            int room = FIRST_GUESS;
            while (true) {
                MemorySegment argument = arena.allocate(HEADER + room * vfio_pci_dependent_device.sizeof(), Long.BYTES);
                vfio_pci_hot_reset_info.argsz(argument, (int) argument.byteSize());
                int result = device.ioctl(vfio_h.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO(), argument);
                int count = vfio_pci_hot_reset_info.count(argument);
                boolean more = result == -Errno.ENOSPC.code() && count > room && count <= MOST;
                if (!more) {
                    device.check(operation, result,
                            Map.of(Errno.ENODEV, "Neither the slot nor the bus of the function can be reset",
                                    Errno.ENOTTY, "It is no PCI device, or its driver knows no hot reset"));
                    if (count < 0 || count > room) {
                        throw CapabilityChain.malformed(operation, count + " functions in the room for " + room);
                    }
                    return read(argument, count);
                }
                room = count;
            }
        }
    }

    private static HotResetInfo read(MemorySegment argument, int count) {
        List<DependentDevice> devices = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            MemorySegment dependent = argument.asSlice(HEADER + i * vfio_pci_dependent_device.sizeof());
            int devfn = Byte.toUnsignedInt(vfio_pci_dependent_device.devfn(dependent));
            PciAddress address = new PciAddress(Short.toUnsignedInt(vfio_pci_dependent_device.segment(dependent)),
                    Byte.toUnsignedInt(vfio_pci_dependent_device.bus(dependent)), devfn >> 3, devfn & 7);
            devices.add(new DependentDevice(address, dependent.get(JAVA_INT, 0)));
        }
        int flags = vfio_pci_hot_reset_info.flags(argument);
        return new HotResetInfo((flags & vfio_h.VFIO_PCI_HOT_RESET_FLAG_DEV_ID()) != 0,
                (flags & vfio_h.VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED()) != 0, devices);
    }
}
