package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.EventFd;
import java.util.function.BooleanSupplier;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The low-power state of a vfio-pci device (semantics §B.3): whether user space has let it go to sleep, whom to wake, and
 * whether the power management has really suspended it meanwhile.
 *
 * <p>
 * Suspending is not the caller's doing: it happens some time after the last access. Here that is a fixed delay on the
 * emulated kernel's clock, so that a test decides when it happens.
 */
public final class LowPower {

    /** Idle for this long, every kernel that was measured had suspended the device. */
    private static final long SUSPEND_DELAY_NANOS = 100_000;

    private final LongSupplier clock;
    private final BooleanSupplier maySuspend;
    private volatile boolean engaged;
    private @Nullable EventFd wake;
    private long idleSince;

    /**
     * An awake device.
     *
     * @param clock
     *            the emulated kernel's clock, in nanoseconds
     * @param maySuspend
     *            whether nothing but user space keeps the device awake
     */
    public LowPower(LongSupplier clock, BooleanSupplier maySuspend) {
        this.clock = clock;
        this.maySuspend = maySuspend;
    }

    /** An access to the device wakes it. If it was suspended and somebody asked to be told, that ends low power. */
    public void access() {
        if (engaged) {
            wakeUp();
        }
    }

    private synchronized void wakeUp() {
        boolean suspended = engaged && maySuspend.getAsBoolean()
                && clock.getAsLong() - idleSince >= SUSPEND_DELAY_NANOS;
        idleSince = clock.getAsLong();
        if (suspended && wake != null) {
            wake.signal();
            exit();
        }
    }

    /** Features 3 and 4. */
    synchronized int enter(@Nullable EventFd wakeup) {
        if (engaged) {
            return -Errno.EINVAL.code();
        }
        engaged = true;
        wake = wakeup;
        idleSince = clock.getAsLong();
        return 0;
    }

    /** Feature 5, and the last close of the device: never signals. */
    public synchronized void exit() {
        engaged = false;
        wake = null;
    }
}
