package io.github.vfio4j.emulation.iommu;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_bitmap;
import java.lang.foreign.MemorySegment;

/**
 * A bitmap of the caller's (struct vfio_bitmap).
 *
 * @param pageSize
 *            what a bit stands for
 * @param size
 *            bytes
 * @param address
 *            where it is
 */
record UserBitmap(long pageSize, long size, long address) {

    static final long SIZEOF = vfio_bitmap.sizeof();

    /** As many bytes as 2^31 - 1 pages have. */
    static final long MAX_SIZE = 0x10000000;

    /** The last page below 2^47 is not for programs. */
    private static final long USER_END = 0x7fff_ffff_f000L;

    /** Reads it; the caller has made sure it is mapped. */
    static UserBitmap at(MemorySegment argument, long offset) {
        return new UserBitmap(UserMemory.getLong(argument, offset + vfio_bitmap.pgsize$offset()),
                UserMemory.getLong(argument, offset + vfio_bitmap.size$offset()),
                UserMemory.getLong(argument, offset + vfio_bitmap.data$offset()));
    }

    /** Whether it can be one for a range: at an address a program can have, and with bits enough. */
    int check(long rangeSize) {
        // The lowest bit decides, as long as nobody has looked whether there is another one. A shift by 64 is none.
        long pages = rangeSize >>> Long.numberOfTrailingZeros(pageSize);
        if (pages == 0 || size == 0 || Long.compareUnsigned(size, MAX_SIZE) > 0
                || Long.compareUnsigned(size, bytes(pages)) < 0 || address < 0 || address + size < 0) {
            return -Errno.EINVAL.code();
        }
        if (address + size > USER_END) {
            throw new NotModelledException("a bitmap between the program's addresses and the kernel's");
        }
        return 0;
    }

    /** Whole words. */
    private static long bytes(long pages) {
        return (pages + Long.SIZE - 1 & -Long.SIZE) >>> 3;
    }
}
