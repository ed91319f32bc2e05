package io.github.vfio4j.migration;

import static io.github.vfio4j.feature.MigrationState.ERROR;
import static io.github.vfio4j.feature.MigrationState.PRE_COPY;
import static io.github.vfio4j.feature.MigrationState.PRE_COPY_P2P;
import static io.github.vfio4j.feature.MigrationState.RESUMING;
import static io.github.vfio4j.feature.MigrationState.RUNNING;
import static io.github.vfio4j.feature.MigrationState.RUNNING_P2P;
import static io.github.vfio4j.feature.MigrationState.STOP;
import static io.github.vfio4j.feature.MigrationState.STOP_COPY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.MigrationData;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.feature.MttyMachine;
import io.github.vfio4j.feature.PrecopyInfo;
import io.github.vfio4j.migration.MigrationException.Outcome;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Migrations of mtty, and what becomes of the device when one goes wrong. */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
@SuppressWarnings("NullAway.Init") // JUnit injects and opens
class MigrationDriverTest {

    private static final int STREAM = 96;
    private static final MigrationOptions PRECOPY = MigrationOptions.DEFAULT.withPrecopy(5, 0);

    @Parameter
    private KernelProfile profile;

    private StrayDevice stray;
    private FaultInjectingBackend faults;
    private MttyMachine machine;
    private MigrationDriver driver;
    private final ByteArrayOutputStream saved = new ByteArrayOutputStream();
    private final List<String> events = new ArrayList<>();

    static List<KernelProfile> profiles() {
        return List.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2);
    }

    @BeforeEach
    void open() throws VfioException {
        machine = new MttyMachine(profile, 2, process -> {
            stray = new StrayDevice(process);
            faults = new FaultInjectingBackend(stray);
            return faults;
        });
        driver = MigrationDriver.of(machine.device()).orElseThrow();
    }

    @AfterEach
    void nothingIsLeftOpen() throws VfioException {
        stray.stuckIn = null;
        machine.close();
    }

    private WritableByteChannel sink() {
        return Channels.newChannel(saved);
    }

    private ReadableByteChannel source(int length) {
        return Channels.newChannel(new ByteArrayInputStream(stream(), 0, length));
    }

    /** A stream of another mtty with two ports, and something in a register. */
    private byte[] stream() {
        try (MttyMachine other = new MttyMachine(profile, 2)) {
            ByteArrayOutputStream stream = new ByteArrayOutputStream();
            MigrationDriver.of(other.device()).orElseThrow().save(Channels.newChannel(stream));
            byte[] bytes = stream.toByteArray();
            bytes[24] = 0x42;
            return bytes;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    /** Notes what it is told. */
    private final MigrationListener noting = new MigrationListener() {
        @Override
        public void stateChanged(MigrationState state) {
            events.add(state.name());
        }

        @Override
        public void roundEnded(int round, PrecopyInfo left) {
            events.add("round " + round + " left " + left.remainingBytes());
        }

        @Override
        public void transferred(long total) {
            events.add("" + total);
        }
    };

    private MigrationException failingSave(WritableByteChannel sink, MigrationOptions options,
            MigrationListener listener) {
        return catchThrowableOfType(MigrationException.class, () -> driver.save(sink, options, listener));
    }

    private MigrationState state() throws VfioException {
        return driver.feature().state();
    }

    @Test
    void aStateGoesFromOneDeviceToAnother() throws IOException {
        byte[] stream = stream();
        assertThat(
                driver.restore(Channels.newChannel(new ByteArrayInputStream(stream)), MigrationOptions.DEFAULT, noting))
                .isEqualTo(STREAM);
        assertThat(events).containsExactly("RESUMING", "96", "STOP");
        assertThat(state()).isEqualTo(STOP);
        driver.start();
        assertThat(state()).isEqualTo(RUNNING);
        events.clear();
        SaveSummary summary = driver.save(sink(), PRECOPY, noting);
        assertThat(saved.toByteArray()).containsExactly(stream);
        assertThat(events).containsExactly("PRE_COPY", "24", "round 1 left 0", "STOP_COPY", "96", "STOP");
        assertThat(summary.bytes()).isEqualTo(STREAM);
        assertThat(summary.precopyBytes()).isEqualTo(24);
        assertThat(summary.precopyRounds()).isEqualTo(1);
        assertThat(summary.stopped()).isPositive();
    }

    @Test
    void withoutPrecopyTheDeviceIsStoppedAtOnce() throws IOException {
        SaveSummary summary = driver.save(sink(), MigrationOptions.DEFAULT.withBufferSize(40), noting);
        assertThat(events).containsExactly("STOP_COPY", "40", "80", "96", "STOP");
        assertThat(summary.precopyRounds()).isZero();
        assertThat(stray.buffers).as("one buffer for all").hasSize(1);
        assertThat(stray.longestRead).isEqualTo(40);
    }

    /** A device that stands still, or starts no peer-to-peer DMA, is not made to for the sake of pre-copy. */
    @ParameterizedTest
    @CsvSource({"STOP, STOP_COPY", "RUNNING_P2P, PRE_COPY_P2P"})
    void aSaveBeginsWhereTheDeviceIsAndGoesBackThere(MigrationState origin, String first) throws IOException {
        driver.feature().setState(origin);
        driver.save(sink(), PRECOPY, noting);
        assertThat(events).startsWith(first).endsWith("STOP");
        driver.feature().setState(origin);
        assertThat(failingSave(refusing(), PRECOPY, MigrationListener.NONE).outcome()).isEqualTo(Outcome.ROLLED_BACK);
        assertThat(state()).isEqualTo(origin);
    }

    private static WritableByteChannel refusing() {
        return Channels.newChannel(new java.io.OutputStream() {
            @Override
            public void write(int b) throws IOException {
                throw new IOException("No space left on device");
            }
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 5})
    void aChannelThatFailsLeavesTheDeviceRunning(int rounds) throws IOException {
        MigrationException failure = failingSave(refusing(), MigrationOptions.DEFAULT.withPrecopy(rounds, 0),
                MigrationListener.NONE);
        assertThat(failure.outcome()).isEqualTo(Outcome.ROLLED_BACK);
        assertThat(failure.state()).contains(RUNNING);
        assertThat(failure.getCause()).hasMessage("No space left on device").hasNoSuppressedExceptions();
        assertThat(failure).hasMessage("Saving device " + MttyMachine.NAME + " failed in "
                + (rounds == 0 ? "STOP_COPY" : "PRE_COPY") + " after 0 bytes: No space left on device. The device is"
                + " back in RUNNING, nothing is lost");
        assertThat(state()).isEqualTo(RUNNING);
        assertThat(driver.save(sink()).bytes()).as("and it can be tried again").isEqualTo(STREAM);
    }

    /** At each of the listener's calls. */
    @ParameterizedTest
    @ValueSource(strings = {"PRE_COPY", "24", "round 1 left 0", "STOP_COPY", "96", "STOP"})
    void aListenerEndsTheMigrationByThrowing(String event) throws IOException {
        assertThatListener(event, new IllegalArgumentException("enough"));
        Error error = new StackOverflowError();
        assertThatExceptionOfType(StackOverflowError.class)
                .isThrownBy(() -> driver.save(sink(), PRECOPY, throwing(event, error))).isSameAs(error);
        assertThat(state()).isEqualTo(RUNNING);
    }

    private void assertThatListener(String event, RuntimeException thrown) throws VfioException {
        MigrationException failure = failingSave(sink(), PRECOPY, throwing(event, thrown));
        assertThat(failure.getCause()).isSameAs(thrown);
        assertThat(failure.outcome()).isEqualTo(Outcome.ROLLED_BACK);
        assertThat(state()).isEqualTo(RUNNING);
    }

    private MigrationListener throwing(String event, Throwable thrown) {
        return when(event, () -> {
            if (thrown instanceof Error error) {
                throw error;
            }
            throw (RuntimeException) thrown;
        });
    }

    private MigrationListener when(String event, Runnable action) {
        return new MigrationListener() {
            private void told(String what) {
                if (what.equals(event)) {
                    action.run();
                }
            }

            @Override
            public void stateChanged(MigrationState state) {
                told(state.name());
            }

            @Override
            public void roundEnded(int round, PrecopyInfo left) {
                told("round " + round + " left " + left.remainingBytes());
            }

            @Override
            public void transferred(long total) {
                told("" + total);
            }
        };
    }

    @Test
    void anAbortEndsTheSaveBeforeTheNextData() throws IOException {
        driver.abort();
        MigrationException failure = failingSave(sink(), PRECOPY, when("STOP_COPY", driver::abort));
        assertThat(failure.getCause()).isInstanceOf(CancellationException.class);
        assertThat(failure.outcome()).isEqualTo(Outcome.ROLLED_BACK);
        assertThat(saved.size()).isEqualTo(24);
        assertThat(state()).isEqualTo(RUNNING);
    }

    @Test
    void oneMigrationAtATime() throws IOException {
        driver.save(sink(), PRECOPY, when("PRE_COPY", () -> assertThatIllegalStateException()
                .isThrownBy(() -> driver.save(sink())).withMessageContaining("under way")));
        assertThat(state()).isEqualTo(STOP);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 24, 95})
    void aStreamCutShortIsToldAndOnlyAResetHelps(int length) throws IOException {
        MigrationException failure = catchThrowableOfType(MigrationException.class,
                () -> driver.restore(source(length)));
        assertThat(failure.outcome()).isEqualTo(Outcome.NEEDS_RESET);
        assertThat(failure.state()).contains(RESUMING);
        assertThat(failure.getCause()).isInstanceOf(VfioException.class)
                .matches(e -> ((VfioException) e).is(Errno.EINVAL));
        assertThat(failure).hasMessageContaining("failed in STOP after " + length + " bytes")
                .hasMessageEndingWith("The device is in RESUMING, which only a reset ends");
        assertThat(catchThrowableOfType(MigrationException.class, () -> driver.save(sink())).outcome())
                .isEqualTo(Outcome.NEEDS_RESET);
        machine.device().reset();
        assertThat(state()).isEqualTo(RUNNING);
    }

    @Test
    void aResetIsMadeIfThatIsAskedFor() throws IOException {
        MigrationException failure = catchThrowableOfType(MigrationException.class, () -> driver.restore(source(95),
                MigrationOptions.DEFAULT.withResetOnFailure(), MigrationListener.NONE));
        assertThat(failure.outcome()).isEqualTo(Outcome.RESET);
        assertThat(state()).isEqualTo(RUNNING);
        assertThat(driver.restore(source(STREAM))).isEqualTo(STREAM);
    }

    @Test
    void aSaveThatCanBeRolledBackIsNotReset() throws IOException {
        assertThat(failingSave(refusing(), MigrationOptions.DEFAULT.withResetOnFailure(), MigrationListener.NONE)
                .outcome()).isEqualTo(Outcome.ROLLED_BACK);
        assertThat(state()).isEqualTo(RUNNING);
    }

    @Test
    void dataThatTheDeviceRefusesEndTheRestore() throws IOException {
        byte[] stream = stream();
        stream[0] ^= 1;
        MigrationException failure = catchThrowableOfType(MigrationException.class,
                () -> driver.restore(Channels.newChannel(new ByteArrayInputStream(stream))));
        assertThat(failure.outcome()).isEqualTo(Outcome.NEEDS_RESET);
        assertThat(failure).hasMessageContaining("does not take these data");
    }

    @Test
    void aDeviceThatHasFailedIsTold() throws IOException {
        MigrationException failure = failingSave(sink(), PRECOPY, when("STOP_COPY", () -> stray.stuckIn = ERROR));
        assertThat(failure.outcome()).isEqualTo(Outcome.NEEDS_RESET);
        assertThat(failure.state()).contains(ERROR);
        assertThat(failure).hasMessageContaining("The device is in ERROR, which only a reset ends");
        failure = failingSave(sink(), PRECOPY.withResetOnFailure(), MigrationListener.NONE);
        assertThat(failure).hasMessageContaining("was not begun");
        assertThat(failure.outcome()).as("nothing was done about it").isEqualTo(Outcome.NEEDS_RESET);
        machine.device().reset();
        failure = failingSave(sink(), PRECOPY.withResetOnFailure(), when("STOP_COPY", () -> stray.stuckIn = ERROR));
        assertThat(failure.outcome()).isEqualTo(Outcome.RESET);
        assertThat(state()).isEqualTo(RUNNING);
    }

    @ParameterizedTest
    @EnumSource(names = {"STOP_COPY", "PRE_COPY", "PRE_COPY_P2P"})
    void aDeviceThatAnotherSaveHasIsLeftAlone(MigrationState state) throws VfioException {
        MigrationData others = driver.feature().setState(state).orElseThrow();
        MigrationException failure = failingSave(sink(), PRECOPY.withResetOnFailure(), MigrationListener.NONE);
        assertThat(failure).hasMessageContaining("another save").hasNoCause();
        assertThat(state()).isEqualTo(state);
        others.close();
    }

    @Test
    void precopyGoesOnUntilLittleIsLeft() throws IOException {
        long noMessage = StrayDevice.failing(Errno.ENOMSG);
        long again = StrayDevice.failing(Errno.EAGAIN);
        stray.infos.addAll(
                List.of(new PrecopyInfo(100, 0, false), new PrecopyInfo(0, 50, false), new PrecopyInfo(0, 8, false)));
        stray.reads.addAll(List.of(60L, again, 40L, 30L, noMessage, 5L, again, again, 7L, 0L));
        SaveSummary summary = driver.save(sink(), MigrationOptions.DEFAULT.withPrecopy(9, 10), noting);
        assertThat(events).containsExactly("PRE_COPY", "60", "100", "round 1 left 50", "130", "round 2 left 8",
                "STOP_COPY", "135", "142", "STOP");
        assertThat(summary.precopyBytes()).isEqualTo(130);
        assertThat(summary.precopyRounds()).isEqualTo(2);
    }

    /** A device that never gets there, one that announces data it does not have, and one with nothing to say. */
    @ParameterizedTest
    @CsvSource({"0, 1000, 3", "1000, 0, 3", "-1, -1, 3", "0, 10, 0"})
    void precopyComesToAnEnd(long initial, long dirty, int rounds) throws IOException {
        stray.infos.add(new PrecopyInfo(initial, dirty, false));
        SaveSummary summary = driver.save(sink(), MigrationOptions.DEFAULT.withPrecopy(3, 10), new MigrationListener() {
            @Override
            public void stateChanged(MigrationState state) {
                if (state == PRE_COPY) {
                    stray.reads.addAll(java.util.Collections.nCopies(rounds, 1L).stream()
                            .flatMap(one -> java.util.stream.Stream.of(one, 0L)).toList());
                }
            }
        });
        assertThat(summary.precopyRounds()).isEqualTo(rounds);
        stray.infos.clear();
        stray.infos.add(new PrecopyInfo(10, 0, false));
        stray.reads.add(StrayDevice.failing(Errno.ENOMSG));
        driver.start();
        assertThat(driver.save(sink(), MigrationOptions.DEFAULT.withPrecopy(1000, 0), MigrationListener.NONE)
                .precopyRounds()).as("nothing moves").isEqualTo(1);
    }

    @Test
    void aStoppedDeviceHasNoTemporaryEnd() throws IOException {
        stray.reads.add(StrayDevice.failing(Errno.ENOMSG));
        MigrationException failure = failingSave(sink(), MigrationOptions.DEFAULT, MigrationListener.NONE);
        assertThat(failure.getCause()).matches(e -> ((VfioException) e).is(Errno.ENOMSG))
                .hasMessageContaining("fault of its driver");
        assertThat(failure.outcome()).isEqualTo(Outcome.ROLLED_BACK);
    }

    @Test
    void aStandstillIsEndedByTheTimeout() throws IOException {
        MigrationOptions impatient = MigrationOptions.DEFAULT.withStallTimeout(Duration.ZERO);
        stray.reads.add(StrayDevice.failing(Errno.EAGAIN));
        assertThat(failingSave(sink(), impatient, MigrationListener.NONE).getCause())
                .hasMessageContaining("The device has no data for PT0S");
        assertThat(failingSave(dribbling(0), impatient, MigrationListener.NONE).getCause())
                .hasMessageContaining("The channel takes no data");
        stray.writes.add(StrayDevice.failing(Errno.EAGAIN));
        assertThat(catchThrowableOfType(MigrationException.class,
                () -> driver.restore(source(STREAM), impatient.withResetOnFailure(), MigrationListener.NONE))
                .getCause()).hasMessageContaining("The device takes no data");
        assertThat(catchThrowableOfType(MigrationException.class,
                () -> driver.restore(hesitating(0), impatient.withResetOnFailure(), MigrationListener.NONE)).getCause())
                .hasMessageContaining("The channel has no data");
    }

    /** A channel that takes so many bytes every other time. */
    private WritableByteChannel dribbling(int bytes) {
        return new WritableByteChannel() {
            private boolean ready;

            @Override
            public int write(ByteBuffer data) {
                ready = !ready;
                int count = ready ? Math.min(bytes, data.remaining()) : 0;
                byte[] part = new byte[count];
                data.get(part);
                saved.writeBytes(part);
                return count;
            }

            @Override
            public boolean isOpen() {
                return true;
            }

            @Override
            public void close() {
                throw new AssertionError("the channel is not the driver's to close");
            }
        };
    }

    /** A channel that has so many bytes every other time. */
    private ReadableByteChannel hesitating(int bytes) {
        ByteBuffer data = ByteBuffer.wrap(stream());
        return new ReadableByteChannel() {
            private boolean ready;

            @Override
            public int read(ByteBuffer target) {
                ready = !ready;
                int count = ready ? Math.min(bytes, data.remaining()) : 0;
                target.put(data.slice(data.position(), count));
                data.position(data.position() + count);
                return count == 0 && !data.hasRemaining() ? -1 : count;
            }

            @Override
            public boolean isOpen() {
                return true;
            }

            @Override
            public void close() {
                throw new AssertionError("the channel is not the driver's to close");
            }
        };
    }

    @Test
    void channelsAndDevicesThatMoveLittleAtATimeAreWaitedFor() throws IOException {
        driver.save(dribbling(50), MigrationOptions.DEFAULT, MigrationListener.NONE);
        assertThat(saved.size()).isEqualTo(STREAM);
        long again = StrayDevice.failing(Errno.EAGAIN);
        stray.writes.addAll(List.of(again, 10L, 3L, again, 20L, 30L));
        assertThat(driver.restore(hesitating(60))).isEqualTo(STREAM);
        saved.reset();
        driver.save(sink());
        assertThat(saved.toByteArray()).containsExactly(stream());
    }

    @Test
    void anInterruptedMigrationIsRolledBackAndTheThreadStaysInterrupted() throws IOException {
        stray.reads.add(StrayDevice.failing(Errno.EAGAIN));
        Thread.currentThread().interrupt();
        MigrationException failure = failingSave(sink(), MigrationOptions.DEFAULT, MigrationListener.NONE);
        assertThat(Thread.interrupted()).isTrue();
        assertThat(failure.getCause()).isInstanceOf(InterruptedIOException.class);
        assertThat(state()).isEqualTo(RUNNING);
    }

    private interface Migration {
        void run() throws IOException;
    }

    private static Optional<MigrationException> attempt(Migration migration) throws IOException {
        try {
            migration.run();
            return Optional.empty();
        } catch (MigrationException e) {
            return Optional.of(e);
        }
    }

    /** Every call fails once, and every call from each one on: nothing leaks, and what is told of the device is true. */
    private void failEverywhere(Migration migration, boolean once) throws IOException {
        for (int call = 1;; call++) {
            faults.inject((once ? Fault.onAnyCall().nth(call) : Fault.onAnyCall().from(call)).fails(Errno.EIO));
            Optional<MigrationException> failure = attempt(migration);
            boolean failed = faults.injected() > 0;
            faults.clear();
            assertThat(machine.leaked()).as("descriptors after failure of call %s", call).isZero();
            assertThat(failure.isPresent()).as("failure of call %s", call).isEqualTo(failed);
            if (failure.isEmpty()) {
                assertThat(call).isGreaterThan(5);
                return;
            }
            checkTruth(failure.get(), call);
            machine.device().reset();
        }
    }

    private void checkTruth(MigrationException failure, int call) throws VfioException {
        assertThat(failure.getCause()).as("call %s", call).isInstanceOf(VfioException.class)
                .hasMessageContaining("EIO");
        MigrationState actual = state();
        failure.state().ifPresent(told -> assertThat(told).as("call %s", call).isEqualTo(actual));
        switch (failure.outcome()) {
            case ROLLED_BACK -> assertThat(actual).isEqualTo(RUNNING);
            case NEEDS_RESET -> assertThat(actual).isEqualTo(RESUMING);
            case NOT_RECOVERED -> assertThat(failure.state()).isEmpty();
            case RESET -> throw new AssertionError("nobody asked for that");
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void everyCallOfASaveMayFail(boolean once) throws IOException {
        failEverywhere(() -> driver.save(sink(), PRECOPY, MigrationListener.NONE), once);
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void everyCallOfARestoreMayFail(boolean once) throws IOException {
        failEverywhere(() -> driver.restore(source(STREAM)), once);
    }

    @Test
    void aFailureOfTheRollbackIsSuppressed() {
        MigrationException failure = failingSave(refusing(), PRECOPY,
                when("PRE_COPY", () -> stray.stuckIn = PRE_COPY_P2P));
        assertThat(failure.getCause()).hasMessage("No space left on device");
        assertThat(failure.getCause()).extracting(Throwable::getSuppressed)
                .asInstanceOf(InstanceOfAssertFactories.ARRAY).hasSize(1);
        assertThat(failure.outcome()).isEqualTo(Outcome.NOT_RECOVERED);
        assertThat(failure.state()).contains(PRE_COPY_P2P);
    }

    @Test
    void optionsAreChecked() {
        MigrationOptions options = MigrationOptions.DEFAULT;
        assertThatIllegalArgumentException().isThrownBy(() -> options.withPrecopy(-1, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> options.withPrecopy(0, -1));
        assertThatIllegalArgumentException().isThrownBy(() -> options.withBufferSize(0));
        assertThatIllegalArgumentException().isThrownBy(() -> options.withStallTimeout(Duration.ofNanos(-1)));
        assertThat(options.withPrecopy(2, 3).withBufferSize(4).withStallTimeout(Duration.ZERO).withResetOnFailure())
                .isEqualTo(new MigrationOptions(2, 3, 4, Duration.ZERO, true));
    }
}
