package io.github.vfio4j.feature;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_device_feature_dma_logging_report;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The logging of a device's DMA writes, from its start until it is closed. Safe for use by many threads, each with a
 * bitmap of its own.
 *
 * <pre>{@code
 * try (DmaLoggingSession log = logging.start(List.of(memory), 4096); Arena arena = Arena.ofConfined()) {
 *     DirtyBitmap dirty = DirtyBitmap.allocate(memory, log.pageSize(), arena);
 *     log.report(dirty);
 *     dirty.forEachDirtyRange((iova, length) -> copyAgain(iova, length));
 * }
 * }</pre>
 */
public final class DmaLoggingSession implements AutoCloseable {

    private final FeatureTarget device;
    private final long pageSize;
    private final AtomicBoolean stopped = new AtomicBoolean();

    DmaLoggingSession(FeatureTarget device, long pageSize) {
        this.device = device;
        this.pageSize = pageSize;
    }

    /**
     * How exactly the device logs.
     *
     * @return bytes: the page size that was asked for, or the one the device has chosen
     */
    public long pageSize() {
        return pageSize;
    }

    /**
     * Adds what was written since the last report, which the device forgets by that ({@code DMA_LOGGING_REPORT}).
     *
     * @param bitmap
     *            says for which addresses, within the ranges that are logged, and takes the bits; those that are set stay
     *            set
     * @throws VfioException
     *             {@code EOPNOTSUPP} from a kernel built without IOMMUFD_DRIVER (semantics §B.4.3), {@code EINVAL} from
     *             most drivers for addresses that are not logged; bits may have been set before the error
     * @throws IllegalStateException
     *             if the session, the device or the bitmap's memory is closed
     */
    public void report(DirtyBitmap bitmap) throws VfioException {
        if (stopped.get()) {
            throw new IllegalStateException("DMA is not logged any more: start a new session");
        }
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.DMA_LOGGING_REPORT).get().allocate(arena)
                    .pointees(bitmap.segment());
            MemorySegment report = request.payload();
            vfio_device_feature_dma_logging_report.iova(report, bitmap.range().iova());
            vfio_device_feature_dma_logging_report.length(report, bitmap.range().length());
            vfio_device_feature_dma_logging_report.page_size(report, bitmap.pageSize());
            vfio_device_feature_dma_logging_report.bitmap(report, bitmap.segment().address());
            device.execute(request);
        }
    }

    /**
     * Stops logging ({@code DMA_LOGGING_STOP}), once. What has not been reported is lost.
     *
     * @throws VfioException
     *             if the kernel refuses
     */
    public void stop() throws VfioException {
        if (!stopped.getAndSet(true)) {
            device.set(FeatureId.DMA_LOGGING_STOP);
        }
    }

    /** As {@link #stop}. */
    @Override
    public void close() throws VfioException {
        stop();
    }
}
