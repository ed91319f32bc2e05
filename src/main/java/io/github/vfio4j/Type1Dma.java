package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_MAP_FLAG_READ;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_MAP_FLAG_WRITE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;

import io.github.vfio4j.uapi.vfio_iommu_type1_dma_map;
import io.github.vfio4j.uapi.vfio_iommu_type1_dma_unmap;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The type1 IOMMU of a container (semantics §E.5).
 *
 * @param container
 *            its descriptor
 * @param sysfs
 *            to find out why something is refused
 */
record Type1Dma(Descriptor container, Sysfs sysfs) implements DmaDomain {

    @Override
    public boolean isOpen() {
        return container.isOpen();
    }

    @Override
    public DmaTerms terms() throws VfioException {
        return Type1Info.read(container).terms();
    }

    @Override
    public void map(long iova, MemorySegment memory, DmaDirection direction) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = vfio_iommu_type1_dma_map.allocate(arena);
            vfio_iommu_type1_dma_map.argsz(argument, (int) vfio_iommu_type1_dma_map.sizeof());
            vfio_iommu_type1_dma_map.flags(argument, (direction.deviceReads() ? VFIO_DMA_MAP_FLAG_READ() : 0)
                    | (direction.deviceWrites() ? VFIO_DMA_MAP_FLAG_WRITE() : 0));
            vfio_iommu_type1_dma_map.vaddr(argument, memory.address());
            vfio_iommu_type1_dma_map.iova(argument, iova);
            vfio_iommu_type1_dma_map.size(argument, memory.byteSize());
            Verdict.check("VFIO_IOMMU_MAP_DMA at " + DmaDomain.range(iova, memory.byteSize()),
                    container.ioctl(VFIO_IOMMU_MAP_DMA(), argument, new MemorySegment[]{memory}),
                    () -> Diagnosis.map(LockedMemory.limit(sysfs)));
        }
    }

    @Override
    public void unmap(long iova, long size) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = vfio_iommu_type1_dma_unmap.allocate(arena);
            vfio_iommu_type1_dma_unmap.argsz(argument, (int) vfio_iommu_type1_dma_unmap.sizeof());
            vfio_iommu_type1_dma_unmap.iova(argument, iova);
            vfio_iommu_type1_dma_unmap.size(argument, size);
            String operation = "VFIO_IOMMU_UNMAP_DMA of " + DmaDomain.range(iova, size);
            Verdict.check(operation, container.ioctl(VFIO_IOMMU_UNMAP_DMA(), argument));
            DmaDomain.checkUnmapped(operation, vfio_iommu_type1_dma_unmap.size(argument), size);
        }
    }
}
