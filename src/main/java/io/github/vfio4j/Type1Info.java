package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_INFO_CAPS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_INFO_PGSIZES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.github.vfio4j.device.InfoCapability;
import io.github.vfio4j.uapi.vfio_info_cap_header;
import io.github.vfio4j.uapi.vfio_iommu_type1_info;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_cap_iova_range;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_cap_migration;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_dma_avail;
import io.github.vfio4j.uapi.vfio_iova_range;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.OptionalLong;

/**
 * The answer to VFIO_IOMMU_GET_INFO, with the chain of capabilities behind it (semantics §E.5).
 *
 * @param terms
 *            what can be mapped
 * @param dirtyPageSizes
 *            a bit for each page size that dirty pages can be tracked by; 0 if they can't
 */
record Type1Info(DmaTerms terms, long dirtyPageSizes) {

    private static final String OPERATION = "VFIO_IOMMU_GET_INFO";
    private static final int FIXED = (int) vfio_iommu_type1_info.sizeof();

    /** With room for some twenty ranges; the kernel says when it needs more. */
    private static final int ROOM = 512;
    private static final int MAX_ROOM = 1 << 20;
    private static final int MOST_TIMES = 8;

    static Type1Info read(Descriptor container) throws VfioException {
        int room = ROOM;
        for (int times = 0; times < MOST_TIMES; times++) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment answer = arena.allocate(room, Long.BYTES);
                vfio_iommu_type1_info.argsz(answer, room);
                Verdict.check(OPERATION, container.ioctl(VFIO_IOMMU_GET_INFO(), answer));
                int needed = vfio_iommu_type1_info.argsz(answer);
                if (needed > room && needed <= MAX_ROOM) {
                    room = needed;
                    continue;
                }
                return of(answer);
            }
        }
        throw new VfioException(OPERATION, null,
                "The kernel's answer is malformed: it is longer each time it is asked for, " + room + " bytes now");
    }

    /** Reads an answer. */
    static Type1Info of(MemorySegment answer) throws VfioException {
        int flags = vfio_iommu_type1_info.flags(answer);
        long pageSizes = (flags & VFIO_IOMMU_INFO_PGSIZES()) != 0 ? vfio_iommu_type1_info.iova_pgsizes(answer) : 0;
        DmaTerms.Ranges ranges = new DmaTerms.Ranges();
        boolean anywhere = true;
        OptionalLong available = OptionalLong.empty();
        long dirtyPageSizes = 0;
        int chain = (flags & VFIO_IOMMU_INFO_CAPS()) != 0 ? vfio_iommu_type1_info.cap_offset(answer) : 0;
        for (InfoCapability capability : InfoCapability.chain(OPERATION, answer, FIXED, chain)) {
            Fields fields = new Fields(MemorySegment.ofArray(capability.data()));
            if (capability.id() == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE()) {
                anywhere = false;
                addRanges(ranges, fields);
            } else if (capability.id() == VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL()) {
                available = OptionalLong.of(fields.unsigned(vfio_iommu_type1_info_dma_avail.avail$offset()));
            } else if (capability.id() == VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION()) {
                dirtyPageSizes = fields.number(vfio_iommu_type1_info_cap_migration.pgsize_bitmap$offset());
            }
        }
        if (anywhere) {
            // No group is behind an IOMMU.
            ranges.add(0, -1);
        }
        return new Type1Info(new DmaTerms(ranges.toList(), DmaTerms.pageSizes(pageSizes), available), dirtyPageSizes);
    }

    private static void addRanges(DmaTerms.Ranges ranges, Fields fields) throws VfioException {
        long count = fields.unsigned(vfio_iommu_type1_info_cap_iova_range.nr_iovas$offset());
        long at = vfio_iommu_type1_info_cap_iova_range.iova_ranges$offset();
        for (long i = 0; i < count; i++) {
            ranges.add(fields.number(at + vfio_iova_range.start$offset()),
                    fields.number(at + vfio_iova_range.end$offset()));
            at += vfio_iova_range.sizeof();
        }
    }

    /**
     * What is in a capability, by offsets that count its header.
     *
     * @param data
     *            what is behind the header
     */
    private record Fields(MemorySegment data) {

        long unsigned(long offset) throws VfioException {
            return Integer.toUnsignedLong(data.get(JAVA_INT_UNALIGNED, within(offset, Integer.BYTES)));
        }

        long number(long offset) throws VfioException {
            return data.get(JAVA_LONG_UNALIGNED, within(offset, Long.BYTES));
        }

        private long within(long offset, int size) throws VfioException {
            long at = offset - vfio_info_cap_header.sizeof();
            if (at + size > data.byteSize()) {
                throw new VfioException(OPERATION, null, "The kernel's answer is malformed: a capability of "
                        + data.byteSize() + " bytes lacks a field that ends at " + (at + size));
            }
            return at;
        }
    }
}
