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
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.feature.Migration;
import io.github.vfio4j.emulation.feature.SaveFile;
import io.github.vfio4j.emulation.fs.OpenFile;
import org.jspecify.annotations.Nullable;

/**
 * mtty's migration (semantics §B.8). The state belongs to the device and not to its opening: closing ends the data
 * descriptors and leaves the state as it is.
 */
final class MttyMigration extends Migration {

    private static final int ALL_FLAGS = 7;

    private final MttyData data;
    private @Nullable MttySaveStream stream;
    private @Nullable SaveFile saving;
    private @Nullable MttyResumeFile resuming;

    MttyMigration(int ports) {
        this(new MttyData(ports));
    }

    /** The data serves as the lock. */
    private MttyMigration(MttyData data) {
        super(ALL_FLAGS, data);
        this.data = data;
    }

    @Override
    protected long stopCopySize() {
        return data.streamSize();
    }

    @Override
    protected @Nullable OpenFile step(int from, int to) throws DeviceFailure {
        if (from == RESUMING && to == STOP) {
            load();
            return null;
        }
        if (from == STOP && to == RESUMING) {
            resuming = new MttyResumeFile(data);
            return resuming;
        }
        if ((from == RUNNING && to == PRE_COPY) || (from == RUNNING_P2P && to == PRE_COPY_P2P)) {
            return save(new MttySaveStream(data.header()));
        }
        if (to == STOP_COPY) {
            return stopCopy();
        }
        boolean savingEnds = (from == STOP_COPY && to == STOP) || (from == PRE_COPY && to == RUNNING)
                || (from == PRE_COPY_P2P && to == RUNNING_P2P);
        if (savingEnds) {
            endTransfer();
        }
        return null;
    }

    private SaveFile save(MttySaveStream newStream) {
        stream = newStream;
        saving = new SaveFile(this, newStream);
        return saving;
    }

    /** Goes on with the file there is; after a closing of the device there may be none. */
    private @Nullable SaveFile stopCopy() {
        MttySaveStream present = stream;
        if (present != null) {
            present.append(data.ports());
            return null;
        }
        MttySaveStream fresh = new MttySaveStream(data.header());
        fresh.append(data.ports());
        return save(fresh);
    }

    private void load() throws DeviceFailure {
        if (resuming == null) {
            throw new KernelHazardException("mtty is in RESUMING without its data descriptor, because it was closed"
                    + " meanwhile; to leave that state is a NULL pointer dereference. Reset the device first");
        }
        byte[] received = resuming.received();
        if (received.length == 0) {
            throw new DeviceFailure(Errno.EINVAL);
        }
        data.load(received);
        endTransfer();
    }

    @Override
    protected void endTransfer() {
        if (saving != null) {
            saving.end();
            saving = null;
            stream = null;
        }
        if (resuming != null) {
            resuming.kill();
            resuming = null;
        }
    }
}
