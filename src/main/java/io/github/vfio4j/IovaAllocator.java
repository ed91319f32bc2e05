package io.github.vfio4j;

import io.github.vfio4j.feature.IovaRange;
import java.util.Collection;
import java.util.List;
import java.util.NavigableMap;
import java.util.OptionalLong;
import java.util.TreeMap;

/**
 * Gives out I/O virtual addresses: the lowest that fit, but never address 0, at which many devices and drivers think there
 * is nothing. All addresses are unsigned. Guarded by its owner.
 *
 * <p>
 * Keeps what is free and not what is taken, of which there may be tens of thousands: who maps one thing after another finds
 * the first hole to be the one behind the last mapping.
 */
final class IovaAllocator {

    private List<IovaRange> allowed = List.of();

    /** What is free: the last address of each hole by its first. No hole reaches from one allowed range into another. */
    private final NavigableMap<Long, Long> holes = new TreeMap<>(Long::compareUnsigned);

    /**
     * Begins anew.
     *
     * @param ranges
     *            what addresses there are, in order
     * @param taken
     *            those of them that are not free
     */
    void reset(List<IovaRange> ranges, Collection<IovaRange> taken) {
        allowed = List.copyOf(ranges);
        holes.clear();
        allowed.forEach(range -> holes.put(range.iova(), range.last()));
        taken.forEach(this::take);
    }

    List<IovaRange> allowed() {
        return allowed;
    }

    /** Whether a range is one that can be taken, now or once it is free. */
    boolean isAllowed(IovaRange range) {
        return allowed.stream().anyMatch(candidate -> Long.compareUnsigned(candidate.iova(), range.iova()) <= 0
                && Long.compareUnsigned(range.last(), candidate.last()) <= 0);
    }

    /**
     * Finds a place.
     *
     * @param size
     *            bytes, more than 0
     * @param alignment
     *            of the first address, a power of two
     * @return the first address, or empty if there is no room
     */
    OptionalLong find(long size, long alignment) {
        for (var hole : holes.entrySet()) {
            long lowest = hole.getKey() == 0 ? 1 : hole.getKey();
            long first = lowest + alignment - 1 & -alignment;
            boolean fits = Long.compareUnsigned(lowest, first) <= 0 && Long.compareUnsigned(first, hole.getValue()) <= 0
                    && Long.compareUnsigned(size - 1, hole.getValue() - first) <= 0;
            if (fits) {
                return OptionalLong.of(first);
            }
        }
        return OptionalLong.empty();
    }

    /** Takes a range, as far as it is free. */
    void take(IovaRange range) {
        long first = range.iova();
        long last = range.last();
        var hole = holes.floorEntry(first);
        if (hole == null || Long.compareUnsigned(hole.getValue(), first) < 0) {
            hole = holes.ceilingEntry(first);
        }
        while (hole != null && Long.compareUnsigned(hole.getKey(), last) <= 0) {
            holes.remove(hole.getKey());
            if (Long.compareUnsigned(hole.getKey(), first) < 0) {
                holes.put(hole.getKey(), first - 1);
            }
            if (Long.compareUnsigned(last, hole.getValue()) < 0) {
                holes.put(last + 1, hole.getValue());
                return;
            }
            hole = holes.higherEntry(hole.getKey());
        }
    }

    /** Gives a range back that has been taken, as far as it is still allowed. */
    void release(IovaRange range) {
        for (IovaRange candidate : allowed) {
            if (candidate.overlaps(range)) {
                release(candidate, max(candidate.iova(), range.iova()), min(candidate.last(), range.last()));
            }
        }
    }

    private void release(IovaRange within, long from, long to) {
        long first = from;
        long last = to;
        var below = holes.lowerEntry(first);
        if (first != within.iova() && below != null && below.getValue() == first - 1) {
            first = below.getKey();
        }
        Long above = last == within.last() ? null : holes.remove(last + 1);
        if (above != null) {
            last = above;
        }
        holes.put(first, last);
    }

    private static long max(long one, long other) {
        return Long.compareUnsigned(one, other) >= 0 ? one : other;
    }

    private static long min(long one, long other) {
        return Long.compareUnsigned(one, other) <= 0 ? one : other;
    }
}
