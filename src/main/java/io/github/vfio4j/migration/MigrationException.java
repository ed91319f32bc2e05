package io.github.vfio4j.migration;

import io.github.vfio4j.feature.MigrationState;
import java.io.IOException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A migration that has failed, and what has become of the device. The {@linkplain #getCause cause} is the failure itself:
 * the device's ({@link io.github.vfio4j.VfioException}), the channel's or the listener's. What went wrong afterwards is
 * suppressed in it.
 */
public final class MigrationException extends IOException {

    private static final long serialVersionUID = 1;

    /** What has become of the device. */
    public enum Outcome {
        /** It is back in the state in which it was found, or has never left it; nothing is lost. */
        ROLLED_BACK,
        /** It was reset, as asked for by the options. */
        RESET,
        /** Only {@link io.github.vfio4j.VfioDevice#reset} helps: it has failed, or holds an incomplete state. */
        NEEDS_RESET,
        /** It could not be brought back, and still is in the state that is given, if that is known. */
        NOT_RECOVERED
    }

    /** What has become of the device. */
    private final Outcome outcome;
    /** Where it is now. */
    private final @Nullable MigrationState state;

    MigrationException(String message, Outcome outcome, @Nullable MigrationState state, @Nullable Throwable cause) {
        super(message, cause);
        this.outcome = outcome;
        this.state = state;
    }

    /**
     * What has become of the device.
     *
     * @return the outcome
     */
    public Outcome outcome() {
        return outcome;
    }

    /**
     * Where the device is now.
     *
     * @return its state; empty if it does not say
     */
    public Optional<MigrationState> state() {
        return Optional.ofNullable(state);
    }
}
