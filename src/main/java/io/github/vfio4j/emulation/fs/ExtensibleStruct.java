package io.github.vfio4j.emulation.fs;

import io.github.vfio4j.Errno;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A structure that comes with its size, because the caller may have been built with another version of it than the kernel
 * (copy_struct_from_user).
 */
public final class ExtensibleStruct {

    private ExtensibleStruct() {
    }

    /**
     * Copies it in. What the caller's version lacks is zero; what it has more must be.
     *
     * @param argument
     *            the caller's memory
     * @param userSize
     *            how large the caller says it is
     * @param known
     *            as large as the kernel's version, all zero
     * @return 0, {@code −E2BIG} if a part that the kernel does not know says something, {@code −EFAULT}
     */
    public static int copy(MemorySegment argument, long userSize, MemorySegment known) {
        int error = checkUnknown(argument, known.byteSize(), userSize);
        if (error != 0) {
            return error;
        }
        long size = Math.min(known.byteSize(), userSize);
        if (!UserMemory.mapped(argument, 0, size)) {
            return -Errno.EFAULT.code();
        }
        MemorySegment.copy(argument, 0, known, 0, size);
        return 0;
    }

    /** The unknown part is read first, and only up to the first byte that is not zero. */
    private static int checkUnknown(MemorySegment argument, long knownSize, long userSize) {
        for (long at = knownSize; at < userSize; at++) {
            if (!UserMemory.mapped(argument, at, 1)) {
                return -Errno.EFAULT.code();
            }
            if (argument.get(ValueLayout.JAVA_BYTE, at) != 0) {
                return -Errno.E2BIG.code();
            }
        }
        return 0;
    }

    /**
     * Copies an answer out; memory that can't be written is {@code −EFAULT}.
     *
     * @param argument
     *            the caller's memory, at least as large
     * @param known
     *            the kernel's version of it
     */
    public static int answer(MemorySegment argument, MemorySegment known) {
        if (argument.isReadOnly()) {
            return -Errno.EFAULT.code();
        }
        argument.copyFrom(known);
        return 0;
    }
}
