package io.github.vfio4j.emulation.fs;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** What a call brings along besides its argument: the calling process, and memory it points to. */
public interface CallContext {

    /** The calling process's descriptors. */
    FdTable descriptors();

    /** The calling process's account of locked memory. */
    LockedMemory lockedMemory();

    /**
     * The memory behind a pointer of the caller's.
     *
     * @param address
     *            the pointer's value
     * @return from that address to the end of the memory the caller passed along, or null where it passed none: a bad
     *         address
     */
    @Nullable
    MemorySegment memoryAt(long address);

    /**
     * Whether some of the caller's memory is a mapping of a device's: there are no pages behind it that could be pinned.
     *
     * @param address
     *            the first address
     * @param size
     *            bytes, unsigned
     * @return true if one of them is
     */
    boolean isDeviceMemory(long address, long size);
}
