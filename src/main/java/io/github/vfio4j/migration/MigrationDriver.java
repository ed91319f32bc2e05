package io.github.vfio4j.migration;

import static io.github.vfio4j.feature.MigrationState.PRE_COPY;
import static io.github.vfio4j.feature.MigrationState.PRE_COPY_P2P;
import static io.github.vfio4j.feature.MigrationState.RESUMING;
import static io.github.vfio4j.feature.MigrationState.RUNNING;
import static io.github.vfio4j.feature.MigrationState.RUNNING_P2P;
import static io.github.vfio4j.feature.MigrationState.STOP;
import static io.github.vfio4j.feature.MigrationState.STOP_COPY;

import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.MigrationFeature;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.feature.PrecopyInfo;
import io.github.vfio4j.migration.MigrationException.Outcome;
import java.io.IOException;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import org.jspecify.annotations.Nullable;

/**
 * Migrates a device: saves its state to a channel at the source, restores it from one at the destination (semantics §B.2,
 * §C).
 *
 * {@snippet file="io/github/vfio4j/examples/guide/Snippets.java" region="migration"}
 *
 * <p>
 * Both leave the device in STOP: which of the two is to run is for the caller to decide, who knows whether both have
 * succeeded. What goes through the channel is the device's stream and nothing else: it has no length in front and no
 * mark at the end, so a channel with more on it has to be limited by the caller.
 *
 * <p>
 * When a save fails, the device goes back to where it was. When a restore fails, or a device into ERROR, only a reset
 * helps, which loses the device's state; {@link MigrationException} tells. Nothing is tried twice. The data descriptor is
 * closed in any case, the channel never.
 *
 * <p>
 * One migration at a time; {@link #abort} is for other threads. Works in the caller's thread, on one buffer however much
 * there is to move.
 */
public final class MigrationDriver {

    private final VfioDevice device;
    private final MigrationFeature migration;
    private final AtomicReference<@Nullable Transfer> running = new AtomicReference<>();

    private MigrationDriver(VfioDevice device, MigrationFeature migration) {
        this.device = device;
        this.migration = migration;
    }

    /**
     * The migration of a device.
     *
     * @param device
     *            any device
     * @return empty if it can't migrate
     * @throws VfioException
     *             if the device could not be asked
     */
    public static Optional<MigrationDriver> of(VfioDevice device) throws VfioException {
        return device.migration().map(migration -> new MigrationDriver(device, migration));
    }

    /**
     * The device feature underneath.
     *
     * @return the feature, for its states and how much there is to move
     */
    public MigrationFeature feature() {
        return migration;
    }

    /**
     * Saves the device's state, without pre-copy.
     *
     * @param sink
     *            takes the stream
     * @return how it went
     * @throws MigrationException
     *             as {@link #save(WritableByteChannel, MigrationOptions, MigrationListener)}
     */
    public SaveSummary save(WritableByteChannel sink) throws MigrationException {
        return save(sink, MigrationOptions.DEFAULT, MigrationListener.NONE);
    }

    /**
     * Saves the device's state. If the options ask for pre-copy and the device is capable of it and runs, most is moved
     * before it is stopped.
     *
     * @param sink
     *            takes the stream; may be one that does not wait
     * @param options
     *            how
     * @param listener
     *            is told how it goes
     * @return how it went. The device is in STOP
     * @throws MigrationException
     *             if anything fails, the channel and the listener included; says what has become of the device
     * @throws IllegalStateException
     *             if another migration of this object is under way
     */
    public SaveSummary save(WritableByteChannel sink, MigrationOptions options, MigrationListener listener)
            throws MigrationException {
        return run("Saving", options, listener, (session, transfer) -> {
            int rounds = preCopyState(session.state(), options).isPresent()
                    ? preCopy(session, transfer, sink, options, listener)
                    : 0;
            long precopyBytes = transfer.total();
            long stopped = System.nanoTime();
            session.enter(STOP_COPY);
            transfer.toEnd(session.data(), sink);
            Duration downtime = Duration.ofNanos(System.nanoTime() - stopped);
            session.close();
            session.enter(STOP);
            return new SaveSummary(transfer.total(), precopyBytes, rounds, downtime);
        });
    }

    /** Where pre-copy happens: without starting what stands still, peer-to-peer DMA included. */
    private Optional<MigrationState> preCopyState(MigrationState origin, MigrationOptions options) {
        MigrationState state = origin == RUNNING ? PRE_COPY : PRE_COPY_P2P;
        boolean wanted = options.precopyRounds() > 0 && (origin == RUNNING || origin == RUNNING_P2P);
        return wanted && migration.states().contains(state) ? Optional.of(state) : Optional.empty();
    }

    private int preCopy(Session session, Transfer transfer, WritableByteChannel sink, MigrationOptions options,
            MigrationListener listener) throws IOException {
        migration.optInToPrecopyInfoV2();
        session.enter(preCopyState(session.state(), options).orElseThrow());
        PrecopyInfo left = session.data().precopyInfo();
        int round = 0;
        boolean moving = true;
        while (moving && round < options.precopyRounds() && !isGoodEnough(left, options)) {
            round++;
            // The figures are estimates: a device that announces data and has none would never come to an end.
            moving = transfer.round(session.data(), sink, left.remainingBytes()) > 0;
            left = session.data().precopyInfo();
            listener.roundEnded(round, left);
        }
        return round;
    }

    /** The initial bytes are those that make the stop short, so none of them may be left. */
    private static boolean isGoodEnough(PrecopyInfo left, MigrationOptions options) {
        return left.initialBytes() == 0 && left.remainingBytes() <= options.precopyThreshold();
    }

    /**
     * Restores the device's state.
     *
     * @param source
     *            has the stream
     * @return bytes that were read
     * @throws MigrationException
     *             as {@link #restore(ReadableByteChannel, MigrationOptions, MigrationListener)}
     */
    public long restore(ReadableByteChannel source) throws MigrationException {
        return restore(source, MigrationOptions.DEFAULT, MigrationListener.NONE);
    }

    /**
     * Restores the device's state, reading the channel to its end.
     *
     * @param source
     *            has the stream; may be one that does not wait
     * @param options
     *            how
     * @param listener
     *            is told how it goes
     * @return bytes that were read. The device is in STOP and has taken them over
     * @throws MigrationException
     *             if anything fails; {@code EINVAL} as its cause, when the device is to leave RESUMING, means that the
     *             stream was cut short or is not this device's. Says what has become of the device
     * @throws IllegalStateException
     *             if another migration of this object is under way
     */
    public long restore(ReadableByteChannel source, MigrationOptions options, MigrationListener listener)
            throws MigrationException {
        return run("Restoring", options, listener, (session, transfer) -> {
            session.enter(RESUMING);
            transfer.fill(session.data(), source);
            session.enter(STOP);
            return transfer.total();
        });
    }

    private interface Body<T> {
        T run(Session session, Transfer transfer) throws IOException;
    }

    private <T> T run(String what, MigrationOptions options, MigrationListener listener, Body<T> body)
            throws MigrationException {
        Transfer transfer = new Transfer(options, listener);
        if (!running.compareAndSet(null, transfer)) {
            throw new IllegalStateException("A migration of " + device + " is under way: wait for it, or abort it");
        }
        try {
            MigrationState origin = origin(what);
            Session session = new Session(migration, listener, origin);
            try (session) {
                return body.run(session, transfer);
            } catch (IOException | RuntimeException | Error e) {
                MigrationException failure = new Recovery(device, migration, e).run(
                        what + " " + device + " failed in " + session.state() + " after " + transfer.total() + " bytes",
                        origin, options.resetOnFailure());
                if (e instanceof Error error) {
                    throw error;
                }
                throw failure;
            }
        } finally {
            running.set(null);
        }
    }

    /** Where the device is, if a migration can begin there. */
    private MigrationState origin(String what) throws MigrationException {
        MigrationState origin;
        try {
            origin = migration.state();
        } catch (VfioException e) {
            throw new MigrationException(what + " " + device + " was not begun: " + e.getMessage(),
                    Outcome.NOT_RECOVERED, null, e);
        }
        return switch (origin) {
            case RUNNING, RUNNING_P2P, STOP -> origin;
            case ERROR,
                    RESUMING ->
                throw new MigrationException(
                        what + " " + device + " was not begun: it is in " + origin + ", which only a reset ends",
                        Outcome.NEEDS_RESET, origin, null);
            case STOP_COPY, PRE_COPY,
                    PRE_COPY_P2P ->
                throw new MigrationException(
                        what + " " + device + " was not begun: it is in " + origin
                                + ", where another save has taken it. Once that is over, set its state to RUNNING",
                        Outcome.NOT_RECOVERED, origin, null);
        };
    }

    /**
     * Lets the device run: the destination after a restore, or the source again after a save that has come to nothing.
     *
     * @throws VfioException
     *             what the driver answers
     */
    public void start() throws VfioException {
        migration.setState(RUNNING);
    }

    /**
     * Lets the migration that is under way, if there is one, fail with a {@link java.util.concurrent.CancellationException}
     * as its cause, before it moves the next data. A call that waits in the kernel or in the channel is not disturbed.
     */
    public void abort() {
        Transfer transfer = running.get();
        if (transfer != null) {
            transfer.abort();
        }
    }

    /** Whose it is. */
    @Override
    public String toString() {
        return "migration of " + device;
    }
}
