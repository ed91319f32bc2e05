package io.github.vfio4j.emulation.iommu;

import org.jspecify.annotations.Nullable;

/** Memory that devices of a container reach (struct vfio_dma). */
final class DmaMapping {

    private final long iova;
    private final long size;
    private final boolean pinned;
    private boolean vaddrValid = true;
    private @Nullable DirtyBits dirty;

    /** The memory's own address plays no part any more: nothing does DMA here. */
    DmaMapping(long iova, long size, boolean pinned) {
        this.iova = iova;
        this.size = size;
        this.pinned = pinned;
    }

    long iova() {
        return iova;
    }

    long size() {
        return size;
    }

    long last() {
        return iova + size - 1;
    }

    boolean contains(long address) {
        return Long.compareUnsigned(address - iova, size) < 0;
    }

    /** Whether an IOMMU maps it, and not only a driver that looks addresses up. */
    boolean isPinned() {
        return pinned;
    }

    /** Whether its memory is where it was said to be; false between VFIO_DMA_UNMAP_FLAG_VADDR and …MAP_FLAG_VADDR. */
    boolean isVaddrValid() {
        return vaddrValid;
    }

    void setVaddrValid(boolean valid) {
        vaddrValid = valid;
    }

    /** Its dirty pages; null while nobody tracks them. */
    @Nullable
    DirtyBits dirty() {
        return dirty;
    }

    void setDirty(@Nullable DirtyBits bits) {
        dirty = bits;
    }
}
