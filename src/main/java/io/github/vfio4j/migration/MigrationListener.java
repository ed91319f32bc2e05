package io.github.vfio4j.migration;

import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.feature.PrecopyInfo;

/**
 * Is told how a migration goes, in the thread that carries it out, which waits meanwhile. What a listener throws ends the
 * migration like any other failure.
 */
public interface MigrationListener {

    /** Listens to nothing. */
    MigrationListener NONE = new MigrationListener() {
    };

    /**
     * The device has gone to a state.
     *
     * @param state
     *            where it is now
     */
    default void stateChanged(MigrationState state) {
    }

    /**
     * A round of pre-copy has ended.
     *
     * @param round
     *            which, from 1 on
     * @param left
     *            what the device has to give now
     */
    default void roundEnded(int round, PrecopyInfo left) {
    }

    /**
     * Data have been moved.
     *
     * @param total
     *            bytes since the migration began
     */
    default void transferred(long total) {
    }
}
