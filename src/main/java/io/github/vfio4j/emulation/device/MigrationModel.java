package io.github.vfio4j.emulation.device;

import io.github.vfio4j.feature.MigrationState;

/**
 * How a device migrates (semantics §B.2, §C). The kernel keeps the state, finds the way from one state to another and
 * takes it step by step; it opens the data descriptors and ends them when a step, a reset or the last close leads out of
 * the transfer. A device is {@link MigrationState#RUNNING} when it is opened and after a reset.
 *
 * <p>
 * A thrown {@link DeviceFailure} is the answer of the call. The steps before the one that failed stay done. If the failure
 * is {@linkplain DeviceFailure#fatal fatal}, the device is then in {@link MigrationState#ERROR}.
 */
public interface MigrationModel {

    /**
     * Whether the device has the state RUNNING_P2P, and PRE_COPY_P2P if it has PRE_COPY: capability P2P of feature 1.
     *
     * @return false unless overridden
     */
    default boolean hasP2p() {
        return false;
    }

    /**
     * Whether the device has the state PRE_COPY: capability PRE_COPY of feature 1. Linux 6.1 does not know of it, and the
     * device does without there.
     *
     * @return false unless overridden
     */
    default boolean hasPreCopy() {
        return false;
    }

    /**
     * The state is about to be read or changed by feature 2: a chance for the device to have failed.
     *
     * @throws DeviceFailure
     *             if the request fails. A fatal one fails no request: the device goes to ERROR, which is then what is read
     */
    default void check() throws DeviceFailure {
    }

    /**
     * Takes one step. Of those that begin a transfer, {@link #save} or {@link #resume} is called next; of the one that
     * completes a restore, RESUMING to STOP, {@link ResumeStream#finish} is.
     *
     * @param from
     *            the present state
     * @param to
     *            the next one
     * @throws DeviceFailure
     *             if the device does not get there: it stays in the present state
     */
    default void step(MigrationState from, MigrationState to) throws DeviceFailure {
    }

    /**
     * A save begins, with the step to PRE_COPY, PRE_COPY_P2P or STOP_COPY; a step from one of these to another goes on with
     * the same stream.
     *
     * @return a new stream
     * @throws DeviceFailure
     *             if it can't begin: the device stays in the present state
     */
    SaveStream save() throws DeviceFailure;

    /**
     * A restore begins, with the step to RESUMING.
     *
     * @return a new stream
     * @throws DeviceFailure
     *             if it can't begin: the device stays in the present state
     */
    ResumeStream resume() throws DeviceFailure;

    /**
     * How much there would be to read in STOP_COPY: feature 9, in every state.
     *
     * @return bytes, an estimate
     * @throws DeviceFailure
     *             if the request fails
     */
    long stopCopySize() throws DeviceFailure;
}
