package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.fs.OpenFile;
import org.jspecify.annotations.Nullable;

/** What a driver that can migrate its device does for the core (struct vfio_migration_ops). */
public interface MigrationOps {

    /** What kind of migration: STOP_COPY 1, P2P 2, PRE_COPY 4. */
    int flags();

    /** The present state, or −errno. */
    int state();

    /** Goes to a state. */
    StateChange setState(int state);

    /** How much a migration would move in STOP_COPY, in bytes, or −errno. */
    long dataSize();

    /** User space has opted in to the second version of the pre-copy information. */
    void optInToPrecopyV2();

    /**
     * How a change of state has ended.
     *
     * @param result
     *            0, or −errno
     * @param file
     *            the data descriptor's file, if this change has brought one
     */
    record StateChange(int result, @Nullable OpenFile file) {

        /** A change that brought no file, or failed. */
        public static StateChange of(int result) {
            return new StateChange(result, null);
        }
    }
}
