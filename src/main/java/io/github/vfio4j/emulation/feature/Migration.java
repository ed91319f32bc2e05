package io.github.vfio4j.emulation.feature;

import static io.github.vfio4j.emulation.feature.MigrationFsm.ERROR;
import static io.github.vfio4j.emulation.feature.MigrationFsm.PRE_COPY;
import static io.github.vfio4j.emulation.feature.MigrationFsm.PRE_COPY_P2P;
import static io.github.vfio4j.emulation.feature.MigrationFsm.RUNNING;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.fs.OpenFile;
import org.jspecify.annotations.Nullable;

/**
 * The migration of one device as drivers with migration do it (struct vfio_migration_ops, semantics §B.2): the state, and
 * the walk from one to another. What a single step does is the driver's business. Everything happens under one lock, that
 * of the driver.
 */
public abstract class Migration {

    private static final int HAS_PRE_COPY = 4;

    private final Object lock;
    private final int flags;
    private int state = RUNNING;
    private boolean precopyV2;

    /**
     * A running device.
     *
     * @param flags
     *            what it is capable of: STOP_COPY 1, P2P 2, PRE_COPY 4
     * @param lock
     *            what every call is made under
     */
    protected Migration(int flags, Object lock) {
        this.flags = flags;
        this.lock = lock;
    }

    /** Takes one step: the data descriptor's file if the step brings one. */
    protected abstract @Nullable OpenFile step(int from, int to) throws DeviceFailure;

    /** How much a migration would move in STOP_COPY, in bytes. */
    protected abstract long stopCopySize() throws DeviceFailure;

    /** Ends the data descriptors, if there are any. */
    protected abstract void endTransfer();

    /** The state is about to be read or changed; a failure fails that, unless it is fatal. */
    protected void check() throws DeviceFailure {
    }

    final int flags() {
        return flags;
    }

    final boolean hasPreCopy() {
        return (flags & HAS_PRE_COPY) != 0;
    }

    /** User space has opted in to the second version of the pre-copy information. */
    final void optInToPrecopyV2() {
        synchronized (lock) {
            precopyV2 = true;
        }
    }

    /** Something that the driver does for a call: ≥ 0, or −errno. */
    interface Work {
        long run() throws DeviceFailure;
    }

    /** Does it under the lock. */
    final long run(Work work) {
        synchronized (lock) {
            try {
                return work.run();
            } catch (DeviceFailure failure) {
                if (failure.isFatal()) {
                    fail();
                }
                return -failure.errno().code();
            }
        }
    }

    private void fail() {
        state = ERROR;
        endTransfer();
    }

    // What follows is called in run.

    final int state() throws DeviceFailure {
        checkForFailure();
        return state;
    }

    /** Goes to a state step by step; the steps before one that fails stay done. */
    final @Nullable OpenFile setState(int destination) throws DeviceFailure {
        checkForFailure();
        OpenFile file = null;
        while (state != destination) {
            int next = MigrationFsm.nextState(state, destination, flags);
            if (next < 0) {
                throw new DeviceFailure(Errno.EINVAL);
            }
            file = step(state, next);
            state = next;
        }
        return file;
    }

    private void checkForFailure() throws DeviceFailure {
        try {
            check();
        } catch (DeviceFailure failure) {
            if (!failure.isFatal()) {
                throw failure;
            }
            fail();
        }
    }

    final boolean isPreCopying() {
        return state == PRE_COPY || state == PRE_COPY_P2P;
    }

    final boolean isPrecopyV2() {
        return precopyV2;
    }

    // Until here.

    /** The last user has closed the device. */
    public final void close() {
        synchronized (lock) {
            endTransfer();
            precopyV2 = false;
        }
    }

    /** The device was reset: it runs. */
    public final void reset() {
        synchronized (lock) {
            endTransfer();
            state = RUNNING;
        }
    }
}
