package io.github.vfio4j.emulation.iommufd;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_INFO_CAPS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_INFO_PGSIZES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommu.IovaRange;
import io.github.vfio4j.uapi.vfio_info_cap_header;
import io.github.vfio4j.uapi.vfio_iommu_type1_info;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_cap_iova_range;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_dma_avail;
import io.github.vfio4j.uapi.vfio_iova_range;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * VFIO_IOMMU_GET_INFO on an iommufd in place of a container. Unlike a container, it writes those capabilities that there is
 * room for even where there is not room for all.
 */
record CompatInfo(AddressSpace space) {

    static final long MIN_SIZE = vfio_iommu_type1_info.cap_offset$offset();

    private static final long INFO_SIZE = vfio_iommu_type1_info.sizeof();
    private static final long NEXT = vfio_info_cap_header.next$offset();
    private static final long RANGES = vfio_iommu_type1_info_cap_iova_range.iova_ranges$offset();

    /** Without a limit of its own. */
    private static final int AVAILABLE = -1;

    int answer(MemorySegment argument) {
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, vfio_iommu_type1_info.argsz$offset()));
        MemorySegment available = available();
        MemorySegment ranges = ranges();
        long rangesAt = INFO_SIZE + aligned(available.byteSize());
        long needed = rangesAt + aligned(ranges.byteSize());

        int error = copy(argument, argsz, INFO_SIZE, available);
        error = error != 0 ? error : copyRanges(argument, argsz, rangesAt, ranges);
        if (error == 0 && argsz >= rangesAt) {
            error = copy(argument, Long.MAX_VALUE, INFO_SIZE + NEXT, word((int) rangesAt));
        }
        if (error != 0) {
            return error;
        }
        MemorySegment info = MemorySegment.ofArray(new byte[(int) INFO_SIZE]);
        UserMemory.putInt(info, vfio_iommu_type1_info.argsz$offset(), (int) needed);
        UserMemory.putInt(info, vfio_iommu_type1_info.flags$offset(),
                VFIO_IOMMU_INFO_PGSIZES() | VFIO_IOMMU_INFO_CAPS());
        UserMemory.putLong(info, vfio_iommu_type1_info.iova_pgsizes$offset(), space.pageSizes());
        UserMemory.putInt(info, vfio_iommu_type1_info.cap_offset$offset(), argsz >= needed ? (int) INFO_SIZE : 0);
        return copy(argument, Long.MAX_VALUE, 0, info.asSlice(0, Math.min(argsz, INFO_SIZE)));
    }

    private static long aligned(long size) {
        return size + Long.BYTES - 1 & -Long.BYTES;
    }

    private static MemorySegment word(int value) {
        return MemorySegment.ofArray(new int[]{value});
    }

    private static MemorySegment capability(int id, long size) {
        MemorySegment capability = MemorySegment.ofArray(new byte[(int) size]);
        UserMemory.putShort(capability, vfio_info_cap_header.id$offset(), (short) id);
        UserMemory.putShort(capability, vfio_info_cap_header.version$offset(), (short) 1);
        return capability;
    }

    private static MemorySegment available() {
        MemorySegment capability = capability(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL(),
                vfio_iommu_type1_info_dma_avail.sizeof());
        UserMemory.putInt(capability, vfio_iommu_type1_info_dma_avail.avail$offset(), AVAILABLE);
        return capability;
    }

    private MemorySegment ranges() {
        List<IovaRange> ranges = space.ranges();
        MemorySegment capability = capability(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE(),
                RANGES + ranges.size() * vfio_iova_range.sizeof());
        UserMemory.putInt(capability, vfio_iommu_type1_info_cap_iova_range.nr_iovas$offset(), ranges.size());
        long at = RANGES;
        for (IovaRange range : ranges) {
            UserMemory.putLong(capability, at + vfio_iova_range.start$offset(), range.first());
            UserMemory.putLong(capability, at + vfio_iova_range.end$offset(), range.last());
            at += vfio_iova_range.sizeof();
        }
        return capability;
    }

    /** The ranges that there is room for, and what comes before them where there is room for all. */
    private static int copyRanges(MemorySegment argument, long argsz, long at, MemorySegment ranges) {
        long size = vfio_iova_range.sizeof();
        for (long end = RANGES + size; end <= ranges.byteSize() && at + end <= argsz; end += size) {
            int error = copy(argument, argsz, at + end - size, ranges.asSlice(end - size, size));
            if (error != 0) {
                return error;
            }
        }
        return at + ranges.byteSize() <= argsz ? copy(argument, argsz, at, ranges.asSlice(0, RANGES)) : 0;
    }

    /** Copies what fits; of memory that is not mapped as a whole, the beginning is written. */
    private static int copy(MemorySegment argument, long argsz, long at, MemorySegment source) {
        if (at + source.byteSize() > argsz) {
            return 0;
        }
        long mapped = Math.clamp(argument.byteSize() - at, 0, source.byteSize());
        if (argument.isReadOnly()) {
            return -Errno.EFAULT.code();
        }
        MemorySegment.copy(source, 0, argument, Math.min(at, argument.byteSize()), mapped);
        return mapped == source.byteSize() ? 0 : -Errno.EFAULT.code();
    }
}
