package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Bit n stands for page n (semantics §B.4.3). */
class DirtyBitmapTest {

    private static List<IovaRange> dirty(DirtyBitmap bitmap) {
        List<IovaRange> ranges = new ArrayList<>();
        bitmap.forEachDirtyRange((iova, length) -> ranges.add(new IovaRange(iova, length)));
        return ranges;
    }

    /** What a kernel does: byte n / 8, bit n % 8. */
    private static void set(DirtyBitmap bitmap, long page) {
        MemorySegment bits = bitmap.segment();
        byte old = bits.get(ValueLayout.JAVA_BYTE, page / 8);
        bits.set(ValueLayout.JAVA_BYTE, page / 8, (byte) (old | 1 << page % 8));
    }

    /** Runs of pages, some of them long, against the same runs found bit by bit. */
    @Property
    void theRangesAreTheRunsOfBits(@ForAll @IntRange(min = 1, max = 1500) int pages,
            @ForAll @Size(max = 12) Set<@IntRange(max = 1499) Integer> begins,
            @ForAll @IntRange(min = 1, max = 200) int run) {
        try (Arena arena = Arena.ofConfined()) {
            IovaRange range = new IovaRange(0x7fff_ffff_0000_0000L, pages * 4096L);
            DirtyBitmap bitmap = DirtyBitmap.allocate(range, 4096, arena);
            BitSet model = new BitSet();
            for (int begin : begins) {
                model.set(begin, begin + run);
            }
            model.clear(pages, Integer.MAX_VALUE);
            model.stream().forEach(page -> set(bitmap, page));
            List<IovaRange> expected = new ArrayList<>();
            for (int from = model.nextSetBit(0); from >= 0; from = model.nextSetBit(model.nextClearBit(from))) {
                expected.add(new IovaRange(range.iova() + from * 4096L, (model.nextClearBit(from) - from) * 4096L));
            }
            assertThat(dirty(bitmap)).isEqualTo(expected);
            assertThat(bitmap.dirtyPages()).isEqualTo(model.cardinality());
            bitmap.clear();
            assertThat(dirty(bitmap)).isEmpty();
            assertThat(bitmap.dirtyPages()).isZero();
        }
    }

    @Test
    void aRangeEndsWhereTheBitmapEnds() {
        try (Arena arena = Arena.ofConfined()) {
            DirtyBitmap bitmap = DirtyBitmap.allocate(new IovaRange(0x1000, 3 * 65536 + 5), 65536, arena);
            bitmap.segment().fill((byte) 0xff);
            assertThat(dirty(bitmap)).containsExactly(new IovaRange(0x1000, 3 * 65536 + 5));
            bitmap.clear();
            set(bitmap, 3);
            assertThat(dirty(bitmap)).containsExactly(new IovaRange(0x1000 + 3 * 65536, 5));
            bitmap.clear();
            set(bitmap, 4);
            assertThat(dirty(bitmap)).as("beyond the range").isEmpty();
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 4096, 8", "4096, 4096, 8", "262144, 4096, 8", "262145, 4096, 16", "1099511627776, 4096, 33554432",
            "1099511627776, 2097152, 65536", "-4096, 4096, 562949953421312", "-1, 4611686018427387904, 8"})
    void theSizeIsThatOfWholeWords(long length, long pageSize, long expected) {
        assertThat(DirtyBitmap.byteSize(new IovaRange(0, length), pageSize)).isEqualTo(expected);
    }

    @ParameterizedTest
    @ValueSource(longs = {0, 1, 2048, 4095, 4097, 12288, -1, -4096})
    void aPageSizeThatTheKernelRefusesIsRefused(long pageSize) {
        assertThatIllegalArgumentException().isThrownBy(() -> DirtyBitmap.byteSize(new IovaRange(0, 4096), pageSize))
                .withMessageContaining("power of two");
    }

    @Test
    void memoryOfTheCallersIsUsedAsFarAsItGoes() {
        IovaRange range = new IovaRange(0, 128 * 4096);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(24, 8).fill((byte) 0xff);
            DirtyBitmap bitmap = DirtyBitmap.allocate(range, 4096, SegmentAllocator.prefixAllocator(memory));
            assertThat(bitmap.segment().address()).isEqualTo(memory.address());
            assertThat(dirty(bitmap)).as("a bitmap begins clean").isEmpty();
            assertThat(memory.get(ValueLayout.JAVA_LONG, 16)).as("what is behind it").isEqualTo(-1);
            for (MemorySegment unfit : List.of(memory.asSlice(0, 15), memory.asSlice(1, 17).asSlice(0, 15),
                    MemorySegment.ofArray(new long[2]))) {
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> DirtyBitmap.allocate(range, 4096, SegmentAllocator.prefixAllocator(unfit)))
                        .withMessageContaining("16 bytes of native memory");
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "4096, 0", "-4096, 4096", "-1, 1", "1, -1", "-9223372036854775808, -9223372036854775808"})
    void aRangeHasALengthAndAnEndBelowTheLastByte(long iova, long length) {
        assertThatIllegalArgumentException().isThrownBy(() -> new IovaRange(iova, length));
    }

    @Test
    void rangesOverlapWhereTheyShareAnAddress() {
        IovaRange middle = new IovaRange(0x8000_0000_0000_0000L, 0x1000);
        assertThat(middle.overlaps(middle)).isTrue();
        assertThat(middle.overlaps(new IovaRange(0, Long.MIN_VALUE))).as("up to its begin").isFalse();
        assertThat(middle.overlaps(new IovaRange(0, Long.MIN_VALUE + 1))).isTrue();
        assertThat(middle.overlaps(new IovaRange(Long.MIN_VALUE + 0xfff, 1))).isTrue();
        assertThat(middle.overlaps(new IovaRange(Long.MIN_VALUE + 0x1000, 1))).isFalse();
    }

    @Test
    void aBitBehindTheLastPageIsNobodys() {
        try (Arena arena = Arena.ofConfined()) {
            DirtyBitmap bitmap = DirtyBitmap.allocate(new IovaRange(0x1000, 4 * 65536), 65536, arena);
            set(bitmap, 4);
            assertThat(dirty(bitmap)).isEmpty();
            bitmap.segment().fill((byte) 0xff);
            assertThat(dirty(bitmap)).containsExactly(new IovaRange(0x1000, 4 * 65536));
        }
    }

    @Test
    void itsTextIsTheRangeAndThePageSize() {
        try (Arena arena = Arena.ofConfined()) {
            assertThat(DirtyBitmap.allocate(new IovaRange(0x10000, 0x20000), 65536, arena))
                    .hasToString("DirtyBitmap[0x10000-0x2ffff, pages of 65536 bytes]");
        }
    }
}
