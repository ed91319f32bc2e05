package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;

import io.github.vfio4j.feature.DirtyBitmap;
import io.github.vfio4j.feature.IovaRange;
import io.github.vfio4j.uapi.vfio_bitmap;
import io.github.vfio4j.uapi.vfio_iommu_type1_dirty_bitmap;
import io.github.vfio4j.uapi.vfio_iommu_type1_dirty_bitmap_get;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Map;

/**
 * The dirty tracking of a container ({@code VFIO_IOMMU_DIRTY_PAGES}, semantics §E.5): which pages of its mappings devices
 * may have written to. Without help of the IOMMU, which type1 does not have, that is every page of a mapping of a device
 * behind it; only drivers of mediated devices are more exact. Safe for use by many threads.
 *
 * <p>
 * For what a device itself can tell see {@link VfioDevice#dmaLogging}.
 */
public final class DmaDirtyTracking {

    private static final long HEADER = vfio_iommu_type1_dirty_bitmap.sizeof();

    private static final Map<Errno, String> REMEDIES = Map.of(Errno.EACCES,
            "The first version of type1 can't track: open the container with IommuType.TYPE1V2", Errno.EINVAL,
            "Tracking is not on, or the range does not begin and end with pages, or it cuts a mapping: start it, and read"
                    + " DmaMapping.range or a range of several",
            Errno.ENOMEM, "The kernel has no memory for a bit for every page that is mapped: unmap some");

    private final Descriptor container;
    private final long pageSize;

    DmaDirtyTracking(Descriptor container, long pageSize) {
        this.container = container;
        this.pageSize = pageSize;
    }

    /**
     * How exactly pages are tracked.
     *
     * @return bytes that a bit stands for
     */
    public long pageSize() {
        return pageSize;
    }

    /**
     * Starts tracking, of all mappings there are and will be. Nothing happens if it is on already.
     *
     * @throws VfioException
     *             {@code EACCES} for the first version of type1
     */
    public void start() throws VfioException {
        control("start", VFIO_IOMMU_DIRTY_PAGES_FLAG_START());
    }

    /**
     * Stops tracking. What has not been read is lost. Nothing happens if it is off already.
     *
     * @throws VfioException
     *             {@code EACCES} for the first version of type1
     */
    public void stop() throws VfioException {
        control("stop", VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP());
    }

    private void control(String what, int flag) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(HEADER, Long.BYTES);
            vfio_iommu_type1_dirty_bitmap.argsz(argument, (int) HEADER);
            vfio_iommu_type1_dirty_bitmap.flags(argument, flag);
            Verdict.check("VFIO_IOMMU_DIRTY_PAGES " + what, container.ioctl(VFIO_IOMMU_DIRTY_PAGES(), argument),
                    REMEDIES);
        }
    }

    /**
     * Reads which pages are dirty, and begins anew for them.
     *
     * @param range
     *            of one mapping or several, none of which it cuts; what is not mapped in it is not dirty
     * @param allocator
     *            where the bitmap is to be
     * @return the dirty pages since tracking was started or they were last read
     * @throws VfioException
     *             {@code EINVAL} if tracking is not on, or the range does not begin and end with pages or cuts a mapping
     */
    public DirtyBitmap read(IovaRange range, SegmentAllocator allocator) throws VfioException {
        DirtyBitmap bitmap = DirtyBitmap.allocate(range, pageSize, allocator);
        long size = HEADER + vfio_iommu_type1_dirty_bitmap_get.sizeof();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(size, Long.BYTES);
            vfio_iommu_type1_dirty_bitmap.argsz(argument, (int) size);
            vfio_iommu_type1_dirty_bitmap.flags(argument, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP());
            MemorySegment get = argument.asSlice(HEADER);
            vfio_iommu_type1_dirty_bitmap_get.iova(get, range.iova());
            vfio_iommu_type1_dirty_bitmap_get.size(get, range.length());
            MemorySegment bits = vfio_iommu_type1_dirty_bitmap_get.bitmap(get);
            vfio_bitmap.pgsize(bits, pageSize);
            vfio_bitmap.size(bits, bitmap.segment().byteSize());
            vfio_bitmap.data(bits, bitmap.segment());
            Verdict.check("VFIO_IOMMU_DIRTY_PAGES of " + range,
                    container.ioctl(VFIO_IOMMU_DIRTY_PAGES(), argument, new MemorySegment[]{bitmap.segment()}),
                    REMEDIES);
            return bitmap;
        }
    }

    /** The size of the pages. */
    @Override
    public String toString() {
        return "dirty tracking by pages of " + pageSize + " bytes";
    }
}
