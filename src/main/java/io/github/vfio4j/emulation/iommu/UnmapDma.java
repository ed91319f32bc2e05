package io.github.vfio4j.emulation.iommu;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_UNMAP_FLAG_ALL;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_UNMAP_FLAG_VADDR;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_iommu_type1_dma_unmap;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** VFIO_IOMMU_UNMAP_DMA, also to invalidate addresses only, or with a last look at the dirty pages. */
record UnmapDma(Type1Iommu iommu) {

    private static final long SIZEOF = vfio_iommu_type1_dma_unmap.sizeof();
    private static final long SIZE = vfio_iommu_type1_dma_unmap.size$offset();

    /** Errors and sizes share a number, as errors and pointers do in the kernel: no multiple of a page is among them. */
    private static final long MAX_ERRNO = 4095;

    private static final int GET_DIRTY_BITMAP = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP();
    private static final int ALL = VFIO_DMA_UNMAP_FLAG_ALL();
    private static final int VADDR = VFIO_DMA_UNMAP_FLAG_VADDR();

    int ioctl(CallContext call, MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, SIZEOF)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, vfio_iommu_type1_dma_unmap.argsz$offset()));
        int flags = UserMemory.getInt(argument, vfio_iommu_type1_dma_unmap.flags$offset());
        if (argsz < SIZEOF || (flags & ~iommu.profile().type1UnmapFlags()) != 0) {
            return -Errno.EINVAL.code();
        }
        long iova = UserMemory.getLong(argument, vfio_iommu_type1_dma_unmap.iova$offset());
        long size = UserMemory.getLong(argument, SIZE);
        UserBitmap bitmap = null;
        if ((flags & GET_DIRTY_BITMAP) != 0) {
            if ((flags & (ALL | VADDR)) != 0 || argsz < SIZEOF + UserBitmap.SIZEOF) {
                return -Errno.EINVAL.code();
            }
            if (!UserMemory.mapped(argument, SIZEOF, UserBitmap.SIZEOF)) {
                return -Errno.EFAULT.code();
            }
            bitmap = UserBitmap.at(argument, SIZEOF);
            int error = bitmap.check(size);
            if (error != 0) {
                return error;
            }
        }
        int error = check(flags, iova, size, bitmap);
        if (error != 0) {
            return error;
        }
        long last = (flags & ALL) != 0 ? -1 : iova + size - 1;
        long unmapped = (flags & VADDR) != 0 ? invalidate(iova, last) : unmap(call, iova, last, bitmap);
        if (unmapped < 0 && unmapped >= -MAX_ERRNO) {
            return (int) unmapped;
        }
        UserMemory.putLong(argument, SIZE, unmapped);
        return 0;
    }

    private int check(int flags, long iova, long size, @Nullable UserBitmap bitmap) {
        if ((flags & VADDR) != 0 && iommu.hasEmulatedGroups()) {
            return -Errno.EBUSY.code();
        }
        if (!iommu.isAligned(iova)) {
            return -Errno.EINVAL.code();
        }
        if ((flags & ALL) != 0) {
            return iova != 0 || size != 0 ? -Errno.EINVAL.code() : 0;
        }
        if (size == 0 || !iommu.isAligned(size)) {
            return -Errno.EINVAL.code();
        }
        int error = iommu.checkEnd(iova, size);
        if (error != 0) {
            return error;
        }
        if (bitmap != null && (!iommu.isTracking() || bitmap.pageSize() != iommu.pageSize())) {
            return -Errno.EINVAL.code();
        }
        Type1Iommu.requireEndBelowTop(iova, size);
        return iommu.isV2() && iommu.mappings().isCutBy(iova, iova + size - 1) ? -Errno.EINVAL.code() : 0;
    }

    /**
     * What a range touches. In the first version of type1 a range may cut mappings: one that begins within a mapping
     * touches nothing, one that ends within a mapping touches all of it.
     */
    private List<Type1Mapping> touched(long first, long last) {
        List<Type1Mapping> mappings = iommu.mappings().overlapping(first, last);
        return mappings.isEmpty() || Long.compareUnsigned(mappings.getFirst().iova(), first) < 0 ? List.of() : mappings;
    }

    private long unmap(CallContext call, long first, long last, @Nullable UserBitmap bitmap) {
        long unmapped = 0;
        for (Type1Mapping mapping : touched(first, last)) {
            int error = bitmap == null ? 0 : iommu.report(call, mapping, bitmap, first);
            if (error != 0) {
                // What has gone before stays gone.
                return error;
            }
            iommu.remove(mapping);
            unmapped += mapping.size();
        }
        return unmapped;
    }

    /** All of them or none. */
    private long invalidate(long first, long last) {
        List<Type1Mapping> mappings = touched(first, last);
        if (!mappings.stream().allMatch(Type1Mapping::isVaddrValid)) {
            return -Errno.EINVAL.code();
        }
        mappings.forEach(mapping -> mapping.setVaddrValid(false));
        return mappings.stream().mapToLong(Type1Mapping::size).sum();
    }
}
