package io.github.vfio4j.emulation.iommu;

import io.github.vfio4j.emulation.fs.LockedMemory;
import org.jspecify.annotations.Nullable;

/** A mapping of a container (struct vfio_dma). */
final class Type1Mapping extends DmaMapping {

    private final @Nullable LockedMemory pinnedFor;
    private boolean vaddrValid = true;
    private @Nullable DirtyBits dirty;

    /**
     * A new one.
     *
     * @param pinnedFor
     *            where its memory, which an IOMMU maps, has been counted as locked; null if there is no IOMMU
     */
    Type1Mapping(long iova, DmaMemory memory, DmaAccess access, @Nullable LockedMemory pinnedFor) {
        super(iova, memory, access);
        this.pinnedFor = pinnedFor;
    }

    /** Is over. */
    void unpin() {
        if (pinnedFor != null) {
            pinnedFor.unlock(memory().lockedSize());
        }
    }

    /** Whether an IOMMU maps it, and not only a driver that looks addresses up. */
    boolean isPinned() {
        return pinnedFor != null;
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
