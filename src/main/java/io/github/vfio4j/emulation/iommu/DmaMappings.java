package io.github.vfio4j.emulation.iommu;

import java.util.Collection;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The mappings of a container, none of which overlap, by address. */
final class DmaMappings {

    private final NavigableMap<Long, DmaMapping> byIova = new TreeMap<>(Long::compareUnsigned);

    boolean isEmpty() {
        return byIova.isEmpty();
    }

    int count() {
        return byIova.size();
    }

    Collection<DmaMapping> all() {
        return byIova.values();
    }

    void add(DmaMapping mapping) {
        byIova.put(mapping.iova(), mapping);
    }

    void remove(DmaMapping mapping) {
        byIova.remove(mapping.iova());
    }

    private @Nullable DmaMapping containing(long address) {
        var below = byIova.floorEntry(address);
        return below != null && below.getValue().contains(address) ? below.getValue() : null;
    }

    /** Those that have an address in common with a range, in order. */
    List<DmaMapping> overlapping(long first, long last) {
        DmaMapping cut = containing(first);
        return List.copyOf(byIova.subMap(cut == null ? first : cut.iova(), true, last, true).values());
    }

    /** Whether a range begins or ends within one. */
    boolean isCutBy(long first, long last) {
        DmaMapping atFirst = containing(first);
        DmaMapping atLast = containing(last);
        return (atFirst != null && atFirst.iova() != first) || (atLast != null && atLast.last() != last);
    }
}
