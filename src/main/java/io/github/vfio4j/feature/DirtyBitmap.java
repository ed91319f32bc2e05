package io.github.vfio4j.feature;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;

/**
 * Which pages of a range a device has written to: bit n of the bitmap stands for the n-th page of the range (semantics
 * §B.4.3). The kernel only ever sets bits, so that one bitmap can collect several reports; {@link #clear} begins anew.
 *
 * <p>
 * Laid out once, in memory whose arena says how long it lives and who may use it. Not safe for a report and a reader at
 * once.
 */
public final class DirtyBitmap {

    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG;
    private static final long SMALLEST_PAGE = 4096;
    private static final long NONE = -1;

    /** Words that are looked at together where there is nothing to be seen. */
    private static final int STRIDE = 8;

    private final IovaRange range;
    private final int pageShift;
    private final MemorySegment bits;
    private final long words;

    private DirtyBitmap(IovaRange range, int pageShift, MemorySegment bits) {
        this.range = range;
        this.pageShift = pageShift;
        this.bits = bits;
        words = bits.byteSize() / Long.BYTES;
    }

    /**
     * How much memory a bitmap takes.
     *
     * @param range
     *            the range
     * @param pageSize
     *            bytes a bit stands for, a power of two of at least 4096
     * @return bytes, a multiple of 8
     * @throws IllegalArgumentException
     *             if the page size is another
     */
    public static long byteSize(IovaRange range, long pageSize) {
        long pages = ((range.length() - 1) >>> shift(pageSize)) + 1;
        return ((pages - 1) / Long.SIZE + 1) * Long.BYTES;
    }

    static boolean isPageSize(long pageSize) {
        return Long.bitCount(pageSize) == 1 && Long.compareUnsigned(pageSize, SMALLEST_PAGE) >= 0;
    }

    private static int shift(long pageSize) {
        if (!isPageSize(pageSize)) {
            throw new IllegalArgumentException("A bit stands for a page whose size is a power of two of at least "
                    + SMALLEST_PAGE + " bytes, not for " + Long.toUnsignedString(pageSize));
        }
        return Long.numberOfTrailingZeros(pageSize);
    }

    /**
     * A bitmap without dirty pages.
     *
     * @param range
     *            the addresses it covers
     * @param pageSize
     *            bytes a bit stands for, a power of two of at least 4096
     * @param allocator
     *            where the bits are to be: an arena, or memory of the caller's through
     *            {@link SegmentAllocator#prefixAllocator}
     * @return the bitmap
     * @throws IllegalArgumentException
     *             if the page size is another, or the memory is on the heap, too small or not aligned to 8 bytes
     */
    public static DirtyBitmap allocate(IovaRange range, long pageSize, SegmentAllocator allocator) {
        long size = byteSize(range, pageSize);
        MemorySegment bits;
        try {
            bits = allocator.allocate(size, Long.BYTES);
        } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
            throw new IllegalArgumentException(needs(range, size), e);
        }
        if (!bits.isNative()) {
            throw new IllegalArgumentException(needs(range, size));
        }
        return new DirtyBitmap(range, shift(pageSize), bits.fill((byte) 0));
    }

    private static String needs(IovaRange range, long size) {
        return "The bitmap of " + range + " needs " + size + " bytes of native memory, aligned to 8";
    }

    /**
     * The addresses it covers.
     *
     * @return the range
     */
    public IovaRange range() {
        return range;
    }

    /**
     * What a bit stands for.
     *
     * @return bytes, a power of two
     */
    public long pageSize() {
        return 1L << pageShift;
    }

    /**
     * The bits, as the kernel sees them.
     *
     * @return the segment itself; bit n is bit n % 8 of byte n / 8
     */
    public MemorySegment segment() {
        return bits;
    }

    /** Forgets what was reported. */
    public void clear() {
        bits.fill((byte) 0);
    }

    /**
     * How many pages are dirty.
     *
     * @return 0 or more
     */
    public long dirtyPages() {
        long count = 0;
        for (long word = 0; word < words; word++) {
            count += Long.bitCount(word(word));
        }
        return count;
    }

    /**
     * Goes through what is dirty, in order; pages that follow each other come as one range.
     *
     * @param consumer
     *            takes the ranges; the last one ends where this bitmap's range ends, page or not
     */
    public void forEachDirtyRange(DirtyRangeConsumer consumer) {
        long start = NONE;
        long word = nextSet(0);
        while (word < words) {
            start = runs(word, start, consumer);
            word = start == NONE ? nextSet(word + 1) : word + 1;
        }
        if (start != NONE) {
            emit(consumer, start, words * Long.SIZE);
        }
    }

    /** The next word in which something is set. */
    private long nextSet(long from) {
        long word = from;
        while (word + STRIDE <= words && (word(word) | word(word + 1) | word(word + 2) | word(word + 3) | word(word + 4)
                | word(word + 5) | word(word + 6) | word(word + 7)) == 0) {
            word += STRIDE;
        }
        while (word < words && word(word) == 0) {
            word++;
        }
        return word;
    }

    /**
     * Goes through one word.
     *
     * @param open
     *            the page at which a run has begun in an earlier word, or NONE
     * @return the same for the next word
     */
    private long runs(long index, long open, DirtyRangeConsumer consumer) {
        long word = word(index);
        long first = index * Long.SIZE;
        long start = open;
        int at = 0;
        while (true) {
            if (start == NONE) {
                long ones = word >>> at;
                if (ones == 0) {
                    return NONE;
                }
                at += Long.numberOfTrailingZeros(ones);
                start = first + at;
            }
            long zeros = ~word >>> at;
            if (zeros == 0) {
                return start;
            }
            at += Long.numberOfTrailingZeros(zeros);
            emit(consumer, start, first + at);
            start = NONE;
        }
    }

    private void emit(DirtyRangeConsumer consumer, long fromPage, long toPage) {
        long offset = fromPage << pageShift;
        // The pages beyond the range's end are nobody's; in the last one the range may end half way.
        long pages = ((range.length() - 1) >>> pageShift) + 1;
        long end = toPage >= pages ? range.length() : toPage << pageShift;
        if (fromPage < pages) {
            consumer.accept(range.iova() + offset, end - offset);
        }
    }

    private long word(long index) {
        return bits.getAtIndex(WORD, index);
    }

    /** The range and the page size. */
    @Override
    public String toString() {
        return "DirtyBitmap[" + range + ", pages of " + pageSize() + " bytes]";
    }
}
