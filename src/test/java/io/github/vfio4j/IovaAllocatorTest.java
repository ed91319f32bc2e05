package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.feature.IovaRange;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.From;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** In pages, against the simplest allocator there is: a list of what is taken, and a look at each page. */
class IovaAllocatorTest {

    private static final long PAGE = 4096;

    /** Small enough to run out of, with a gap, neighbours, and the highest addresses there can be. */
    private static final List<IovaRange> RANGES = List.of(pages(0, 20), pages(24, 8), pages(32, 10),
            new IovaRange(-12 * PAGE, 10 * PAGE));

    /** Something done to an allocator. */
    record Step(Kind kind, int size, int alignment, int which) {
        enum Kind {
            FIND_AND_TAKE, TAKE, RELEASE
        }
    }

    private static IovaRange pages(long first, long count) {
        return new IovaRange(first * PAGE, count * PAGE);
    }

    @Provide
    Arbitrary<Step> steps() {
        return Combinators.combine(Arbitraries.of(Step.Kind.class), Arbitraries.integers().between(1, 6),
                Arbitraries.integers().between(0, 3), Arbitraries.integers().between(0, 1000)).as(Step::new);
    }

    private static boolean isFree(List<IovaRange> taken, IovaRange range) {
        return taken.stream().noneMatch(range::overlaps);
    }

    private static boolean isAllowed(IovaRange range) {
        return RANGES.stream().anyMatch(allowed -> Long.compareUnsigned(allowed.iova(), range.iova()) <= 0
                && Long.compareUnsigned(range.last(), allowed.last()) <= 0);
    }

    /** Every place there is, in order. */
    private static OptionalLong lowest(List<IovaRange> taken, long size, long alignment) {
        for (IovaRange range : RANGES) {
            for (long at = range.iova(); Long.compareUnsigned(at, range.last()) < 0; at += PAGE) {
                boolean isCandidate = at != 0 && (at & alignment - 1) == 0 && Long.compareUnsigned(at + size, at) > 0;
                if (isCandidate && isAllowed(new IovaRange(at, size)) && isFree(taken, new IovaRange(at, size))) {
                    return OptionalLong.of(at);
                }
            }
        }
        return OptionalLong.empty();
    }

    @Property
    void givesTheLowestPlaceThatIsFree(@ForAll List<@From("steps") Step> steps) {
        IovaAllocator allocator = new IovaAllocator();
        allocator.reset(RANGES, List.of());
        List<IovaRange> taken = new ArrayList<>();
        for (Step step : steps) {
            long size = step.size() * PAGE;
            switch (step.kind()) {
                case FIND_AND_TAKE -> {
                    long alignment = PAGE << step.alignment();
                    OptionalLong place = allocator.find(size, alignment);
                    assertThat(place).isEqualTo(lowest(taken, size, alignment));
                    place.ifPresent(iova -> {
                        allocator.take(new IovaRange(iova, size));
                        taken.add(new IovaRange(iova, size));
                    });
                }
                case TAKE -> {
                    IovaRange range = pages(step.which() % 42, step.size());
                    assertThat(allocator.isAllowed(range)).isEqualTo(isAllowed(range));
                    if (isAllowed(range) && isFree(taken, range)) {
                        allocator.take(range);
                        taken.add(range);
                    }
                }
                case RELEASE -> {
                    if (!taken.isEmpty()) {
                        allocator.release(taken.remove(step.which() % taken.size()));
                    }
                }
            }
        }
        List.copyOf(taken).forEach(allocator::release);
        for (IovaRange range : RANGES) {
            long usable = range.iova() == 0 ? range.length() - PAGE : range.length();
            OptionalLong whole = allocator.find(usable, PAGE);
            assertThat(whole).as("all of it is one piece again").isPresent();
        }
        allocator.reset(RANGES, taken);
        assertThat(allocator.find(PAGE, PAGE)).as("the same from anew").isEqualTo(lowest(taken, PAGE, PAGE));
    }

    @Test
    void beginsAnewAroundWhatIsTaken() {
        IovaAllocator allocator = new IovaAllocator();
        allocator.reset(List.of(pages(0, 100)), List.of());
        assertThat(allocator.find(PAGE, PAGE)).hasValue(PAGE);
        allocator.reset(List.of(pages(0, 3), pages(10, 4)), List.of(pages(1, 1), pages(11, 1), pages(50, 5)));
        assertThat(allocator.find(PAGE, PAGE)).hasValue(2 * PAGE);
        assertThat(allocator.find(2 * PAGE, PAGE)).hasValue(12 * PAGE);
        assertThat(allocator.find(3 * PAGE, PAGE)).isEmpty();
        allocator.release(pages(50, 5));
        assertThat(allocator.find(3 * PAGE, PAGE)).as("what is not allowed any more does not come back").isEmpty();
    }

    @Test
    void findsNothingBeyondTheLastAddress() {
        IovaAllocator allocator = new IovaAllocator();
        allocator.reset(List.of(new IovaRange(-3 * PAGE, 2 * PAGE)), List.of());
        assertThat(allocator.find(PAGE, 1L << 30)).isEmpty();
        assertThat(allocator.find(2 * PAGE, PAGE)).hasValue(-3 * PAGE);
        assertThat(allocator.find(Long.MIN_VALUE, PAGE)).isEmpty();
        allocator.reset(List.of(), List.of());
        assertThat(allocator.find(PAGE, PAGE)).isEmpty();
    }
}
