package io.github.vfio4j.emulation.mdev;

import static io.github.vfio4j.emulation.feature.MigrationFsm.PRE_COPY;
import static io.github.vfio4j.emulation.feature.MigrationFsm.PRE_COPY_P2P;
import static io.github.vfio4j.emulation.feature.MigrationFsm.RESUMING;
import static io.github.vfio4j.emulation.feature.MigrationFsm.RUNNING;
import static io.github.vfio4j.emulation.feature.MigrationFsm.RUNNING_P2P;
import static io.github.vfio4j.emulation.feature.MigrationFsm.STOP;
import static io.github.vfio4j.emulation.feature.MigrationFsm.STOP_COPY;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.feature.MigrationFsm;
import io.github.vfio4j.emulation.feature.MigrationOps;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * mtty's migration (semantics §B.8). The state belongs to the device and not to its opening: closing ends the data
 * descriptors and leaves the state as it is.
 */
final class MttyMigration implements MigrationOps {

    private static final int ALL_FLAGS = 7;

    private final MttyData data;
    private int state = RUNNING;
    private boolean precopyV2;
    private @Nullable MttySaveFile saving;
    private @Nullable MttyResumeFile resuming;

    MttyMigration(int ports) {
        data = new MttyData(ports);
    }

    @Override
    public int flags() {
        return ALL_FLAGS;
    }

    @Override
    public synchronized int state() {
        return state;
    }

    @Override
    public long dataSize() {
        return data.streamSize();
    }

    @Override
    public synchronized void optInToPrecopyV2() {
        precopyV2 = true;
    }

    @Override
    public synchronized StateChange setState(int destination) {
        StateChange change = StateChange.of(0);
        while (state != destination) {
            int next = MigrationFsm.nextState(state, destination, ALL_FLAGS);
            if (next < 0) {
                return StateChange.of(next);
            }
            change = step(next);
            if (change.result() != 0) {
                return change;
            }
            state = next;
        }
        return change;
    }

    private StateChange step(int next) {
        if (state == RESUMING && next == STOP) {
            return StateChange.of(load());
        }
        if (state == STOP && next == RESUMING) {
            resuming = new MttyResumeFile(data);
            return new StateChange(0, resuming);
        }
        if ((state == RUNNING && next == PRE_COPY) || (state == RUNNING_P2P && next == PRE_COPY_P2P)) {
            return new StateChange(0, save());
        }
        if (next == STOP_COPY) {
            boolean begins = saving == null;
            MttySaveFile file = saving == null ? save() : saving;
            file.append(data.ports());
            return begins ? new StateChange(0, file) : StateChange.of(0);
        }
        boolean savingEnds = (state == STOP_COPY && next == STOP) || (state == PRE_COPY && next == RUNNING)
                || (state == PRE_COPY_P2P && next == RUNNING_P2P);
        if (savingEnds) {
            killFiles();
        }
        return StateChange.of(0);
    }

    private MttySaveFile save() {
        saving = new MttySaveFile(this, data.header());
        return saving;
    }

    private int load() {
        if (resuming == null) {
            throw new KernelHazardException("mtty is in RESUMING without its data descriptor, because it was closed"
                    + " meanwhile; to leave that state is a NULL pointer dereference. Reset the device first");
        }
        byte[] stream = resuming.received();
        if (stream.length == 0) {
            return -Errno.EINVAL.code();
        }
        data.load(stream);
        killFiles();
        return 0;
    }

    private void killFiles() {
        if (saving != null) {
            saving.kill();
            saving = null;
        }
        if (resuming != null) {
            resuming.kill();
            resuming = null;
        }
    }

    /** The device was closed by its last user. */
    synchronized void close() {
        killFiles();
        precopyV2 = false;
    }

    /** VFIO_DEVICE_RESET. */
    synchronized void reset() {
        killFiles();
        state = RUNNING;
    }

    /** MIG_GET_PRECOPY_INFO, once its argument has been found right (semantics §C.1). */
    synchronized int precopyInfo(MttySaveFile file, MemorySegment argument) {
        return state == PRE_COPY || state == PRE_COPY_P2P
                ? file.precopyInfo(argument, precopyV2)
                : -Errno.EINVAL.code();
    }
}
