package io.github.vfio4j.emulation.iommu;

import org.jspecify.annotations.Nullable;

/** A mapping of a container (struct vfio_dma). */
final class Type1Mapping extends DmaMapping {

    private final boolean pinned;
    private boolean vaddrValid = true;
    private @Nullable DirtyBits dirty;

    Type1Mapping(long iova, DmaMemory memory, DmaAccess access, boolean pinned) {
        super(iova, memory, access);
        this.pinned = pinned;
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
