package io.github.vfio4j.emulation.feature;

import java.util.List;

/** What a driver that can log the DMA writes of its device does for the core (struct vfio_log_ops). */
public interface DmaLoggingOps {

    /**
     * A range of I/O virtual addresses.
     *
     * @param iova
     *            its begin
     * @param length
     *            bytes
     */
    record Range(long iova, long length) {
    }

    /** Sets bits of the caller's bitmap. */
    interface DirtyBitmap {
        /** These addresses have been written to. */
        void set(long iova, long length);
    }

    /**
     * How a start has ended.
     *
     * @param result
     *            0, or −errno
     * @param pageSize
     *            the page size it will be
     */
    record Started(int result, long pageSize) {
    }

    /** Starts logging, at this page size or another. */
    Started start(List<Range> ranges, long pageSize);

    /** Ends logging: 0, or −errno. */
    int stop();

    /** Reports what was written since the last report, and forgets it: 0, or −errno. */
    int report(long iova, long length, DirtyBitmap dirty);
}
