package io.github.vfio4j.emulation.iommu;

import java.util.Collection;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The mappings of a container or of an address space of an iommufd, none of which overlap, by address. Guarded by its owner.
 *
 * @param <M>
 *            which of both
 */
public final class DmaMappings<M extends DmaMapping> {

    private final NavigableMap<Long, M> byIova = new TreeMap<>(Long::compareUnsigned);

    /** Whether there is none. */
    public boolean isEmpty() {
        return byIova.isEmpty();
    }

    int count() {
        return byIova.size();
    }

    /** All of them, in order. */
    public Collection<M> all() {
        return byIova.values();
    }

    /** Adds one that overlaps none. */
    public void add(M mapping) {
        byIova.put(mapping.iova(), mapping);
    }

    /** Removes one. */
    public void remove(M mapping) {
        byIova.remove(mapping.iova());
    }

    /** The one that has an address; null if none has. */
    public @Nullable M containing(long address) {
        var below = byIova.floorEntry(address);
        return below != null && below.getValue().contains(address) ? below.getValue() : null;
    }

    /** Those that have an address in common with a range, in order. */
    public List<M> overlapping(long first, long last) {
        M cut = containing(first);
        return List.copyOf(byIova.subMap(cut == null ? first : cut.iova(), true, last, true).values());
    }

    /** Whether a range begins or ends within one. */
    public boolean isCutBy(long first, long last) {
        M atFirst = containing(first);
        M atLast = containing(last);
        return (atFirst != null && atFirst.iova() != first) || (atLast != null && atLast.last() != last);
    }
}
