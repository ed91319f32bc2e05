package io.github.vfio4j.emulation.iommu;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_MAP_FLAG_READ;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_MAP_FLAG_VADDR;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_MAP_FLAG_WRITE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.LockedMemory;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_iommu_type1_dma_map;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * VFIO_IOMMU_MAP_DMA. The order is that of Linux 7.2: where earlier kernels look in another order, all answers are
 * {@code EINVAL}, and nobody can tell.
 */
record MapDma(Type1Iommu iommu) {

    private static final long SIZEOF = vfio_iommu_type1_dma_map.sizeof();

    int ioctl(CallContext call, MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, SIZEOF)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, vfio_iommu_type1_dma_map.argsz$offset()));
        int flags = UserMemory.getInt(argument, vfio_iommu_type1_dma_map.flags$offset());
        if (argsz < SIZEOF || (flags & ~iommu.profile().type1MapFlags()) != 0) {
            return -Errno.EINVAL.code();
        }
        long vaddr = UserMemory.getLong(argument, vfio_iommu_type1_dma_map.vaddr$offset());
        long iova = UserMemory.getLong(argument, vfio_iommu_type1_dma_map.iova$offset());
        long size = UserMemory.getLong(argument, vfio_iommu_type1_dma_map.size$offset());
        int error = check(flags, vaddr, iova, size);
        if (error != 0) {
            return error;
        }
        Type1Iommu.requireEndBelowTop(iova, size);
        return (flags & VFIO_DMA_MAP_FLAG_VADDR()) != 0
                ? updateVaddr(iova, size)
                : map(call, iova, DmaMemory.of(call, vaddr, size), access(flags));
    }

    private int check(int flags, long vaddr, long iova, long size) {
        if (size == 0) {
            return -Errno.EINVAL.code();
        }
        int error = iommu.checkEnd(iova, size);
        error = error != 0 ? error : iommu.checkEnd(vaddr, size);
        if (error != 0) {
            return error;
        }
        boolean access = (flags & (VFIO_DMA_MAP_FLAG_READ() | VFIO_DMA_MAP_FLAG_WRITE())) != 0;
        boolean update = (flags & VFIO_DMA_MAP_FLAG_VADDR()) != 0;
        return access == update || !iommu.isAligned(size | iova | vaddr) ? -Errno.EINVAL.code() : 0;
    }

    private int updateVaddr(long iova, long size) {
        List<Type1Mapping> mappings = iommu.mappings().overlapping(iova, iova + size - 1);
        if (mappings.isEmpty()) {
            return -Errno.ENOENT.code();
        }
        Type1Mapping mapping = mappings.getFirst();
        if (mapping.isVaddrValid() || mapping.iova() != iova || mapping.size() != size) {
            return -Errno.EINVAL.code();
        }
        // Nothing is pinned again, so nobody looks whether there is memory.
        mapping.setVaddrValid(true);
        return 0;
    }

    private static DmaAccess access(int flags) {
        return new DmaAccess((flags & VFIO_DMA_MAP_FLAG_READ()) != 0, (flags & VFIO_DMA_MAP_FLAG_WRITE()) != 0);
    }

    private int map(CallContext call, long iova, DmaMemory memory, DmaAccess access) {
        long last = iova + memory.size() - 1;
        if (!iommu.mappings().overlapping(iova, last).isEmpty()) {
            return -Errno.EEXIST.code();
        }
        if (iommu.availableMappings() == 0) {
            return -Errno.ENOSPC.code();
        }
        List<IovaRange> ranges = iommu.ranges();
        if (!ranges.isEmpty() && ranges.stream().noneMatch(range -> range.contains(iova, last))) {
            return -Errno.EINVAL.code();
        }
        if (iommu.pins() && !memory.isMapped()) {
            return -Errno.EFAULT.code();
        }
        LockedMemory pinnedFor = iommu.pins() ? call.lockedMemory() : null;
        if (pinnedFor != null && !pinnedFor.lock(memory.lockedSize())) {
            return -Errno.ENOMEM.code();
        }
        Type1Mapping mapping = new Type1Mapping(iova, memory, access, pinnedFor);
        if (iommu.isTracking()) {
            iommu.track(mapping);
        }
        iommu.mappings().add(mapping);
        return 0;
    }
}
