package io.github.vfio4j;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.Mman;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Memory of this library's own for devices to reach: whole pages that nothing else is in, zeroed. */
final class OwnMemory {

    /** What x86-64, and arm64 with small pages, have above the smallest page. */
    static final long HUGE_PAGE = 2L << 20;

    private static final int HUGE_PAGES = Mman.MAP_PRIVATE | Mman.MAP_ANONYMOUS | Mman.MAP_HUGETLB | Mman.MAP_HUGE_2MB;

    private OwnMemory() {
    }

    /**
     * Allocates some: of the huge pages that the machine has set aside, if it has and the size is a number of these;
     * otherwise where the kernel can make it huge pages (transparent ones), if it is as large as that.
     *
     * @param size
     *            bytes, a multiple of the page size
     * @param page
     *            the smallest page of processor and IOMMU, no larger than a huge one
     */
    static MemorySegment allocate(IoctlBackend backend, Arena arena, long size, long page) throws VfioException {
        if (size % HUGE_PAGE == 0) {
            MemorySegment huge = backend.mmap(arena, size, Mman.PROT_READ | Mman.PROT_WRITE, HUGE_PAGES, -1, 0);
            if (huge.byteSize() > 0) {
                return huge;
            }
        }
        try {
            return arena.allocate(size, size >= HUGE_PAGE ? HUGE_PAGE : page);
        } catch (OutOfMemoryError e) {
            VfioException failure = new VfioException("allocate " + size + " bytes for DMA", Errno.ENOMEM,
                    "There is not that much memory, or the JVM is not to use it (-XX:MaxDirectMemorySize)");
            failure.addSuppressed(e);
            throw failure;
        }
    }
}
