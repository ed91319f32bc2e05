package io.github.vfio4j.emulation.device;

import java.lang.foreign.MemorySegment;

/** The device's end of the data descriptor of a save. When the transfer has ended, reads are {@code ENODEV} without it. */
public interface SaveStream {

    /**
     * How much there is left to read in PRE_COPY. Both are estimates.
     *
     * @param initialBytes
     *            of the first round: not 0 at the beginning, falling
     * @param dirtyBytes
     *            of what has changed since it was read
     * @param reinitialized
     *            whether the first round has begun anew, which only those get to know who have opted in by feature 12
     */
    record Remaining(long initialBytes, long dirtyBytes, boolean reinitialized) {
    }

    /**
     * Reads on.
     *
     * @param buffer
     *            where to
     * @return bytes read; 0 at the end, which is for good in STOP_COPY
     * @throws DeviceFailure
     *             if there is nothing to read but an errno: {@code ENOMSG} is how most devices call the temporary end in
     *             PRE_COPY
     */
    long read(MemorySegment buffer) throws DeviceFailure;

    /**
     * MIG_GET_PRECOPY_INFO in PRE_COPY or PRE_COPY_P2P (semantics §C.1).
     *
     * @return how much there is left
     * @throws DeviceFailure
     *             if the request fails
     */
    default Remaining remaining() throws DeviceFailure {
        throw new UnsupportedOperationException("A device with pre-copy has to say how much there is left to read: "
                + getClass().getName() + " needs the method remaining()");
    }

    /** The transfer has ended, in whatever way; called once. Whoever waits in {@link #read} is to be woken. */
    default void close() {
    }
}
