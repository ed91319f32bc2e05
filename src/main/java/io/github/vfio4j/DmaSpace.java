package io.github.vfio4j;

import io.github.vfio4j.DmaMapping.State;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.feature.IovaRange;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashSet;
import java.util.List;
import java.util.NavigableMap;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * What an application has mapped in an address space of the IOMMU, whichever kind that is. Everything that can be known to
 * be wrong is refused before the kernel is asked.
 *
 * <p>
 * Guarded by itself, also during the calls: the kernel makes them one after another, too.
 */
final class DmaSpace {

    /** The largest page of an IOMMU that addresses are chosen for. */
    private static final long GIGANTIC_PAGE = 1L << 30;

    private final DmaDomain domain;
    private final IoctlBackend backend;
    private final String name;
    private final IovaAllocator addresses = new IovaAllocator();
    private final NavigableMap<Long, DmaMapping> mappings = new TreeMap<>(Long::compareUnsigned);

    /** Those whose memory is this library's and not yet freed. */
    private final Set<DmaMapping> owned = new HashSet<>();

    private boolean present;
    private boolean closed;

    /** What the kernel has said last; null once that may have changed. */
    private @Nullable DmaTerms terms;

    /**
     * An address space in which nothing can be mapped yet.
     *
     * @param name
     *            what it belongs to, for messages
     */
    DmaSpace(DmaDomain domain, IoctlBackend backend, String name) {
        this.domain = domain;
        this.backend = backend;
        this.name = name;
    }

    /** There is an address space from now on, or it has got another device or lost one. */
    synchronized void change() {
        present = true;
        terms = null;
    }

    /** The kernel has given up the address space, and all mappings with it. */
    synchronized void lose() {
        present = false;
        terms = null;
        mappings.values().forEach(mapping -> mapping.become(State.LOST));
        mappings.clear();
        addresses.reset(List.of(), List.of());
    }

    /**
     * Frees the memory that is this library's, once: the caller has closed the devices and the descriptor, with which all
     * mappings have ended.
     */
    synchronized void close() throws VfioException {
        closed = true;
        mappings.values().forEach(mapping -> mapping.become(State.UNMAPPED));
        mappings.clear();
        Closing.all(List.copyOf(owned).stream().map(mapping -> (Closing.Part) () -> free(mapping)).toList());
    }

    synchronized DmaLimits limits() throws VfioException {
        requireUsable();
        terms = null;
        DmaTerms now = terms();
        return new DmaLimits(now.ranges(), now.pageSizes(), now.available(), LockedMemory.limit(new Sysfs(backend)));
    }

    /** Maps memory of the library's own. */
    DmaMapping allocate(long bytes, DmaDirection direction) throws VfioException {
        if (bytes <= 0 || bytes > Long.MAX_VALUE - OwnMemory.HUGE_PAGE) {
            throw new IllegalArgumentException("There is no memory of " + bytes + " bytes to map: give 1 or more");
        }
        long page = pageSize();
        Arena arena = Arena.ofShared();
        try {
            return map(OptionalLong.empty(), OwnMemory.allocate(backend, arena, (bytes + page - 1) & -page, page),
                    direction, arena);
        } catch (VfioException | RuntimeException e) {
            arena.close();
            throw e;
        }
    }

    private synchronized long pageSize() throws VfioException {
        requireUsable();
        return terms().pageSize();
    }

    /**
     * Maps memory.
     *
     * @param fixed
     *            where; if empty, any free address
     * @param arena
     *            that of the memory, if it goes with the mapping
     */
    synchronized DmaMapping map(OptionalLong fixed, MemorySegment memory, DmaDirection direction, @Nullable Arena arena)
            throws VfioException {
        checkMemory(memory, direction);
        requireUsable();
        long page = terms().pageSize();
        checkAlignment(memory, page);
        IovaRange range = fixed.isPresent()
                ? fixedPlace(fixed.getAsLong(), memory.byteSize(), page)
                : freePlace(memory, page);
        addresses.take(range);
        try {
            domain.map(range.iova(), memory, direction);
        } catch (VfioException | RuntimeException e) {
            addresses.release(range);
            throw e;
        }
        DmaMapping mapping = new DmaMapping(this, range, memory, direction, arena);
        mappings.put(range.iova(), mapping);
        if (arena != null) {
            owned.add(mapping);
        }
        return mapping;
    }

    private static void checkMemory(MemorySegment memory, DmaDirection direction) {
        if (!memory.isNative()) {
            throw new IllegalArgumentException(
                    "Devices reach no memory of the Java heap, which moves: allocate it in an"
                            + " Arena, or let Iommu.allocate do it");
        }
        if (!memory.scope().isAlive()) {
            throw new IllegalStateException("The memory is freed: map memory whose arena lives as long as the mapping");
        }
        if (memory.byteSize() == 0) {
            throw new IllegalArgumentException("There are no 0 bytes to map: give at least a page");
        }
        if (memory.isReadOnly() && direction.deviceWrites()) {
            throw new IllegalArgumentException(
                    "The memory is read-only, and devices would write it: map it TO_DEVICE, not " + direction);
        }
    }

    private static void checkAlignment(MemorySegment memory, long page) {
        if (((memory.address() | memory.byteSize()) & page - 1) != 0) {
            throw new IllegalArgumentException("DMA is mapped in pages of " + page + " bytes, and the "
                    + memory.byteSize() + " bytes at 0x" + Long.toHexString(memory.address())
                    + " do not begin and end with one: allocate them by Arena.allocate(size, " + page
                    + ") with a multiple of that, or by Iommu.allocate");
        }
    }

    private IovaRange fixedPlace(long iova, long size, long page) {
        if ((iova & page - 1) != 0) {
            throw new IllegalArgumentException("DMA is mapped in pages of " + page
                    + " bytes, and none begins at IOVA 0x" + Long.toHexString(iova));
        }
        IovaRange range = new IovaRange(iova, size);
        if (!addresses.isAllowed(range)) {
            throw new IllegalArgumentException("IOVA " + range + " is not within one of the ranges that the devices and"
                    + " their IOMMU can use: " + addresses.allowed());
        }
        var before = mappings.floorEntry(range.last());
        if (before != null && before.getValue().range().overlaps(range)) {
            throw new IllegalArgumentException("IOVA " + range + " is in use: there is the " + before.getValue()
                    + ", which would have to be unmapped");
        }
        return range;
    }

    private IovaRange freePlace(MemorySegment memory, long page) throws VfioException {
        long size = memory.byteSize();
        long preferred = size < OwnMemory.HUGE_PAGE
                ? page
                : Math.max(page,
                        Math.min(GIGANTIC_PAGE, Long.lowestOneBit(memory.address() | Long.highestOneBit(size))));
        OptionalLong place = addresses.find(size, preferred);
        if (place.isEmpty()) {
            place = addresses.find(size, page);
        }
        if (place.isEmpty()) {
            throw new VfioException("map " + size + " bytes for DMA", null,
                    "There are not that many free addresses in one piece. Allowed are " + addresses.allowed() + ", and "
                            + mappings.size() + " mappings are there: unmap some, or map smaller pieces");
        }
        return new IovaRange(place.getAsLong(), size);
    }

    synchronized boolean isMapped(DmaMapping mapping) {
        return mapping.state() == State.MAPPED;
    }

    synchronized void unmap(DmaMapping mapping) throws VfioException {
        if (mapping.state() == State.UNMAPPED || closed) {
            throw new IllegalStateException("The " + mapping + " has been unmapped already"
                    + (closed ? ": the " + name + " is closed" : "") + ". To make sure that it is, close it");
        }
        end(mapping);
    }

    private void end(DmaMapping mapping) throws VfioException {
        if (mapping.state() == State.MAPPED) {
            domain.unmap(mapping.iova(), mapping.byteSize());
            mappings.remove(mapping.iova());
            addresses.release(mapping.range());
            if (mapping.isMemoryGone()) {
                LoggerFactory.getLogger(DmaSpace.class).warn(
                        "The memory of the {} was freed while devices could still reach it: unmap it before that",
                        mapping);
            }
        }
        mapping.become(State.UNMAPPED);
    }

    synchronized void close(DmaMapping mapping) throws VfioException {
        if (mapping.state() == State.MAPPED && !domain.isOpen()) {
            // Its Iommu is just being closed, which ends it and frees its memory in a moment.
            return;
        }
        end(mapping);
        if (owned.contains(mapping)) {
            free(mapping);
        }
    }

    private void free(DmaMapping mapping) throws VfioException {
        try {
            mapping.freeMemory();
        } catch (IllegalStateException e) {
            VfioException failure = new VfioException("free the memory of the " + mapping, null,
                    "A call on another thread is using it: close the mapping again when that is over");
            failure.initCause(e);
            throw failure;
        }
        owned.remove(mapping);
    }

    private void requireUsable() {
        if (closed) {
            throw new IllegalStateException(name + " is closed; open it again to use it");
        }
        if (!present) {
            throw new IllegalStateException("There is no IOMMU to map memory in: a " + name
                    + " has one from its first device to its last. Open a device first");
        }
    }

    private DmaTerms terms() throws VfioException {
        DmaTerms known = terms;
        if (known == null) {
            known = domain.terms();
            // No IOMMU has only larger ones (most have 4 or 64 KiB), and each mapping would take as much memory.
            if (Long.compareUnsigned(known.pageSize(), OwnMemory.HUGE_PAGE) > 0) {
                throw new VfioException("ask what can be mapped for DMA", null,
                        "The kernel's answer is malformed: the smallest page has "
                                + Long.toUnsignedString(known.pageSize()) + " bytes");
            }
            if (!known.ranges().equals(addresses.allowed())) {
                addresses.reset(known.ranges(), mappings.values().stream().map(DmaMapping::range).toList());
            }
            terms = known;
        }
        return known;
    }
}
