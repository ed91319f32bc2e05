package io.github.vfio4j.emulation.device;

import io.github.vfio4j.Errno;

/**
 * A device's "no": the call ends with this errno. Thrown by a model, and never seen by the program, which gets the errno.
 */
public final class DeviceFailure extends Exception {

    private static final long serialVersionUID = 1;

    /** The largest that fits a system call's result. */
    private static final int MAX_ERRNO = 4095;

    /** The number of the answer. */
    private final int errno;
    /** Whether it leaves the device in ERROR. */
    private final boolean fatal;

    /**
     * A call that fails, of a device that goes on as before.
     *
     * @param errno
     *            the call's answer, 1‥4095
     * @throws IllegalArgumentException
     *             if no call can have that answer
     */
    public DeviceFailure(Errno errno) {
        this(errno, false);
    }

    private DeviceFailure(Errno errno, boolean fatal) {
        // An answer and not a defect: nobody looks at where it was thrown.
        super((fatal ? "fatal: " : "") + errno, null, false, false);
        if (errno.code() < 1 || errno.code() > MAX_ERRNO) {
            throw new IllegalArgumentException("No system call fails with " + errno.code() + "; take 1 to 4095");
        }
        this.errno = errno.code();
        this.fatal = fatal;
    }

    /**
     * A failure of which the device does not recover by itself: thrown in the course of migration it also ends the data
     * descriptors and leaves the device in {@link io.github.vfio4j.feature.MigrationState#ERROR}, from which only a reset
     * or a new opening leads. Elsewhere it is a failure like any other.
     *
     * @param errno
     *            the call's answer, 1‥4095
     * @return to be thrown
     * @throws IllegalArgumentException
     *             if no call can have that answer
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
