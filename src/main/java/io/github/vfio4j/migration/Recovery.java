package io.github.vfio4j.migration;

import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.MigrationFeature;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.migration.MigrationException.Outcome;
import org.jspecify.annotations.Nullable;

/**
 * What is done about a device after a failure: back to where it was, if the state machine has a way there. There is none
 * out of ERROR, and none out of RESUMING with an incomplete state (semantics §C.2).
 */
final class Recovery {

    private final VfioDevice device;
    private final MigrationFeature migration;
    private final Throwable failure;

    Recovery(VfioDevice device, MigrationFeature migration, Throwable failure) {
        this.device = device;
        this.migration = migration;
        this.failure = failure;
    }

    private interface Attempt {
        void make() throws VfioException;
    }

    /**
     * Does what can be done; what fails in it is suppressed in the failure.
     *
     * @param message
     *            what has failed
     * @param origin
     *            where the device was
     * @param resetAllowed
     *            whether it may be reset if nothing else helps
     * @return the failure, together with what has become of the device
     */
    MigrationException run(String message, MigrationState origin, boolean resetAllowed) {
        MigrationState state = state();
        if (state != null && state != origin && !onlyResetHelps(state)) {
            attempt(() -> migration.setState(origin));
            state = state();
        }
        Outcome outcome = state == origin
                ? Outcome.ROLLED_BACK
                : state != null && onlyResetHelps(state) ? Outcome.NEEDS_RESET : Outcome.NOT_RECOVERED;
        if (outcome != Outcome.ROLLED_BACK && resetAllowed && attempt(device::reset)) {
            state = state();
            outcome = state == MigrationState.RUNNING ? Outcome.RESET : Outcome.NOT_RECOVERED;
        }
        return new MigrationException(message + ": " + reason() + ". " + words(outcome, state), outcome, state,
                failure);
    }

    private static boolean onlyResetHelps(MigrationState state) {
        return state == MigrationState.ERROR || state == MigrationState.RESUMING;
    }

    private String reason() {
        String reason = failure.getMessage() == null ? failure.toString() : failure.getMessage();
        return reason.endsWith(".") ? reason.substring(0, reason.length() - 1) : reason;
    }

    private static String words(Outcome outcome, @Nullable MigrationState state) {
        return switch (outcome) {
            case ROLLED_BACK -> "The device is back in " + state + ", nothing is lost";
            case RESET -> "The device was reset and is RUNNING, its state is lost";
            case NEEDS_RESET -> "The device is in " + state + ", which only a reset ends";
            case NOT_RECOVERED -> "The device could not be brought back"
                    + (state == null ? " and does not say where it is" : ", it is in " + state);
        };
    }

    private @Nullable MigrationState state() {
        try {
            return migration.state();
        } catch (VfioException | RuntimeException e) {
            failure.addSuppressed(e);
            return null;
        }
    }

    private boolean attempt(Attempt attempt) {
        try {
            attempt.make();
            return true;
        } catch (VfioException | RuntimeException e) {
            failure.addSuppressed(e);
            return false;
        }
    }
}
