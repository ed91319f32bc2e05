package io.github.vfio4j.migration;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.MigrationData;
import io.github.vfio4j.feature.MigrationFeature;
import io.github.vfio4j.feature.MigrationState;
import org.jspecify.annotations.Nullable;

/** The device's side of one migration: its state, and the data descriptor that came with one, until it is closed. */
final class Session implements AutoCloseable {

    private final MigrationFeature migration;
    private final MigrationListener listener;
    private MigrationState state;
    private @Nullable MigrationData data;

    Session(MigrationFeature migration, MigrationListener listener, MigrationState state) {
        this.migration = migration;
        this.listener = listener;
        this.state = state;
    }

    /** Where the device was meant to be, for messages. */
    MigrationState state() {
        return state;
    }

    /** Goes to a state. The states of a save share one descriptor, unless the driver has another for the next. */
    void enter(MigrationState next) throws VfioException {
        state = next;
        MigrationData brought = migration.setState(next).orElse(null);
        if (brought != null) {
            MigrationData previous = data;
            data = brought;
            if (previous != null) {
                previous.close();
            }
        }
        listener.stateChanged(next);
    }

    /** The data descriptor. */
    MigrationData data() throws VfioException {
        if (data == null) {
            throw new VfioException("SET MIG_DEVICE_STATE " + state, null,
                    "The device has come to " + state + " without a data descriptor: another opening of it has that");
        }
        return data;
    }

    @Override
    public void close() throws VfioException {
        if (data != null) {
            data.close();
        }
    }
}
