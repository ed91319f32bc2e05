package io.github.vfio4j.feature;

/**
 * A part of a device region.
 *
 * @param offset
 *            bytes from the region's begin, a multiple of the page size
 * @param length
 *            bytes, a multiple of the page size, at least one page
 */
public record RegionRange(long offset, long length) {

    /** Pages are at least that large everywhere. */
    private static final long SMALLEST_PAGE = 4096;

    /** Checks what holds for every region; a kernel may have larger pages. */
    public RegionRange {
        if (offset < 0 || length <= 0 || ((offset | length) & (SMALLEST_PAGE - 1)) != 0) {
            throw new IllegalArgumentException("There is no range of " + length + " bytes at " + offset
                    + ": both are multiples of " + SMALLEST_PAGE + ", and the length is not 0");
        }
    }
}
