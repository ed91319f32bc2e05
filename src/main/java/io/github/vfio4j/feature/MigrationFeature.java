package io.github.vfio4j.feature;

import static io.github.vfio4j.feature.MigrationState.PRE_COPY;
import static io.github.vfio4j.feature.MigrationState.PRE_COPY_P2P;
import static io.github.vfio4j.feature.MigrationState.RESUMING;
import static io.github.vfio4j.feature.MigrationState.RUNNING;
import static io.github.vfio4j.feature.MigrationState.RUNNING_P2P;
import static io.github.vfio4j.feature.MigrationState.STOP;
import static io.github.vfio4j.feature.MigrationState.STOP_COPY;
import static io.github.vfio4j.uapi.vfio_h.VFIO_MIGRATION_P2P;
import static io.github.vfio4j.uapi.vfio_h.VFIO_MIGRATION_PRE_COPY;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_device_feature_mig_data_size;
import io.github.vfio4j.uapi.vfio_device_feature_mig_state;
import io.github.vfio4j.uapi.vfio_device_feature_migration;
import java.lang.foreign.Arena;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Set;

/**
 * Features 1, 2, 9 and 12, {@code MIGRATION}, {@code MIG_DEVICE_STATE}, {@code MIG_DATA_SIZE} and
 * {@code MIG_PRECOPY_INFOv2}: takes a device through the states of a migration, one of which yields its state as a stream
 * and another takes it (semantics §B.2, §C). {@link io.github.vfio4j.migration.MigrationDriver} does that as a whole.
 *
 * <p>
 * Safe for use by many threads; the kernel carries out one change of state at a time.
 */
public final class MigrationFeature {

    private final FeatureTarget device;
    private final long flags;
    private final Set<MigrationState> states;

    private MigrationFeature(FeatureTarget device, long flags) {
        this.device = device;
        this.flags = flags;
        EnumSet<MigrationState> possible = EnumSet.of(STOP, RUNNING, STOP_COPY, RESUMING);
        boolean p2p = (flags & VFIO_MIGRATION_P2P()) != 0;
        if (p2p) {
            possible.add(RUNNING_P2P);
        }
        if ((flags & VFIO_MIGRATION_PRE_COPY()) != 0) {
            possible.add(PRE_COPY);
            if (p2p) {
                possible.add(PRE_COPY_P2P);
            }
        }
        states = Collections.unmodifiableSet(possible);
    }

    /**
     * The feature of a device.
     *
     * @param device
     *            any device
     * @return empty if it can't migrate
     * @throws VfioException
     *             if the device could not be asked
     */
    public static Optional<MigrationFeature> of(FeatureTarget device) throws VfioException {
        if (!device.supports(FeatureId.MIGRATION, FeatureOperation.GET)
                || !device.supports(FeatureId.MIG_DEVICE_STATE, FeatureOperation.SET)) {
            return Optional.empty();
        }
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.MIGRATION).get().allocate(arena);
            device.execute(request);
            return Optional.of(new MigrationFeature(device, vfio_device_feature_migration.flags(request.payload())));
        }
    }

    /**
     * What kind of migration the device is capable of.
     *
     * @return bits of {@code VFIO_MIGRATION_…}: STOP_COPY 1, P2P 2, PRE_COPY 4, and what later kernels add
     */
    public long flags() {
        return flags;
    }

    /**
     * The states the device can be asked to go to, as its flags allow.
     *
     * @return four to seven of them; never {@link MigrationState#ERROR}
     */
    public Set<MigrationState> states() {
        return states;
    }

    /**
     * The present state.
     *
     * @return the state; {@link MigrationState#ERROR} if the device has failed
     * @throws VfioException
     *             if the kernel refuses
     */
    public MigrationState state() throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.MIG_DEVICE_STATE).get().allocate(arena);
            device.execute(request);
            int value = vfio_device_feature_mig_state.device_state(request.payload());
            return MigrationState.of(value).orElseThrow(() -> new VfioException("GET MIG_DEVICE_STATE", null,
                    "The device is in state " + value + ", which this library does not know"));
        }
    }

    /**
     * Goes to a state, by way of others where there is no direct one. Nothing happens if the device is there already.
     *
     * @param state
     *            one of {@link #states}
     * @return the data descriptor that the change has brought, if it has: of a save when STOP_COPY or one of the pre-copy
     *         states is entered from outside of these three, of a restore when RESUMING is entered. It is the caller's,
     *         who closes it
     * @throws VfioException
     *             {@code EINVAL} if there is no way there, or the data a device in RESUMING has been given is incomplete
     *             or not its own; what else the driver answers. The steps that were made on the way stay made, so that
     *             {@link #state} tells where the device is
     * @throws IllegalArgumentException
     *             if the device can't have that state; no call was made
     */
    public Optional<MigrationData> setState(MigrationState state) throws VfioException {
        if (!states.contains(state)) {
            throw new IllegalArgumentException(state == MigrationState.ERROR
                    ? "A device gets into ERROR by failing; it can't be asked to"
                    : "This device has no state " + state + ", only " + states);
        }
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.MIG_DEVICE_STATE).set().allocate(arena);
            vfio_device_feature_mig_state.device_state(request.payload(), state.value());
            vfio_device_feature_mig_state.data_fd(request.payload(), -1);
            device.execute(request);
            int fd = vfio_device_feature_mig_state.data_fd(request.payload());
            return fd < 0
                    ? Optional.empty()
                    : Optional.of(new MigrationData(device.own(fd, "migration data of " + device), state == RESUMING));
        }
    }

    /**
     * How much a migration would move in STOP_COPY, as the device estimates it.
     *
     * @return bytes; empty if the kernel does not have that feature (it came with 6.2)
     * @throws VfioException
     *             what the driver answers
     */
    public OptionalLong dataSize() throws VfioException {
        if (!device.supports(FeatureId.MIG_DATA_SIZE, FeatureOperation.GET)) {
            return OptionalLong.empty();
        }
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.MIG_DATA_SIZE).get().allocate(arena);
            device.execute(request);
            return OptionalLong.of(vfio_device_feature_mig_data_size.stop_copy_length(request.payload()));
        }
    }

    /**
     * Opts in to the second version of the pre-copy information, which tells when a device begins anew with its initial
     * bytes. Lasts until the device is closed by its last user.
     *
     * @return false if the device or the kernel has only the first version
     * @throws VfioException
     *             if the kernel refuses
     */
    public boolean optInToPrecopyInfoV2() throws VfioException {
        if (!device.supports(FeatureId.MIG_PRECOPY_INFOV2, FeatureOperation.SET)) {
            return false;
        }
        device.set(FeatureId.MIG_PRECOPY_INFOV2);
        return true;
    }

    /** Whose it is, and its states. */
    @Override
    public String toString() {
        return "migration of " + device + " " + states;
    }
}
