package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.feature.FeatureHost;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.Mapping;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** What a VFIO driver does for the core with one device (struct vfio_device_ops). */
public interface Driver extends FeatureHost {

    /** The device's name in the kernel. */
    String name();

    /**
     * Whether a text given to VFIO_GROUP_GET_DEVICE_FD names this device, and may open it: MATCH or NO_MATCH of
     * {@link DeviceName}, or −errno. A driver that says nothing about it has devices without options, which are named by the
     * whole text.
     */
    default int match(DeviceName text) {
        return text.matchWhole(name());
    }

    /** Whether it has a rule about VF tokens; otherwise VFIO_DEVICE_BIND_IOMMUFD takes none. */
    default boolean hasTokenRule() {
        return false;
    }

    /**
     * That rule (semantics §D.4): whether the device may be opened with this token, or without one: 0 or −errno. May make
     * the token the device's.
     */
    default int matchToken(byte @Nullable [] given) {
        return 0;
    }

    /** The first opening: 0, or −errno. */
    int open();

    /** The last closing. */
    void close();

    /** Any ioctl wakes the device before anything else, if its driver has power management. */
    default void wake() {
    }

    /** read(2) or pread(2) of the device; a driver without is {@code EINVAL}. */
    default long read(MemorySegment buffer, long offset) {
        return -Errno.EINVAL.code();
    }

    /** write(2) or pwrite(2) of the device; a driver without is {@code EINVAL}. */
    default long write(MemorySegment buffer, long offset) {
        return -Errno.EINVAL.code();
    }

    /** mmap(2) of the device: memory, or an address that is −errno; a driver without is {@code EINVAL}. */
    default MemorySegment mmap(Arena arena, Mapping mapping) {
        return MemorySegment.ofAddress(-Errno.EINVAL.code());
    }

    /** Every ioctl that the core does not answer itself. */
    int ioctl(CallContext call, int request, MemorySegment argument);
}
