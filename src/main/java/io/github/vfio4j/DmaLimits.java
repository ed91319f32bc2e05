package io.github.vfio4j;

import io.github.vfio4j.feature.IovaRange;
import java.util.List;
import java.util.OptionalLong;

/**
 * What can be mapped for the devices of an {@link Iommu}, as things are: each device that joins may take addresses away,
 * each mapping takes one of those that are left.
 *
 * @param iovaRanges
 *            the addresses that mappings can have, in order; each mapping lies within one of them. The last page of 64 bits
 *            of addresses is left out, as the kernel's own arithmetic can't express its end
 * @param pageSizes
 *            a bit for each size of pages the IOMMU has, as far as the kernel tells: an iommufd tells the smallest only
 * @param availableMappings
 *            how many more mappings there can be; empty where the kernel does not tell (Linux 5.7, iommufds, which have no
 *            such limit)
 * @param lockedMemory
 *            how many bytes the process may lock (RLIMIT_MEMLOCK, the soft limit), those locked already included, unless it
 *            has CAP_IPC_LOCK; empty if there is no limit or it can't be read
 */
public record DmaLimits(List<IovaRange> iovaRanges, long pageSizes, OptionalLong availableMappings,
        OptionalLong lockedMemory) {

    /** Keeps a copy of the ranges. */
    public DmaLimits {
        iovaRanges = List.copyOf(iovaRanges);
    }

    /**
     * The smallest page: address and size of what is mapped, and its IOVA, are multiples of it.
     *
     * @return bytes, a power of two
     */
    public long pageSize() {
        return Long.lowestOneBit(pageSizes);
    }
}
