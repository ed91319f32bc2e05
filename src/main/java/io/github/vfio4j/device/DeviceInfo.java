package io.github.vfio4j.device;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_device_info;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;

/**
 * What a device is ({@code VFIO_DEVICE_GET_INFO}, vfio.h).
 *
 * @param flags
 *            {@code VFIO_DEVICE_FLAGS_…}
 * @param regionCount
 *            region indices 0 to this less one exist
 * @param irqCount
 *            interrupt indices 0 to this less one exist
 * @param capabilities
 *            what else the kernel tells, unknown capabilities included
 */
public record DeviceInfo(int flags, int regionCount, int irqCount, List<InfoCapability> capabilities) {

    /** What {@link #capabilities} tells of AtomicOps: which completer operations the root port has. */
    public static final int CAPABILITY_PCI_ATOMIC_COMPLETION = 5;

    /** Up to the field for capabilities, which old kernels leave alone. */
    private static final long SIZE = vfio_device_info.cap_offset$offset() + Long.BYTES;

    /**
     * Information with a copy of the list.
     */
    public DeviceInfo {
        capabilities = List.copyOf(capabilities);
    }

    /**
     * Asks a device.
     *
     * @param device
     *            any device
     * @return its information
     * @throws VfioException
     *             if the kernel refuses, or its answer is malformed
     */
    public static DeviceInfo of(DeviceHandle device) throws VfioException {
        InfoRequest request = new InfoRequest(device, "VFIO_DEVICE_GET_INFO of " + device,
                vfio_h.VFIO_DEVICE_GET_INFO(), SIZE, vfio_device_info.flags$offset(), vfio_h.VFIO_DEVICE_FLAGS_CAPS(),
                vfio_device_info.cap_offset$offset());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment answer = request.make(arena, argument -> {
                // Nothing to be said.
            }, Map.of());
            return new DeviceInfo(vfio_device_info.flags(answer), vfio_device_info.num_regions(answer),
                    vfio_device_info.num_irqs(answer), request.capabilities(answer));
        }
    }

    /**
     * Whether {@link io.github.vfio4j.VfioDevice#reset} works, as far as the driver says.
     *
     * @return the flag RESET; mtty can be reset without having it
     */
    public boolean canReset() {
        return (flags & vfio_h.VFIO_DEVICE_FLAGS_RESET()) != 0;
    }

    /**
     * Whether its regions and interrupts are those of a PCI function, configuration space included.
     *
     * @return the flag PCI
     */
    public boolean isPci() {
        return (flags & vfio_h.VFIO_DEVICE_FLAGS_PCI()) != 0;
    }
}
