package io.github.vfio4j.emulation.iommu;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_INFO_CAPS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_INFO_PGSIZES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_info_cap_header;
import io.github.vfio4j.uapi.vfio_iommu_type1_info;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_cap_iova_range;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_cap_migration;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_dma_avail;
import io.github.vfio4j.uapi.vfio_iova_range;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** VFIO_IOMMU_GET_INFO: page sizes, and a chain of capabilities that is left out where the caller has no room for it. */
record GetInfo(Type1Iommu iommu) {

    private static final long INFO_SIZE = vfio_iommu_type1_info.sizeof();
    private static final long ARGSZ = vfio_iommu_type1_info.argsz$offset();
    private static final long FLAGS = vfio_iommu_type1_info.flags$offset();
    private static final long PAGE_SIZES = vfio_iommu_type1_info.iova_pgsizes$offset();
    private static final long CAP_OFFSET = vfio_iommu_type1_info.cap_offset$offset();

    /** What the first version of the structure had. */
    private static final long OLD_SIZE = CAP_OFFSET;
    private static final long OLD_SIZE_WITH_CHAIN = CAP_OFFSET + Integer.BYTES;

    int ioctl(MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, OLD_SIZE)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, ARGSZ));
        if (argsz < OLD_SIZE) {
            return -Errno.EINVAL.code();
        }
        MemorySegment info = MemorySegment.ofArray(new byte[(int) INFO_SIZE]);
        int flags = VFIO_IOMMU_INFO_PGSIZES();
        UserMemory.putInt(info, ARGSZ, (int) argsz);
        UserMemory.putLong(info, PAGE_SIZES, iommu.pageSizes());

        MemorySegment chain = chain();
        long needed = INFO_SIZE + chain.byteSize();
        if (chain.byteSize() > 0) {
            flags |= VFIO_IOMMU_INFO_CAPS();
            if (argsz < needed) {
                UserMemory.putInt(info, ARGSZ, (int) needed);
            } else if (UserMemory.mapped(argument, INFO_SIZE, chain.byteSize())) {
                UserMemory.putInt(info, CAP_OFFSET, (int) INFO_SIZE);
                MemorySegment.copy(chain, 0, argument, INFO_SIZE, chain.byteSize());
            } else {
                return -Errno.EFAULT.code();
            }
        }
        UserMemory.putInt(info, FLAGS, flags);
        long written = written(argsz);
        if (!UserMemory.mapped(argument, 0, written)) {
            return -Errno.EFAULT.code();
        }
        MemorySegment.copy(info, 0, argument, 0, written);
        return 0;
    }

    private long written(long argsz) {
        return iommu.profile().wholeType1Info()
                ? Math.min(argsz, INFO_SIZE)
                : argsz >= OLD_SIZE_WITH_CHAIN ? OLD_SIZE_WITH_CHAIN : OLD_SIZE;
    }

    /** The capabilities, each with the offset of the next one. */
    private MemorySegment chain() {
        List<MemorySegment> capabilities = new ArrayList<>();
        for (int id : iommu.profile().type1Capabilities()) {
            if (id == VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION()) {
                capabilities.add(migration());
            } else if (id == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL()) {
                capabilities.add(available());
            } else if (id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE() && !iommu.ranges().isEmpty()) {
                capabilities.add(ranges());
            }
        }
        int size = (int) capabilities.stream().mapToLong(MemorySegment::byteSize).sum();
        MemorySegment chain = MemorySegment.ofArray(new byte[size]);
        long at = 0;
        for (MemorySegment capability : capabilities) {
            long next = at + capability.byteSize();
            MemorySegment.copy(capability, 0, chain, at, capability.byteSize());
            UserMemory.putInt(chain, at + vfio_info_cap_header.next$offset(),
                    next == size ? 0 : (int) (INFO_SIZE + next));
            at = next;
        }
        return chain;
    }

    private MemorySegment capability(int id, long size) {
        int alignment = iommu.profile().capabilityAlignment();
        MemorySegment capability = MemorySegment
                .ofArray(new byte[(int) (size + alignment - 1) / alignment * alignment]);
        capability.set(ValueLayout.JAVA_SHORT_UNALIGNED, vfio_info_cap_header.id$offset(), (short) id);
        capability.set(ValueLayout.JAVA_SHORT_UNALIGNED, vfio_info_cap_header.version$offset(), (short) 1);
        return capability;
    }

    private MemorySegment migration() {
        MemorySegment capability = capability(VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION(),
                vfio_iommu_type1_info_cap_migration.sizeof());
        UserMemory.putLong(capability, vfio_iommu_type1_info_cap_migration.pgsize_bitmap$offset(), iommu.pageSize());
        UserMemory.putLong(capability, vfio_iommu_type1_info_cap_migration.max_dirty_bitmap_size$offset(),
                UserBitmap.MAX_SIZE);
        return capability;
    }

    private MemorySegment available() {
        MemorySegment capability = capability(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL(),
                vfio_iommu_type1_info_dma_avail.sizeof());
        UserMemory.putInt(capability, vfio_iommu_type1_info_dma_avail.avail$offset(), iommu.availableMappings());
        return capability;
    }

    private MemorySegment ranges() {
        List<IovaRange> ranges = iommu.ranges();
        long at = vfio_iommu_type1_info_cap_iova_range.iova_ranges$offset();
        MemorySegment capability = capability(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE(),
                at + ranges.size() * vfio_iova_range.sizeof());
        UserMemory.putInt(capability, vfio_iommu_type1_info_cap_iova_range.nr_iovas$offset(), ranges.size());
        for (IovaRange range : ranges) {
            UserMemory.putLong(capability, at + vfio_iova_range.start$offset(), range.first());
            UserMemory.putLong(capability, at + vfio_iova_range.end$offset(), range.last());
            at += vfio_iova_range.sizeof();
        }
        return capability;
    }
}
