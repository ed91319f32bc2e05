package io.github.vfio4j.emulation.feature;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The bitmap of a report on DMA writes: bit n stands for the n-th page from {@code iova} on (semantics §B.4.3). Bits are
 * only ever set, and those beyond the mapped memory are lost.
 *
 * @param memory
 *            where it is
 * @param iova
 *            the address of its first bit
 * @param pageShift
 *            the page size's logarithm
 */
record ReportBitmap(MemorySegment memory, long iova, int pageShift) {

    private static final int BITS_PER_WORD = 64;
    private static final long PAGE_SIZE = 4096;
    /** As many pages are pinned at a time as fit a page of pointers. */
    private static final long MAX_PINNED = PAGE_SIZE / Long.BYTES * PAGE_SIZE;

    /**
     * How many addresses can be reported on from this one on, if the memory for their bits has to be pinned first: 0 if none
     * of it is mapped.
     *
     * @param start
     *            the first bit of a word stands for it
     * @param length
     *            how many there are left, at least 1
     */
    long pinned(long start, long length) {
        long at = ((start - iova) >>> pageShift) / Byte.SIZE;
        long offsetInPage = (memory.address() + at) & (PAGE_SIZE - 1);
        long words = Math.min(MAX_PINNED - offsetInPage, Math.max(0, memory.byteSize() - at)) / Long.BYTES;
        long needed = ((length - 1) >>> pageShift) / BITS_PER_WORD + 1;
        return words >= needed ? length : (words * BITS_PER_WORD) << pageShift;
    }

    /** Marks those of the dirty addresses that are in a window. */
    void set(long dirty, long dirtyLength, long window, long windowLength) {
        if (dirtyLength == 0 || windowLength == 0) {
            return;
        }
        long dirtyEnd = dirty + dirtyLength - 1;
        long last = unsignedMin(Long.compareUnsigned(dirtyEnd, dirty) < 0 ? -1 : dirtyEnd, window + windowLength - 1);
        long first = Long.compareUnsigned(dirty, window) < 0 ? window : dirty;
        if (Long.compareUnsigned(first, last) > 0) {
            return;
        }
        long lastBit = (last - iova) >>> pageShift;
        for (long bit = (first - iova) >>> pageShift; bit <= lastBit && bit >>> 3 < memory.byteSize(); bit++) {
            byte old = memory.get(ValueLayout.JAVA_BYTE, bit >>> 3);
            memory.set(ValueLayout.JAVA_BYTE, bit >>> 3, (byte) (old | 1 << (bit & 7)));
        }
    }

    private static long unsignedMin(long a, long b) {
        return Long.compareUnsigned(a, b) < 0 ? a : b;
    }
}
