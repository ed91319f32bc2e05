package io.github.vfio4j;

import java.lang.foreign.MemorySegment;

/** An address space of the IOMMU as the kernel has it. Each method is a call or two; the caller has checked what is asked. */
sealed interface DmaDomain permits Type1Dma, IoasDma {

    /** Whether it is not being closed. */
    boolean isOpen();

    /** What can be mapped, as things are. */
    DmaTerms terms() throws VfioException;

    /** Maps memory at an address. */
    void map(long iova, MemorySegment memory, DmaDirection direction) throws VfioException;

    /** Ends a mapping as a whole. */
    void unmap(long iova, long size) throws VfioException;

    /** Judges how much was unmapped by a call that succeeded: less is none of what this library has mapped. */
    static void checkUnmapped(String operation, long unmapped, long size) throws VfioException {
        if (unmapped != size) {
            throw new VfioException(operation, null,
                    "The kernel had " + Long.toUnsignedString(unmapped) + " bytes mapped there, not "
                            + Long.toUnsignedString(size) + ": somebody else maps and unmaps by the same descriptor");
        }
    }

    /** What is mapped where, for messages. */
    static String range(long iova, long size) {
        return "0x" + Long.toHexString(iova) + "-0x" + Long.toHexString(iova + size - 1);
    }
}
