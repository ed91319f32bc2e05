package io.github.vfio4j.feature;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_device_feature_dma_logging_control;
import io.github.vfio4j.uapi.vfio_device_feature_dma_logging_range;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/**
 * Features 6, 7 and 8, {@code DMA_LOGGING_START}, {@code …_STOP} and {@code …_REPORT}: the device notes to which pages it
 * writes by DMA, so that a live migration need not copy all memory again (semantics §B.4). Safe for use by many threads.
 */
public final class DmaLoggingFeature {

    private final FeatureTarget device;

    private DmaLoggingFeature(FeatureTarget device) {
        this.device = device;
    }

    /**
     * The feature of a device.
     *
     * @param device
     *            any device
     * @return empty if it can't log its writes
     * @throws VfioException
     *             if the device could not be asked
     */
    public static Optional<DmaLoggingFeature> of(FeatureTarget device) throws VfioException {
        return device.supports(FeatureId.DMA_LOGGING_START, FeatureOperation.SET)
                && device.supports(FeatureId.DMA_LOGGING_REPORT, FeatureOperation.GET)
                        ? Optional.of(new DmaLoggingFeature(device))
                        : Optional.empty();
    }

    /**
     * Starts logging. Close the session before the device.
     *
     * @param ranges
     *            where writes are to be noted: at least one, none overlapping another, each a multiple of the page size
     *            at a multiple of it. The kernel takes as many as fit a page of its own, 256 on most machines, and a
     *            device perhaps fewer
     * @param pageSize
     *            how exactly, in bytes: a power of two of at least 4096. The device may choose another
     * @return the session
     * @throws VfioException
     *             {@code E2BIG} if there are too many ranges, {@code EINVAL} from most drivers if logging has been started
     *             already, and what else the driver answers
     * @throws IllegalArgumentException
     *             if the ranges or the page size are not like that; no call was made
     */
    public DmaLoggingSession start(List<IovaRange> ranges, long pageSize) throws VfioException {
        check(ranges, pageSize);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment array = vfio_device_feature_dma_logging_range.allocateArray(ranges.size(), arena);
            for (int i = 0; i < ranges.size(); i++) {
                MemorySegment element = vfio_device_feature_dma_logging_range.asSlice(array, i);
                vfio_device_feature_dma_logging_range.iova(element, ranges.get(i).iova());
                vfio_device_feature_dma_logging_range.length(element, ranges.get(i).length());
            }
            FeatureRequest request = FeatureRequest.of(FeatureId.DMA_LOGGING_START).set().allocate(arena)
                    .pointees(array);
            MemorySegment control = request.payload();
            vfio_device_feature_dma_logging_control.page_size(control, pageSize);
            vfio_device_feature_dma_logging_control.num_ranges(control, ranges.size());
            vfio_device_feature_dma_logging_control.ranges(control, array.address());
            device.execute(request);
            return session(vfio_device_feature_dma_logging_control.page_size(control));
        }
    }

    /** With the page size that the device has chosen. */
    private DmaLoggingSession session(long pageSize) throws VfioException {
        if (DirtyBitmap.isPageSize(pageSize)) {
            return new DmaLoggingSession(device, pageSize);
        }
        VfioException malformed = new VfioException("SET DMA_LOGGING_START", null,
                "The device has chosen pages of " + Long.toUnsignedString(pageSize)
                        + " bytes, which is no power of two of at least 4096: that is a mistake of its driver");
        try {
            device.set(FeatureId.DMA_LOGGING_STOP);
        } catch (VfioException e) {
            malformed.addSuppressed(e);
        }
        throw malformed;
    }

    private static void check(List<IovaRange> ranges, long pageSize) {
        if (ranges.isEmpty()) {
            throw new IllegalArgumentException("Without a range there is nothing to log: give at least one");
        }
        for (int i = 0; i < ranges.size(); i++) {
            IovaRange range = ranges.get(i);
            DirtyBitmap.byteSize(range, pageSize);
            if (((range.iova() | range.length()) & (pageSize - 1)) != 0) {
                throw new IllegalArgumentException("The range " + range + " does not begin and end at multiples of "
                        + Long.toUnsignedString(pageSize) + ", the page size: round it");
            }
            for (IovaRange other : ranges.subList(0, i)) {
                if (range.overlaps(other)) {
                    throw new IllegalArgumentException(
                            "The ranges " + other + " and " + range + " overlap: log them as one");
                }
            }
        }
    }
}
