package io.github.vfio4j.emulation.iommufd;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DmaFault;
import io.github.vfio4j.emulation.fs.LockedMemory;
import io.github.vfio4j.emulation.iommu.DmaAccess;
import io.github.vfio4j.emulation.iommu.DmaMapping;
import io.github.vfio4j.emulation.iommu.DmaMappings;
import io.github.vfio4j.emulation.iommu.DmaMemory;
import io.github.vfio4j.emulation.iommu.DmaTarget;
import io.github.vfio4j.emulation.iommu.DmaTransfer;
import io.github.vfio4j.emulation.iommu.IommuHardware;
import io.github.vfio4j.emulation.iommu.IovaRange;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.OptionalLong;

/**
 * What is mapped in an I/O address space (struct io_pagetable). What devices it has decides what can be: without any, every
 * byte of 64 bits of addresses; an IOMMU leaves its own pages and addresses, and pins the memory; a driver that imitates DMA
 * leaves whole pages. The rules are those of drivers/iommu/iommufd/io_pagetable.c.
 */
final class AddressSpace implements DmaTarget {

    private static final long PAGE = 4096;

    /** To this the addresses that the kernel chooses are aligned at most, if it was built with transparent huge pages. */
    private static final long HUGE_PAGE = 2L << 20;

    private static final IovaRange EVERYTHING = new IovaRange(0, -1);

    private final IommuHardware hardware;
    private final DmaMappings<Area> areas = new DmaMappings<>();
    private int pageTables;
    private int accesses;
    private boolean smallPages;

    AddressSpace(IommuHardware hardware) {
        this.hardware = hardware;
    }

    /** A mapping; whether its memory may be mapped for writing was said when it was mapped first, and not copied. */
    private static final class Area extends DmaMapping {

        private final boolean writable;
        private final LockedMemory account;

        Area(long iova, Pages pages, DmaAccess access) {
            super(iova, pages.memory(), access);
            writable = pages.writable();
            account = pages.account();
        }

        Pages slice(long first, long last) {
            return new Pages(memory().slice(first - iova(), last - first + 1), writable, account);
        }

        boolean lock() {
            return account.lock(size());
        }

        void unlock() {
            account.unlock(size());
        }
    }

    /**
     * Memory to map (struct iopt_pages).
     *
     * @param memory
     *            what there is
     * @param writable
     *            whether it may be mapped for writing
     * @param account
     *            where it is counted as locked once an IOMMU maps it
     */
    record Pages(DmaMemory memory, boolean writable, LockedMemory account) {
    }

    /**
     * What has come of a request.
     *
     * @param error
     *            0, or −errno
     * @param value
     *            an address or a size
     */
    record Outcome(int error, long value) {

        static Outcome failure(Errno errno) {
            return new Outcome(-errno.code(), 0);
        }
    }

    synchronized long alignment() {
        return pageTables > 0 ? Long.lowestOneBit(hardware.pageSizes()) : accesses > 0 || smallPages ? PAGE : 1;
    }

    /** A bit for every size of pages; without an IOMMU all but those that are smaller than the processor's. */
    synchronized long pageSizes() {
        return pageTables > 0 ? hardware.pageSizes() : -PAGE;
    }

    /** The addresses that no device's IOMMU keeps for itself. */
    synchronized List<IovaRange> ranges() {
        return pageTables > 0 ? hardware.ranges() : List.of(EVERYTHING);
    }

    private boolean isAligned(long value, long alignment) {
        return (value & alignment - 1) == 0;
    }

    private boolean areAreasAligned(long alignment) {
        return areas.all().stream()
                .allMatch(area -> isAligned(area.iova() | area.size() | area.memory().address() % PAGE, alignment));
    }

    /** An IOMMU is to translate the addresses: what is mapped must suit it, and be there. */
    synchronized int addPageTable() {
        boolean suits = areAreasAligned(Long.lowestOneBit(hardware.pageSizes()))
                && areas.all().stream().allMatch(area -> isWithin(hardware.ranges(), area.iova(), area.last()));
        if (!suits) {
            return -Errno.EADDRINUSE.code();
        }
        if (!areas.all().stream().allMatch(area -> area.memory().isPinnable())) {
            return -Errno.EFAULT.code();
        }
        if (pageTables == 0 && !lock(areas.all())) {
            return -Errno.ENOMEM.code();
        }
        pageTables++;
        return 0;
    }

    synchronized void removePageTable() {
        pageTables--;
        if (pageTables == 0) {
            areas.all().forEach(Area::unlock);
        }
    }

    /** All of them or none. */
    private static boolean lock(Collection<Area> areas) {
        List<Area> locked = new ArrayList<>();
        for (Area area : areas) {
            if (!area.lock()) {
                locked.forEach(Area::unlock);
                return false;
            }
            locked.add(area);
        }
        return true;
    }

    @Override
    public synchronized void access(long iova, MemorySegment buffer, boolean write) throws DmaFault {
        new DmaTransfer(areas, iova, buffer, write).run();
    }

    /** A driver is to imitate DMA: it works on whole pages. */
    synchronized int addAccess() {
        if (!areAreasAligned(PAGE)) {
            return -Errno.EADDRINUSE.code();
        }
        accesses++;
        return 0;
    }

    synchronized void removeAccess() {
        accesses--;
    }

    /** From here on mappings can be cut where pages end. */
    synchronized int useSmallPages() {
        if (smallPages) {
            return 0;
        }
        if (pageTables > 0 && !areas.isEmpty()) {
            return -Errno.EINVAL.code();
        }
        if (!areAreasAligned(PAGE)) {
            return -Errno.EADDRINUSE.code();
        }
        smallPages = true;
        return 0;
    }

    private static boolean isWithin(List<IovaRange> ranges, long first, long last) {
        return ranges.stream().anyMatch(range -> range.contains(first, last));
    }

    /**
     * Maps memory.
     *
     * @param pages
     *            one piece after the other
     * @param fixed
     *            where; empty: the kernel chooses
     * @return the address
     */
    synchronized Outcome map(List<Pages> pages, OptionalLong fixed, DmaAccess access) {
        long length = pages.stream().mapToLong(piece -> piece.memory().size()).sum();
        if (length == 0 || !isAligned(length, alignment())) {
            return Outcome.failure(Errno.EINVAL);
        }
        Outcome place = fixed.isPresent()
                ? check(fixed.getAsLong(), length)
                : allocate(pages.getFirst().memory().address(), length);
        if (place.error() != 0) {
            return place;
        }
        List<Area> added = new ArrayList<>();
        long iova = place.value();
        for (Pages piece : pages) {
            if (access.write() && !piece.writable()) {
                return Outcome.failure(Errno.EPERM);
            }
            if (!isAligned(piece.memory().address() % PAGE, alignment())) {
                return Outcome.failure(Errno.EINVAL);
            }
            added.add(new Area(iova, piece, access));
            iova += piece.memory().size();
        }
        if (pageTables > 0 && !added.stream().allMatch(area -> area.memory().isPinnable())) {
            return Outcome.failure(Errno.EFAULT);
        }
        if (pageTables > 0 && !access.read() && !access.write()) {
            return Outcome.failure(Errno.EINVAL);
        }
        if (pageTables > 0 && !lock(added)) {
            return Outcome.failure(Errno.ENOMEM);
        }
        added.forEach(areas::add);
        return place;
    }

    private Outcome check(long iova, long length) {
        if (!isAligned(iova, alignment())) {
            return Outcome.failure(Errno.EINVAL);
        }
        long last = iova + length - 1;
        if (Long.compareUnsigned(last, iova) < 0) {
            return Outcome.failure(Errno.EOVERFLOW);
        }
        if (!isWithin(ranges(), iova, last)) {
            return Outcome.failure(Errno.EINVAL);
        }
        return areas.overlapping(iova, last).isEmpty() ? new Outcome(0, iova) : Outcome.failure(Errno.EEXIST);
    }

    /** The first free place that is aligned as the memory is, never the first page. */
    private Outcome allocate(long address, long length) {
        if (Long.compareUnsigned(length, Long.MAX_VALUE) >= 0) {
            return Outcome.failure(Errno.EOVERFLOW);
        }
        long rounded = length == 1 ? 1 : Long.highestOneBit(length - 1) << 1;
        long alignment = address == 0 || Long.compareUnsigned(rounded, Long.lowestOneBit(address)) < 0
                ? rounded
                : Long.lowestOneBit(address);
        if (Long.compareUnsigned(alignment, HUGE_PAGE) > 0) {
            alignment = HUGE_PAGE;
        }
        if (alignment < alignment()) {
            return Outcome.failure(Errno.EINVAL);
        }
        long offset = address & PAGE - 1;
        OptionalLong first = place(PAGE, -1 - PAGE, length, alignment, offset);
        if (first.isPresent()) {
            for (IovaRange hole : holes(first.getAsLong(), -1 - PAGE)) {
                OptionalLong place = place(hole.first(), hole.last(), length, alignment, offset);
                if (place.isPresent()) {
                    return new Outcome(0, place.getAsLong());
                }
            }
        }
        return Outcome.failure(Errno.ENOSPC);
    }

    private static OptionalLong place(long first, long last, long length, long alignment, long offset) {
        long rounded = first + alignment - 1;
        if (Long.compareUnsigned(rounded, first) < 0) {
            return OptionalLong.empty();
        }
        long place = (rounded & -alignment) | offset;
        return Long.compareUnsigned(place, last) < 0 && Long.compareUnsigned(last - place, length - 1) >= 0
                ? OptionalLong.of(place)
                : OptionalLong.empty();
    }

    /** What is neither kept nor mapped of a range, in order. */
    private List<IovaRange> holes(long first, long last) {
        List<IovaRange> holes = new ArrayList<>();
        for (IovaRange range : ranges()) {
            long from = unsignedMax(range.first(), first);
            long to = Long.compareUnsigned(range.last(), last) < 0 ? range.last() : last;
            for (Area area : Long.compareUnsigned(from, to) <= 0 ? areas.overlapping(from, to) : List.<Area>of()) {
                if (Long.compareUnsigned(from, area.iova()) < 0) {
                    holes.add(new IovaRange(from, area.iova() - 1));
                }
                from = area.last() + 1;
            }
            if (from != 0 && Long.compareUnsigned(from, to) <= 0) {
                holes.add(new IovaRange(from, to));
            }
        }
        return holes;
    }

    private static long unsignedMax(long one, long other) {
        return Long.compareUnsigned(one, other) > 0 ? one : other;
    }

    /**
     * The memory that is mapped at addresses, of which none may be free.
     *
     * @return in order; empty if there is a gap
     */
    synchronized List<Pages> pages(long first, long last) {
        List<Pages> pages = new ArrayList<>();
        long expected = first;
        for (Area area : areas.overlapping(first, last)) {
            long from = unsignedMax(area.iova(), first);
            if (from != expected) {
                return List.of();
            }
            long to = Long.compareUnsigned(area.last(), last) < 0 ? area.last() : last;
            pages.add(area.slice(from, to));
            expected = to + 1;
        }
        return expected == last + 1 ? pages : List.of();
    }

    /**
     * Ends the mappings in a range; those before one that is only partly in it are ended all the same.
     *
     * @return the size of what was mapped, or {@code −ENOENT} at a mapping that is cut
     */
    synchronized Outcome unmap(long first, long last) {
        long unmapped = 0;
        for (Area area : areas.overlapping(first, last)) {
            if (Long.compareUnsigned(area.iova(), first) < 0 || Long.compareUnsigned(area.last(), last) > 0) {
                return new Outcome(-Errno.ENOENT.code(), unmapped);
            }
            areas.remove(area);
            if (pageTables > 0) {
                area.unlock();
            }
            unmapped += area.size();
        }
        return new Outcome(0, unmapped);
    }

    synchronized boolean usesSmallPages() {
        return smallPages;
    }

    /** Cuts the mapping that has an address behind it. At a mapping's first or last address there is nothing to cut. */
    synchronized int cut(long iova) {
        Area area = areas.containing(iova);
        if (area == null || iova == area.iova() || iova == area.last()) {
            return 0;
        }
        long behind = iova + 1;
        if (!isAligned(behind | (area.memory().address() + behind - area.iova()) % PAGE, alignment())) {
            return -Errno.EINVAL.code();
        }
        areas.remove(area);
        areas.add(new Area(area.iova(), area.slice(area.iova(), iova), area.access()));
        areas.add(new Area(behind, area.slice(behind, area.last()), area.access()));
        return 0;
    }
}
