package io.github.vfio4j.emulation.fs;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Mman;

/**
 * What a call of mmap(2) asks for.
 *
 * @param length
 *            bytes; whole pages are mapped
 * @param protection
 *            {@code PROT_…}
 * @param flags
 *            {@code MAP_…}
 * @param offset
 *            where in the file, at the beginning of a page
 */
public record Mapping(long length, int protection, int flags, long offset) {

    private static final long PAGE_SIZE = 4096;
    /** Of the address space on x86-64, what a program can have. */
    private static final long ADDRESS_SPACE = 0x7fff_ffff_f000L;
    private static final int TYPE = 0xf;
    private static final int MAP_SHARED_VALIDATE = 3;

    /** What is refused before the descriptor is looked at: 0, or −errno. */
    public int checkOffset() {
        return offset % PAGE_SIZE == 0 ? 0 : -Errno.EINVAL.code();
    }

    /** What is refused before the file is looked at: 0, or −errno. */
    public int check() {
        if (length == 0) {
            return -Errno.EINVAL.code();
        }
        if (Long.compareUnsigned(length, ADDRESS_SPACE) > 0) {
            return -Errno.ENOMEM.code();
        }
        // What is behind the last offset there is.
        if (Long.compareUnsigned(offset, -1 - pages()) > 0) {
            return -Errno.EOVERFLOW.code();
        }
        int type = flags & TYPE;
        return type == Mman.MAP_SHARED || type == Mman.MAP_PRIVATE || type == MAP_SHARED_VALIDATE
                ? 0
                : -Errno.EINVAL.code();
    }

    /** The size of the pages that are mapped. */
    public long pages() {
        return Math.ceilDiv(length, PAGE_SIZE) * PAGE_SIZE;
    }

    /** Whether there is no file behind it. */
    public boolean isAnonymous() {
        return (flags & Mman.MAP_ANONYMOUS) != 0;
    }

    /** Whether it is to be of the huge pages that the machine has set aside. */
    public boolean isHuge() {
        return (flags & Mman.MAP_HUGETLB) != 0;
    }

    /** Whether others see what is written. */
    public boolean isShared() {
        return (flags & Mman.MAP_SHARED) != 0;
    }

    /** Whether the memory is to be written. */
    public boolean isWritable() {
        return (protection & Mman.PROT_WRITE) != 0;
    }
}
