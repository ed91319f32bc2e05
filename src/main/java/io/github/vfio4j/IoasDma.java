package io.github.vfio4j;

import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_IOVA_RANGES;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP_FIXED_IOVA;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP_READABLE;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP_WRITEABLE;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_UNMAP;

import io.github.vfio4j.uapi.iommu_ioas_iova_ranges;
import io.github.vfio4j.uapi.iommu_ioas_map;
import io.github.vfio4j.uapi.iommu_ioas_unmap;
import io.github.vfio4j.uapi.iommu_iova_range;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.OptionalLong;

/**
 * An I/O address space of an iommufd.
 *
 * @param iommufd
 *            its descriptor
 * @param ioas
 *            its number there
 * @param sysfs
 *            to find out why something is refused
 */
record IoasDma(Descriptor iommufd, int ioas, Sysfs sysfs) implements DmaDomain {

    /** More than any machine has at first; the kernel says when there are more. */
    private static final int RANGES = 32;
    private static final int MAX_RANGES = 1 << 16;
    private static final int MOST_TIMES = 8;
    private static final String IOVA_RANGES = "IOMMU_IOAS_IOVA_RANGES";

    @Override
    public boolean isOpen() {
        return iommufd.isOpen();
    }

    @Override
    public DmaTerms terms() throws VfioException {
        int room = RANGES;
        for (int times = 0; times < MOST_TIMES; times++) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment ranges = iommu_iova_range.allocateArray(room, arena);
                MemorySegment argument = iommu_ioas_iova_ranges.allocate(arena);
                iommu_ioas_iova_ranges.size(argument, (int) iommu_ioas_iova_ranges.sizeof());
                iommu_ioas_iova_ranges.ioas_id(argument, ioas);
                iommu_ioas_iova_ranges.num_iovas(argument, room);
                iommu_ioas_iova_ranges.allowed_iovas(argument, ranges.address());
                int result = iommufd.ioctl(IOMMU_IOAS_IOVA_RANGES(), argument, new MemorySegment[]{ranges});
                int count = iommu_ioas_iova_ranges.num_iovas(argument);
                if (result == -Errno.EMSGSIZE.code() && count > room && count <= MAX_RANGES) {
                    room = count;
                    continue;
                }
                Verdict.check(IOVA_RANGES, result);
                if (count < 0 || count > room) {
                    throw malformed(Integer.toUnsignedString(count) + " ranges in the room for " + room);
                }
                return terms(ranges, count, iommu_ioas_iova_ranges.out_iova_alignment(argument));
            }
        }
        throw malformed("there are more ranges each time, " + room + " now");
    }

    private static VfioException malformed(String what) {
        return new VfioException(IOVA_RANGES, null, "The kernel's answer is malformed: " + what);
    }

    private static DmaTerms terms(MemorySegment array, int count, long alignment) {
        DmaTerms.Ranges ranges = new DmaTerms.Ranges();
        for (int i = 0; i < count; i++) {
            MemorySegment range = iommu_iova_range.asSlice(array, i);
            ranges.add(iommu_iova_range.start(range), iommu_iova_range.last(range));
        }
        return new DmaTerms(ranges.toList(), DmaTerms.pageSizes(alignment), OptionalLong.empty());
    }

    @Override
    public void map(long iova, MemorySegment memory, DmaDirection direction) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = iommu_ioas_map.allocate(arena);
            iommu_ioas_map.size(argument, (int) iommu_ioas_map.sizeof());
            iommu_ioas_map.flags(argument,
                    IOMMU_IOAS_MAP_FIXED_IOVA() | (direction.deviceReads() ? IOMMU_IOAS_MAP_READABLE() : 0)
                            | (direction.deviceWrites() ? IOMMU_IOAS_MAP_WRITEABLE() : 0));
            iommu_ioas_map.ioas_id(argument, ioas);
            iommu_ioas_map.user_va(argument, memory.address());
            iommu_ioas_map.length(argument, memory.byteSize());
            iommu_ioas_map.iova(argument, iova);
            Verdict.check("IOMMU_IOAS_MAP at " + DmaDomain.range(iova, memory.byteSize()),
                    iommufd.ioctl(IOMMU_IOAS_MAP(), argument, new MemorySegment[]{memory}),
                    () -> Diagnosis.map(LockedMemory.limit(sysfs)));
        }
    }

    @Override
    public void unmap(long iova, long size) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = iommu_ioas_unmap.allocate(arena);
            iommu_ioas_unmap.size(argument, (int) iommu_ioas_unmap.sizeof());
            iommu_ioas_unmap.ioas_id(argument, ioas);
            iommu_ioas_unmap.iova(argument, iova);
            iommu_ioas_unmap.length(argument, size);
            String operation = "IOMMU_IOAS_UNMAP of " + DmaDomain.range(iova, size);
            Verdict.check(operation, iommufd.ioctl(IOMMU_IOAS_UNMAP(), argument));
            DmaDomain.checkUnmapped(operation, iommu_ioas_unmap.length(argument), size);
        }
    }
}
