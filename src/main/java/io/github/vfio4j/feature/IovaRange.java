package io.github.vfio4j.feature;

/**
 * A range of I/O virtual addresses, the addresses a device uses for DMA. Both values are unsigned.
 *
 * @param iova
 *            where it begins
 * @param length
 *            bytes, at least 1; the range may not reach the last byte of the address space, which the kernel's own
 *            arithmetic can't express (semantics §B.4.1)
 */
public record IovaRange(long iova, long length) {

    /** Checks the range. */
    public IovaRange {
        if (length == 0 || Long.compareUnsigned(iova + length, iova) <= 0) {
            throw new IllegalArgumentException("There is no range of " + Long.toUnsignedString(length) + " bytes at 0x"
                    + Long.toHexString(iova) + ": it needs a length and an end below 2^64");
        }
    }

    /**
     * The last address.
     *
     * @return inclusive
     */
    public long last() {
        return iova + length - 1;
    }

    /**
     * Whether some address is in both ranges.
     *
     * @param other
     *            the other range
     * @return false for neighbours
     */
    public boolean overlaps(IovaRange other) {
        return Long.compareUnsigned(iova, other.last()) <= 0 && Long.compareUnsigned(other.iova, last()) <= 0;
    }

    /** The addresses, last one included, for example {@code 0x1000-0x1fff}. */
    @Override
    public String toString() {
        return "0x" + Long.toHexString(iova) + "-0x" + Long.toHexString(last());
    }
}
