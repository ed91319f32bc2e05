package io.github.vfio4j;

/** Which way data goes by DMA, named as in the kernel's own DMA API. A device that goes against it gets an IOMMU fault. */
public enum DmaDirection {

    /** From memory to the device, which may only read. */
    TO_DEVICE(true, false),
    /** From the device to memory, which it may only write. */
    FROM_DEVICE(false, true),
    /** Both ways. */
    BIDIRECTIONAL(true, true);

    private final boolean deviceReads;
    private final boolean deviceWrites;

    DmaDirection(boolean deviceReads, boolean deviceWrites) {
        this.deviceReads = deviceReads;
        this.deviceWrites = deviceWrites;
    }

    /**
     * Whether the device may read the memory.
     *
     * @return true if it may
     */
    public boolean deviceReads() {
        return deviceReads;
    }

    /**
     * Whether the device may write the memory.
     *
     * @return true if it may
     */
    public boolean deviceWrites() {
        return deviceWrites;
    }
}
