package io.github.vfio4j.emulation.device;

/**
 * The IOMMU lets a device's access to memory not through, or the device may not make one: what a real device sees as an
 * aborted transaction, and a program as nothing at all.
 */
public final class DmaFault extends Exception {

    private static final long serialVersionUID = 1;

    /** Where it happened. */
    private final long iova;

    /**
     * A fault.
     *
     * @param iova
     *            the first address that could not be accessed
     * @param why
     *            what is wrong with it
     */
    public DmaFault(long iova, String why) {
        super("DMA fault at IOVA 0x" + Long.toHexString(iova) + ": " + why);
        this.iova = iova;
    }

    /**
     * Where it happened.
     *
     * @return the first I/O virtual address that could not be accessed
     */
    public long iova() {
        return iova;
    }
}
