package io.github.vfio4j.emulation.device;

import java.lang.foreign.MemorySegment;

/**
 * The device's end of the data descriptor of a restore. When the transfer has ended, writes are {@code ENODEV} without it.
 */
public interface ResumeStream {

    /**
     * Takes what comes next.
     *
     * @param data
     *            the caller's memory, valid only during the call
     * @return bytes taken
     * @throws DeviceFailure
     *             if it does not take any
     */
    long write(MemorySegment data) throws DeviceFailure;

    /**
     * The device is to leave RESUMING with the state that was written.
     *
     * @throws DeviceFailure
     *             if that is not a whole or a consistent state ({@code EINVAL} by custom): the device stays in RESUMING, and
     *             more can be written
     */
    void finish() throws DeviceFailure;

    /** The transfer has ended, in whatever way; called once. Whoever waits in {@link #write} is to be woken. */
    default void close() {
    }
}
