package io.github.vfio4j;

import io.github.vfio4j.feature.IovaRange;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * What the kernel says about an address space of the IOMMU; for the parts see {@link DmaLimits}.
 *
 * @param ranges
 *            the addresses that mappings can have, in order
 * @param pageSizes
 *            a bit for each size of pages
 * @param available
 *            how many more mappings there can be
 */
record DmaTerms(List<IovaRange> ranges, long pageSizes, OptionalLong available) {

    /** What memory is mapped in where the IOMMU has smaller pages, or none of its own: the smallest page of any processor. */
    private static final long PAGE = 4096;

    long pageSize() {
        return Long.lowestOneBit(pageSizes);
    }

    /** Page sizes of which none is smaller than the processor's. */
    static long pageSizes(long reported) {
        long sizes = reported & -PAGE;
        return sizes == reported && sizes != 0 ? sizes : sizes | PAGE;
    }

    /** Collects ranges as the kernel has them, by first and last address. */
    static final class Ranges {

        private static final long LAST = -1 - PAGE;

        private final List<IovaRange> list = new ArrayList<>();

        /** Adds a range, without the last page there is. */
        void add(long first, long last) {
            long end = Long.compareUnsigned(last, LAST) > 0 ? LAST : last;
            if (Long.compareUnsigned(first, end) <= 0) {
                list.add(new IovaRange(first, end - first + 1));
            }
        }

        List<IovaRange> toList() {
            return List.copyOf(list);
        }
    }
}
