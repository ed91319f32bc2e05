package io.github.vfio4j.emulation.iommu;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/**
 * A bit for every page of a mapping, and one word more, in which type1 moves them to where they belong in the caller's
 * bitmap.
 *
 * <p>
 * What is dirty is what type1 takes for dirty, whatever devices write: where a group is behind an IOMMU, whose writes it
 * can't see, every page that the IOMMU maps, at every report anew. Drivers that imitate DMA would tell it which pages they
 * pinned, and the sample drivers pin none.
 */
final class DirtyBits {

    private static final int SHIFT_MASK = Long.SIZE - 1;

    private final long pages;
    private final long[] words;

    DirtyBits(long pages) {
        if (pages > Integer.MAX_VALUE) {
            throw new NotModelledException("dirty tracking of a mapping with more than 2^31-1 pages");
        }
        this.pages = pages;
        words = new long[(int) (words(pages) + 1)];
    }

    private static long words(long bits) {
        return (bits + Long.SIZE - 1) / Long.SIZE;
    }

    void setAll() {
        Arrays.fill(words, 0, (int) (pages / Long.SIZE), -1L);
        words[(int) (pages / Long.SIZE)] |= bitsOfLastWord();
    }

    /** Clears the pages' bits and, as type1 does, not those behind them that the moving has left. */
    void clear() {
        Arrays.fill(words, 0, (int) (pages / Long.SIZE), 0);
        words[(int) (pages / Long.SIZE)] &= ~bitsOfLastWord();
    }

    private long bitsOfLastWord() {
        return (1L << (pages & SHIFT_MASK)) - 1;
    }

    /**
     * Copies whole words: within the first and the last one, bits of pages that are not in this mapping may be written as
     * well. A first word in which the mapping does not begin at bit 0 keeps what is set in it.
     *
     * @param bitmap
     *            the address of the caller's bitmap
     * @param firstBit
     *            the bit of this mapping's first page
     */
    int copyTo(CallContext call, long bitmap, long firstBit) {
        MemorySegment memory = call.memoryAt(bitmap + firstBit / Long.SIZE * Long.BYTES);
        int shift = (int) (firstBit & SHIFT_MASK);
        int length = (int) words(pages + shift);
        if (shift != 0) {
            shiftLeft(shift, length);
        }
        if (memory == null || !UserMemory.mapped(memory, 0, (long) length * Long.BYTES)) {
            return -Errno.EFAULT.code();
        }
        if (shift != 0) {
            words[0] |= UserMemory.getLong(memory, 0);
        }
        for (int i = 0; i < length; i++) {
            UserMemory.putLong(memory, (long) i * Long.BYTES, words[i]);
        }
        return 0;
    }

    private void shiftLeft(int shift, int length) {
        for (int i = length - 1; i > 0; i--) {
            words[i] = words[i] << shift | words[i - 1] >>> (Long.SIZE - shift);
        }
        words[0] <<= shift;
    }
}
