package io.github.vfio4j.emulation.feature;

import static io.github.vfio4j.emulation.feature.MigrationFsm.PRE_COPY;
import static io.github.vfio4j.emulation.feature.MigrationFsm.PRE_COPY_P2P;
import static io.github.vfio4j.emulation.feature.MigrationFsm.RESUMING;
import static io.github.vfio4j.emulation.feature.MigrationFsm.STOP_COPY;

import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.feature.MigrationState;
import org.jspecify.annotations.Nullable;

/** The migration of a device with a model: the data descriptors as the contract of the header wants them (semantics §C.2). */
final class ModelMigration extends Migration {

    private static final int HAS_STOP_COPY = 1;
    private static final int HAS_P2P = 2;
    private static final int HAS_PRE_COPY = 4;

    private final MigrationModel model;
    private @Nullable SaveFile saving;
    private @Nullable ResumeFile resuming;

    ModelMigration(KernelProfile profile, MigrationModel model, Object lock) {
        super((HAS_STOP_COPY | (model.hasP2p() ? HAS_P2P : 0) | (model.hasPreCopy() ? HAS_PRE_COPY : 0))
                & profile.migrationFlags(), lock);
        this.model = model;
    }

    @Override
    protected void check() throws DeviceFailure {
        model.check();
    }

    @Override
    protected @Nullable OpenFile step(int from, int to) throws DeviceFailure {
        model.step(state(from), state(to));
        if (to == PRE_COPY || to == PRE_COPY_P2P || to == STOP_COPY) {
            if (saving != null) {
                return null;
            }
            saving = new SaveFile(this, model.save());
            return saving;
        }
        if (to == RESUMING) {
            resuming = new ResumeFile(this, model.resume());
            return resuming;
        }
        if (resuming != null) {
            resuming.finish();
        }
        endTransfer();
        return null;
    }

    private static MigrationState state(int value) {
        return MigrationState.of(value).orElseThrow();
    }

    @Override
    protected long stopCopySize() throws DeviceFailure {
        return model.stopCopySize();
    }

    @Override
    protected void endTransfer() {
        SaveFile ofSave = saving;
        ResumeFile ofResume = resuming;
        saving = null;
        resuming = null;
        if (ofSave != null) {
            ofSave.end();
        }
        if (ofResume != null) {
            ofResume.end();
        }
    }
}
