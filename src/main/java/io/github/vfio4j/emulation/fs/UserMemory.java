package io.github.vfio4j.emulation.fs;

import io.github.vfio4j.Errno;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The memory of the calling program as the kernel sees it: bytes beyond a segment's end are not mapped, and a copy that
 * needs them fails ({@code EFAULT}). What such a copy to the program had written before it came to them stays written.
 *
 * <p>
 * Offsets and lengths come from the caller and may be anything; the comparison is unsigned.
 */
public final class UserMemory {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

    private UserMemory() {
    }

    /** Whether {@code length} bytes at {@code offset} are mapped. */
    public static boolean mapped(MemorySegment memory, long offset, long length) {
        long size = memory.byteSize();
        return Long.compareUnsigned(offset, size) <= 0 && Long.compareUnsigned(length, size - offset) <= 0;
    }

    /** A 32-bit value; the caller has made sure it is mapped. */
    public static int getInt(MemorySegment memory, long offset) {
        return memory.get(INT, offset);
    }

    /** A 64-bit value; the caller has made sure it is mapped. */
    public static long getLong(MemorySegment memory, long offset) {
        return memory.get(LONG, offset);
    }

    /** Writes a 64-bit value; the caller has made sure it is mapped. */
    public static void putLong(MemorySegment memory, long offset, long value) {
        memory.set(LONG, offset, value);
    }

    /**
     * Writes a 64-bit value that may not be mapped, or only its first bytes, which are then written all the same.
     *
     * @return 0, or {@code −EFAULT} if it is not mapped as a whole
     */
    public static int copyLong(MemorySegment memory, long offset, long value) {
        long mapped = Math.clamp(memory.byteSize() - offset, 0, Long.BYTES);
        for (int i = 0; i < mapped; i++) {
            memory.set(ValueLayout.JAVA_BYTE, offset + i, (byte) (value >>> (i * Byte.SIZE)));
        }
        return mapped == Long.BYTES ? 0 : -Errno.EFAULT.code();
    }

    /** Writes a 32-bit value; the caller has made sure it is mapped. */
    public static void putInt(MemorySegment memory, long offset, int value) {
        memory.set(INT, offset, value);
    }

    /** Writes a 16-bit value; the caller has made sure it is mapped. */
    public static void putShort(MemorySegment memory, long offset, short value) {
        memory.set(ValueLayout.JAVA_SHORT_UNALIGNED, offset, value);
    }
}
