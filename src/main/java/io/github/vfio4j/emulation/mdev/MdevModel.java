package io.github.vfio4j.emulation.mdev;

import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.Mapping;
import io.github.vfio4j.emulation.vfio.RegionInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** In what the sample drivers differ as devices. */
interface MdevModel {

    /** The region of an index; null for one that does not exist. */
    @Nullable
    RegionInfo region(int index);

    /** VFIO_DEVICE_GET_IRQ_INFO of an index that exists: 0, or −errno. */
    int irqInfo(MemorySegment argument);

    /**
     * VFIO_DEVICE_SET_IRQS.
     *
     * @param interrupts
     *            how many interrupts the driver believes each index to have
     */
    int setIrqs(FdTable descriptors, MemorySegment argument, int interrupts);

    /** A read or a write: how many bytes, or −errno. */
    long access(MemorySegment buffer, long offset, boolean write);

    /** mmap(2): memory, or an address that is −errno. */
    MemorySegment map(Arena arena, Mapping mapping);

    /** VFIO_DEVICE_QUERY_GFX_PLANE: 0, or −errno. */
    int queryPlane();

    /** The last closing. */
    void close();
}
