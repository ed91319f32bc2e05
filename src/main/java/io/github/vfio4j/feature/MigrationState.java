package io.github.vfio4j.feature;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_STATE_ERROR;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_STATE_PRE_COPY;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_STATE_PRE_COPY_P2P;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_STATE_RESUMING;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_STATE_RUNNING;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_STATE_RUNNING_P2P;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_STATE_STOP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_STATE_STOP_COPY;

import java.util.List;
import java.util.Optional;

/**
 * The migration states of a device (enum vfio_device_mig_state of {@code vfio.h}; device-feature semantics §B.2.5). The
 * constants stand in the order of their numbers.
 *
 * <p>
 * Every device that can migrate has {@link #STOP}, {@link #RUNNING}, {@link #STOP_COPY} and {@link #RESUMING}; the
 * others depend on what it is capable of, which feature 1 tells.
 */
public enum MigrationState {

    /** The device has failed. It can't be asked for, and only a reset leads out. */
    ERROR(VFIO_DEVICE_STATE_ERROR()),
    /** Nothing moves: no DMA, no interrupts, the state does not change. */
    STOP(VFIO_DEVICE_STATE_STOP()),
    /** Normal operation. */
    RUNNING(VFIO_DEVICE_STATE_RUNNING()),
    /** As {@link #STOP}, and the device's state can be read from the data descriptor. */
    STOP_COPY(VFIO_DEVICE_STATE_STOP_COPY()),
    /** As {@link #STOP}, and a state can be written to the data descriptor. */
    RESUMING(VFIO_DEVICE_STATE_RESUMING()),
    /** As {@link #RUNNING}, but the device starts no peer-to-peer DMA. Needs the capability P2P. */
    RUNNING_P2P(VFIO_DEVICE_STATE_RUNNING_P2P()),
    /** As {@link #RUNNING}, and the state can be read in advance. Needs the capability PRE_COPY. */
    PRE_COPY(VFIO_DEVICE_STATE_PRE_COPY()),
    /** {@link #RUNNING_P2P} and {@link #PRE_COPY} at once. Needs both capabilities. */
    PRE_COPY_P2P(VFIO_DEVICE_STATE_PRE_COPY_P2P());

    private static final List<MigrationState> BY_VALUE = List.of(values());

    private final int value;

    MigrationState(int value) {
        this.value = value;
    }

    /**
     * The state's number.
     *
     * @return 0‥7, as in {@code device_state} of feature 2
     */
    public int value() {
        return value;
    }

    /**
     * The state with a number.
     *
     * @param value
     *            {@code device_state} as the kernel gave it
     * @return the state, or nothing if Linux 7.2 knows none of that number
     */
    public static Optional<MigrationState> of(int value) {
        return value >= 0 && value < BY_VALUE.size() ? Optional.of(BY_VALUE.get(value)) : Optional.empty();
    }
}
