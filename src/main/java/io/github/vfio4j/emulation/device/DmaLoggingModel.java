package io.github.vfio4j.emulation.device;

import java.util.List;

/**
 * How a device logs its DMA writes (semantics §B.4). The kernel does not remember whether logging is on: a second start, and
 * a stop or a report without one, are the device's to answer.
 */
public interface DmaLoggingModel {

    /**
     * A range of I/O virtual addresses.
     *
     * @param iova
     *            its begin
     * @param length
     *            bytes; may be 0
     */
    record Range(long iova, long length) {
    }

    /** What a report goes to. */
    @FunctionalInterface
    interface DirtyRanges {

        /**
         * These addresses have been written to.
         *
         * @param iova
         *            the first; what lies outside of the range reported on is left out
         * @param length
         *            bytes
         */
        void add(long iova, long length);
    }

    /**
     * Feature 6: starts logging.
     *
     * @param ranges
     *            at most 256, not overlapping, aligned to the page size
     * @param pageSize
     *            what the program would like: not necessarily a power of two
     * @return the page size it will be, which the program gets to know
     * @throws DeviceFailure
     *             if logging does not start
     */
    long start(List<Range> ranges, long pageSize) throws DeviceFailure;

    /**
     * Feature 7: ends logging.
     *
     * @throws DeviceFailure
     *             if the request fails
     */
    void stop() throws DeviceFailure;

    /**
     * Feature 8: reports what was written to since the last report, and forgets it. A kernel may ask for a long range in
     * pieces.
     *
     * @param iova
     *            the begin of the range
     * @param length
     *            its bytes
     * @param dirty
     *            takes the addresses
     * @throws DeviceFailure
     *             if the request fails; what was added stays reported
     */
    void report(long iova, long length, DirtyRanges dirty) throws DeviceFailure;
}
