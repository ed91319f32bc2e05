package io.github.vfio4j.device;

/**
 * A part of a region.
 *
 * @param offset
 *            where it begins in the region
 * @param length
 *            bytes, at least 1
 */
public record RegionArea(long offset, long length) {

    /**
     * Checks the numbers.
     */
    public RegionArea {
        if (offset < 0 || length < 1 || offset + length < 0) {
            throw new IllegalArgumentException(
                    "There is no part of " + length + " bytes at " + offset + " of a region");
        }
    }

    /**
     * Where it ends.
     *
     * @return the first offset behind it
     */
    public long end() {
        return offset + length;
    }

    /** As in {@code 0x1000..0x1fff}. */
    @Override
    public String toString() {
        return "0x" + Long.toHexString(offset) + "..0x" + Long.toHexString(end() - 1);
    }
}
