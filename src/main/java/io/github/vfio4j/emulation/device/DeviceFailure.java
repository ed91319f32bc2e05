package io.github.vfio4j.emulation.device;

import io.github.vfio4j.Errno;

/**
 * A device's "no": the call ends with this errno. Thrown by a model, and never seen by the program, which gets the errno.
 */
public final class DeviceFailure extends Exception {

    private static final long serialVersionUID = 1;

    /** The number of the answer. */
    private final int errno;
    /** Whether it leaves the device in ERROR. */
    private final boolean fatal;

    /**
     * A call that fails, of a device that goes on as before.
     *
     * @param errno
     *            the call's answer
     */
    public DeviceFailure(Errno errno) {
        this(errno, false);
    }

    private DeviceFailure(Errno errno, boolean fatal) {
        // An answer and not a defect: nobody looks at where it was thrown.
        super((fatal ? "fatal: " : "") + errno, null, false, false);
        this.errno = errno.code();
        this.fatal = fatal;
    }

    /**
     * A failure of which the device does not recover by itself: thrown in the course of migration it also ends the data
     * descriptors and leaves the device in {@link io.github.vfio4j.feature.MigrationState#ERROR}, from which only a reset
     * or a new opening leads. Elsewhere it is a failure like any other.
     *
     * @param errno
     *            the call's answer
     * @return to be thrown
     */
    public static DeviceFailure fatal(Errno errno) {
        return new DeviceFailure(errno, true);
    }

    /**
     * The answer.
     *
     * @return its errno
     */
    public Errno errno() {
        return new Errno(errno);
    }

    /**
     * Whether it leaves the device in ERROR.
     *
     * @return true if it does
     */
    public boolean isFatal() {
        return fatal;
    }
}
