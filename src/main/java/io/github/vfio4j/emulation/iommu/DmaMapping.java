package io.github.vfio4j.emulation.iommu;

/** Memory that devices reach at addresses of theirs: of a container (struct vfio_dma) or of an iommufd (struct iopt_area). */
public class DmaMapping {

    private final long iova;
    private final DmaMemory memory;
    private final DmaAccess access;

    /** The memory at an address. */
    public DmaMapping(long iova, DmaMemory memory, DmaAccess access) {
        this.iova = iova;
        this.memory = memory;
        this.access = access;
    }

    /** Its first address. */
    public final long iova() {
        return iova;
    }

    /** Bytes, unsigned. */
    public final long size() {
        return memory.size();
    }

    /** Its last address. */
    public final long last() {
        return iova + size() - 1;
    }

    /** What is there. */
    public final DmaMemory memory() {
        return memory;
    }

    /** What devices may do with it. */
    public final DmaAccess access() {
        return access;
    }

    final boolean contains(long address) {
        return Long.compareUnsigned(address - iova, size()) < 0;
    }
}
