package io.github.vfio4j.emulation.iommu;

import io.github.vfio4j.emulation.device.DmaFault;
import java.lang.foreign.MemorySegment;

/** What a device's accesses to memory go to. Once a mapping has been ended, none goes to its memory any more. */
public interface DmaTarget {

    /**
     * Reads or writes what is mapped; up to a fault it has been read or written.
     *
     * @param iova
     *            the first address
     * @param buffer
     *            takes what is read, or has what is written
     */
    void access(long iova, MemorySegment buffer, boolean write) throws DmaFault;
}
