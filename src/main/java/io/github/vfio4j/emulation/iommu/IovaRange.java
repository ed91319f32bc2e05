package io.github.vfio4j.emulation.iommu;

/**
 * Addresses a device can use for DMA.
 *
 * @param first
 *            the first one, unsigned
 * @param last
 *            the last one, unsigned
 */
public record IovaRange(long first, long last) {

    /** Whether it has a whole range in it. */
    public boolean contains(long otherFirst, long otherLast) {
        return Long.compareUnsigned(first, otherFirst) <= 0 && Long.compareUnsigned(otherLast, last) <= 0;
    }
}
