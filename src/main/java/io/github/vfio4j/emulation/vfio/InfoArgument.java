package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_NUM_IRQS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_NUM_REGIONS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_CAPS;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_device_info;
import io.github.vfio4j.uapi.vfio_info_cap_header;
import io.github.vfio4j.uapi.vfio_irq_info;
import io.github.vfio4j.uapi.vfio_region_info;
import java.lang.foreign.MemorySegment;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;

/**
 * The arguments of the three requests for information, which all drivers check and fill in the same way (semantics
 * §E.4).
 */
public final class InfoArgument {

    private static final long DEVICE_INFO = vfio_device_info.num_irqs$offset() + Integer.BYTES;
    private static final long REGION_INFO = vfio_region_info.offset$offset() + Long.BYTES;
    private static final long IRQ_INFO = vfio_irq_info.count$offset() + Integer.BYTES;
    private static final long CAPABILITY = vfio_info_cap_header.sizeof();
    private static final short CAPABILITY_VERSION = 1;

    private InfoArgument() {
    }

    private static int check(MemorySegment argument, long size) {
        if (!UserMemory.mapped(argument, 0, size)) {
            return -Errno.EFAULT.code();
        }
        return argsz(argument) < size ? -Errno.EINVAL.code() : 0;
    }

    /** In all three it is the first field. */
    private static long argsz(MemorySegment argument) {
        return Integer.toUnsignedLong(UserMemory.getInt(argument, 0));
    }

    /** Checks the argument of VFIO_DEVICE_GET_INFO: 0, or −errno. */
    public static int checkDevice(MemorySegment argument) {
        return check(argument, DEVICE_INFO);
    }

    /**
     * Answers VFIO_DEVICE_GET_INFO for a PCI device without capabilities.
     *
     * @param size
     *            how much the kernel has to say
     * @param cut
     *            whether it says as much of that as the caller has room for, and not all or the first 16 bytes
     */
    public static int writeDevice(MemorySegment argument, int flags, int size, boolean cut) {
        long argsz = argsz(argument);
        long written = argsz >= size ? size : cut ? argsz : DEVICE_INFO;
        // A copy to memory that ends before it gets as far as it can.
        long mapped = Math.min(written, argument.byteSize());
        UserMemory.putInt(argument, vfio_device_info.flags$offset(), flags);
        UserMemory.putInt(argument, vfio_device_info.num_regions$offset(), VFIO_PCI_NUM_REGIONS());
        UserMemory.putInt(argument, vfio_device_info.num_irqs$offset(), VFIO_PCI_NUM_IRQS());
        argument.asSlice(DEVICE_INFO, mapped - DEVICE_INFO).fill((byte) 0);
        return mapped == written ? 0 : -Errno.EFAULT.code();
    }

    /**
     * VFIO_DEVICE_GET_REGION_INFO.
     *
     * @param regions
     *            the driver's part: the region of an index, null for an index that does not exist
     */
    public static int region(MemorySegment argument, IntFunction<@Nullable RegionInfo> regions) {
        int error = check(argument, REGION_INFO);
        if (error != 0) {
            return error;
        }
        RegionInfo region = regions.apply(UserMemory.getInt(argument, vfio_region_info.index$offset()));
        if (region == null) {
            return -Errno.EINVAL.code();
        }
        int flags = region.flags();
        if (region.capability() != 0) {
            error = writeCapability(argument, region.capability());
            if (error != 0) {
                return error;
            }
            flags |= VFIO_REGION_INFO_FLAG_CAPS();
        }
        UserMemory.putInt(argument, vfio_region_info.flags$offset(), flags);
        UserMemory.putLong(argument, vfio_region_info.size$offset(), region.size());
        UserMemory.putLong(argument, vfio_region_info.offset$offset(), region.offset());
        return 0;
    }

    /** A chain of one, behind the struct if there is room; the caller is told how much is needed otherwise. */
    private static int writeCapability(MemorySegment argument, int capability) {
        long required = REGION_INFO + CAPABILITY;
        if (argsz(argument) < required) {
            UserMemory.putInt(argument, vfio_region_info.argsz$offset(), (int) required);
            UserMemory.putInt(argument, vfio_region_info.cap_offset$offset(), 0);
            return 0;
        }
        if (!UserMemory.mapped(argument, REGION_INFO, CAPABILITY)) {
            return -Errno.EFAULT.code();
        }
        UserMemory.putShort(argument, REGION_INFO + vfio_info_cap_header.id$offset(), (short) capability);
        UserMemory.putShort(argument, REGION_INFO + vfio_info_cap_header.version$offset(), CAPABILITY_VERSION);
        UserMemory.putInt(argument, REGION_INFO + vfio_info_cap_header.next$offset(), 0);
        UserMemory.putInt(argument, vfio_region_info.cap_offset$offset(), (int) REGION_INFO);
        return 0;
    }

    /**
     * Checks the argument of VFIO_DEVICE_GET_IRQ_INFO: 0, or −errno.
     *
     * @param indices
     *            how many there are
     */
    public static int checkIrq(MemorySegment argument, int indices) {
        int error = check(argument, IRQ_INFO);
        if (error != 0) {
            return error;
        }
        return Integer.compareUnsigned(irqIndex(argument), indices) >= 0 ? -Errno.EINVAL.code() : 0;
    }

    /** The index that VFIO_DEVICE_GET_IRQ_INFO asks for. */
    public static int irqIndex(MemorySegment argument) {
        return UserMemory.getInt(argument, vfio_irq_info.index$offset());
    }

    /** Answers VFIO_DEVICE_GET_IRQ_INFO. */
    public static int writeIrq(MemorySegment argument, int flags, int count) {
        UserMemory.putInt(argument, vfio_irq_info.flags$offset(), flags);
        return writeIrqCount(argument, count);
    }

    /** Answers VFIO_DEVICE_GET_IRQ_INFO without the flags. */
    public static int writeIrqCount(MemorySegment argument, int count) {
        UserMemory.putInt(argument, vfio_irq_info.count$offset(), count);
        return 0;
    }
}
