package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_INFO_CAPS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_INFO_PGSIZES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;

import io.github.vfio4j.uapi.vfio_info_cap_header;
import io.github.vfio4j.uapi.vfio_iommu_type1_info;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_cap_iova_range;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_cap_migration;
import io.github.vfio4j.uapi.vfio_iommu_type1_info_dma_avail;
import io.github.vfio4j.uapi.vfio_iova_range;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

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
    private static final long HEADER = vfio_info_cap_header.sizeof();

    /** With room for some twenty ranges; the kernel says when it needs more. */
    private static final int ROOM = 512;
    private static final int MAX_ROOM = 1 << 20;

    static Type1Info read(Descriptor container) throws VfioException {
        int room = ROOM;
        while (true) {
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
    }

    /** Reads an answer. Nothing outside of it is read, and a chain that does not end is an error. */
    static Type1Info of(MemorySegment answer) throws VfioException {
        int flags = vfio_iommu_type1_info.flags(answer);
        long pageSizes = (flags & VFIO_IOMMU_INFO_PGSIZES()) != 0 ? vfio_iommu_type1_info.iova_pgsizes(answer) : 0;
        Map<Integer, MemorySegment> capabilities = (flags & VFIO_IOMMU_INFO_CAPS()) != 0
                ? capabilities(answer, Integer.toUnsignedLong(vfio_iommu_type1_info.cap_offset(answer)))
                : Map.of();
        MemorySegment available = capabilities.get(VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL());
        MemorySegment migration = capabilities.get(VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION());
        return new Type1Info(
                new DmaTerms(ranges(capabilities.get(VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE())).toList(),
                        DmaTerms.pageSizes(pageSizes),
                        available == null
                                ? OptionalLong.empty()
                                : OptionalLong.of(Integer.toUnsignedLong(field(available,
                                        ValueLayout.JAVA_INT_UNALIGNED, vfio_iommu_type1_info_dma_avail.avail$offset())))),
                migration == null
                        ? 0
                        : field(migration, ValueLayout.JAVA_LONG_UNALIGNED,
                                vfio_iommu_type1_info_cap_migration.pgsize_bitmap$offset()));
    }

    /** The capabilities by number, each from its header to the end of the answer. */
    private static Map<Integer, MemorySegment> capabilities(MemorySegment answer, long first) throws VfioException {
        Set<Long> offsets = new TreeSet<>();
        Map<Integer, MemorySegment> byId = new TreeMap<>();
        long at = first;
        while (at != 0) {
            if (at < FIXED || at > answer.byteSize() - HEADER) {
                throw malformed("a capability at " + at + ", outside of bytes " + FIXED + " to " + answer.byteSize());
            }
            MemorySegment capability = answer.asSlice(at);
            if (!offsets.add(at)) {
                throw malformed("the capability at " + at + " comes twice");
            }
            byId.putIfAbsent(Short.toUnsignedInt(
                    capability.get(ValueLayout.JAVA_SHORT_UNALIGNED, vfio_info_cap_header.id$offset())), capability);
            at = Integer.toUnsignedLong(
                    capability.get(ValueLayout.JAVA_INT_UNALIGNED, vfio_info_cap_header.next$offset()));
        }
        return byId;
    }

    /** Without the capability everything is allowed: no group is behind an IOMMU. */
    private static DmaTerms.Ranges ranges(@Nullable MemorySegment capability)
            throws VfioException {
        DmaTerms.Ranges ranges = new DmaTerms.Ranges();
        if (capability == null) {
            ranges.add(0, -1);
            return ranges;
        }
        long count = Integer.toUnsignedLong(field(capability, ValueLayout.JAVA_INT_UNALIGNED,
                vfio_iommu_type1_info_cap_iova_range.nr_iovas$offset()));
        long at = vfio_iommu_type1_info_cap_iova_range.iova_ranges$offset();
        for (long i = 0; i < count; i++) {
            ranges.add(field(capability, ValueLayout.JAVA_LONG_UNALIGNED, at + vfio_iova_range.start$offset()),
                    field(capability, ValueLayout.JAVA_LONG_UNALIGNED, at + vfio_iova_range.end$offset()));
            at += vfio_iova_range.sizeof();
        }
        return ranges;
    }

    private static int field(MemorySegment capability, ValueLayout.OfInt layout, long offset) throws VfioException {
        requireWithin(capability, offset + Integer.BYTES);
        return capability.get(layout, offset);
    }

    private static long field(MemorySegment capability, ValueLayout.OfLong layout, long offset) throws VfioException {
        requireWithin(capability, offset + Long.BYTES);
        return capability.get(layout, offset);
    }

    private static void requireWithin(MemorySegment capability, long end) throws VfioException {
        if (end > capability.byteSize()) {
            throw malformed("a capability of " + capability.byteSize() + " bytes lacks a field that ends at " + end);
        }
    }

    private static VfioException malformed(String what) {
        return new VfioException(OPERATION, null, "The kernel's answer is malformed: " + what);
    }
}
