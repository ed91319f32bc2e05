package io.github.vfio4j.device;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_h;
import io.github.vfio4j.uapi.vfio_irq_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/**
 * What the interrupts of an index are ({@code VFIO_DEVICE_GET_IRQ_INFO}, vfio.h).
 *
 * @param index
 *            its number
 * @param flags
 *            {@code VFIO_IRQ_INFO_…}
 * @param count
 *            how many there are; 0 if the device has none of this kind
 */
public record IrqInfo(int index, int flags, int count) {

    /**
     * Asks a device.
     *
     * @param device
     *            any device
     * @param index
     *            the index's number, of a PCI device that of a {@link PciIrq}
     * @return its information
     * @throws VfioException
     *             {@code EINVAL} if there is no such index, or no interrupt for errors
     */
    public static IrqInfo of(DeviceHandle device, int index) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = vfio_irq_info.allocate(arena);
            vfio_irq_info.argsz(argument, (int) vfio_irq_info.sizeof());
            vfio_irq_info.index(argument, index);
            device.check("VFIO_DEVICE_GET_IRQ_INFO of index " + index + " of " + device,
                    device.ioctl(vfio_h.VFIO_DEVICE_GET_IRQ_INFO(), argument),
                    Map.of(Errno.EINVAL, "The device has no interrupts of this index"));
            return new IrqInfo(index, vfio_irq_info.flags(argument), vfio_irq_info.count(argument));
        }
    }

    /**
     * Whether they are signalled by eventfd.
     *
     * @return the flag EVENTFD
     */
    public boolean hasEventFds() {
        return (flags & vfio_h.VFIO_IRQ_INFO_EVENTFD()) != 0;
    }

    /**
     * Whether they can be masked.
     *
     * @return the flag MASKABLE
     */
    public boolean isMaskable() {
        return (flags & vfio_h.VFIO_IRQ_INFO_MASKABLE()) != 0;
    }

    /**
     * Whether they are masked by being signalled.
     *
     * @return the flag AUTOMASKED
     */
    public boolean isAutomasked() {
        return (flags & vfio_h.VFIO_IRQ_INFO_AUTOMASKED()) != 0;
    }

    /**
     * Whether more of them can be switched on while others are.
     *
     * @return the opposite of the flag NORESIZE
     */
    public boolean isResizable() {
        return (flags & vfio_h.VFIO_IRQ_INFO_NORESIZE()) == 0;
    }
}
