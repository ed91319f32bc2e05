package io.github.vfio4j.conformance;

import static io.github.vfio4j.conformance.FeatureRules.GET;
import static io.github.vfio4j.conformance.FeatureRules.HEADER;
import static io.github.vfio4j.conformance.FeatureRules.PROBE;
import static io.github.vfio4j.conformance.FeatureRules.SET;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.conformance.ConformanceSession.Opened;
import io.github.vfio4j.conformance.FeatureRules.Ruling;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Tuple;
import net.jqwik.api.state.Action;
import net.jqwik.api.state.ActionChain;
import net.jqwik.api.state.Transformer;

/**
 * The devices of a test bed while features are asked of them in any order, and a model of what they have to be like: what the
 * kernel's core promises whatever the driver (semantics §A, §B). Each step asks, compares with the model and moves it on.
 */
final class FeatureProgram {

    private static final int MOST_STEPS = 60;
    private static final int MOST_FILES = 3;
    private static final int EINVAL = -Errno.EINVAL.code();
    private static final int EFAULT = -Errno.EFAULT.code();
    private static final int MIGRATION = 1;
    private static final int DEVICE_STATE = 2;
    private static final int ENTRY = 3;
    private static final int ENTRY_WITH_WAKEUP = 4;
    private static final int EXIT = 5;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

    /** Whether low power has been entered. With a wake-up nobody can tell: it may be over by itself (semantics §B.3). */
    private enum LowPower {
        LEFT, ENTERED, PERHAPS
    }

    /** A device as it should be. */
    private static final class Expected {
        private final Opened opened;
        private final MigrationTable table;
        private LowPower lowPower = LowPower.LEFT;
        private int state = MigrationTable.RUNNING;

        Expected(Opened opened) {
            this.opened = opened;
            table = new MigrationTable(opened.canDo(DEVICE_STATE, SET) ? opened.migrationFlags() : 0);
        }

        boolean migrates() {
            return table.has(MigrationTable.RUNNING);
        }
    }

    private final ConformanceSession session;
    private final GuardedMemory memory;
    private final List<Expected> devices = new ArrayList<>();

    /** The devices that are open, at rest. */
    FeatureProgram(ConformanceSession session, GuardedMemory memory) {
        this.session = session;
        this.memory = memory;
        session.all().forEach(opened -> devices.add(new Expected(opened)));
    }

    private Expected device(int which) {
        return devices.get(which % devices.size());
    }

    /** Asks what is refused or only probed, or does not change anything; for the rest there are other steps. */
    private void askHeader(int which, int file, int flags, int argsz, int mapped) {
        Expected device = device(which);
        FeatureRules rules = device.opened.rules();
        Ruling ruling = rules.judge(flags, argsz, mapped);
        if (ruling == Ruling.CARRY_ON) {
            return;
        }
        MemorySegment request = memory.last(mapped).fill((byte) 0x33);
        if (mapped >= HEADER) {
            request.set(INT, 0, argsz);
            request.set(INT, 4, flags);
        }
        assertThat(device.opened.ask(file, request)).as("the answer under the rule %s", ruling)
                .isEqualTo(rules.answer(ruling, flags & 0xffff));
    }

    /** Asks rightly, but for the memory, which ends within the data: nothing happens. */
    private void askWithoutMemory(int which, int file, int feature, int operation) {
        Expected device = device(which);
        if (!FeatureRules.isDescribed(feature) || !device.opened.canDo(feature, operation)) {
            return;
        }
        int touched = FeatureRules.feature(feature).touched();
        if (touched == 0) {
            return;
        }
        MemorySegment request = memory.last(HEADER + touched - 1).fill((byte) 0);
        request.set(INT, 0, HEADER + Math.max(touched, FeatureRules.feature(feature).minimum()));
        request.set(INT, 4, feature | operation);
        assertThat(device.opened.ask(file, request)).as("with too little memory").isEqualTo(EFAULT);
    }

    private void enterLowPower(int which, int file, boolean wakeup) {
        Expected device = device(which);
        if (!device.opened.canDo(wakeup ? ENTRY_WITH_WAKEUP : ENTRY, SET)) {
            return;
        }
        int result;
        if (wakeup) {
            int eventfd = session.backend().eventfd(0, Fcntl.EFD_NONBLOCK);
            result = device.opened.ask(file, ENTRY_WITH_WAKEUP | SET, eventfd, 0);
            // Whoever signals it has a hold of its own on it.
            session.backend().close(eventfd);
        } else {
            result = device.opened.ask(file, ENTRY | SET);
        }
        switch (device.lowPower) {
            case LEFT -> assertThat(result).as("entering low power").isZero();
            case ENTERED -> assertThat(result).as("entering low power once more").isEqualTo(EINVAL);
            case PERHAPS -> assertThat(result).as("entering low power that may be over").isIn(0, EINVAL);
        }
        if (result == 0) {
            device.lowPower = wakeup ? LowPower.PERHAPS : LowPower.ENTERED;
        }
    }

    private void leaveLowPower(int which, int file) {
        Expected device = device(which);
        if (device.opened.canDo(EXIT, SET)) {
            assertThat(device.opened.ask(file, EXIT | SET)).as("leaving low power").isZero();
            device.lowPower = LowPower.LEFT;
        }
    }

    private void setToken(int which, int file, long token) {
        Expected device = device(which);
        if (device.opened.canDo(0, SET)) {
            assertThat(device.opened.ask(file, SET, (int) token, (int) (token >> 32), 0, 1)).as("setting a token")
                    .isZero();
        }
    }

    /** Repeats what has no state, on a device that has it. */
    private void repeat(int which, int file, int flags) {
        Expected device = device(which);
        if (device.opened.canDo(flags & 0xffff, flags & (GET | SET))) {
            int[] data = new int[FeatureRules.feature(flags & 0xffff).minimum() / Integer.BYTES];
            assertThat(device.opened.ask(file, flags, data)).isZero();
        }
    }

    private void setState(int which, int file, int to) {
        Expected device = device(which);
        int from = device.state;
        if (!device.migrates() || (session.mayNotComeBack() && device.table.isBlocked(from, to))) {
            return;
        }
        Optional<List<Integer>> walk = device.table.walk(from, to);
        MemorySegment request = memory.last(16);
        request.set(INT, 0, 16);
        request.set(INT, 4, DEVICE_STATE | SET);
        request.set(INT, 8, to);
        request.set(INT, 12, 42);
        session.takeBroughtData();
        int result = device.opened.ask(file, request);
        assertThat(request.get(INT, 8)).as("the state in the request").isEqualTo(to);
        boolean brought = session.takeBroughtData();
        if (!brought) {
            assertThat(request.get(INT, 12)).as("no data descriptor").isEqualTo(-1);
        }
        int reached = device.opened.state();
        if (walk.isEmpty()) {
            assertThat(result).as("from state %d to %d there is no way", from, to).isEqualTo(EINVAL);
            assertThat(reached).isEqualTo(from);
        } else if (result == 0) {
            assertThat(reached).as("the state after a way from %d", from).isEqualTo(to);
            assertThat(brought).as("a data descriptor from state %d to %d", from, to)
                    .isEqualTo(bringsData(from, walk.get()));
        } else {
            // The device's own affair: a restore without its data, for example.
            assertThat(result).isNegative();
            assertThat(brought).isFalse();
            List<Integer> possible = new ArrayList<>(walk.get());
            possible.addAll(List.of(from, MigrationTable.ERROR));
            assertThat(reached).as("the state after a way from %d to %d that failed", from, to).isIn(possible);
        }
        device.state = reached;
    }

    /** A descriptor comes with the last step, unless it goes on with what a save has begun. */
    private static boolean bringsData(int from, List<Integer> walk) {
        int before = from;
        boolean brings = false;
        for (int next : walk) {
            brings = MigrationTable.transfersData(next)
                    && !(MigrationTable.isSaving(before) && MigrationTable.isSaving(next));
            before = next;
        }
        return brings;
    }

    private void checkState(int which, int file) {
        Expected device = device(which);
        if (device.migrates()) {
            MemorySegment request = memory.last(16).fill((byte) 0x2a);
            request.set(INT, 0, 16);
            request.set(INT, 4, DEVICE_STATE | GET);
            assertThat(device.opened.ask(file, request)).isZero();
            assertThat(request.get(INT, 8)).as("the state").isEqualTo(device.state);
            assertThat(request.get(INT, 12)).as("no data descriptor").isEqualTo(-1);
        }
    }

    private void checkMigrationFlags(int which) {
        Expected device = device(which);
        if (device.migrates()) {
            assertThat(device.opened.migrationFlags()).as("migration flags").isEqualTo(device.table.flags());
        }
    }

    private void reset(int which) {
        Expected device = device(which);
        if (device.migrates()) {
            run(device.opened::reset);
            device.state = MigrationTable.RUNNING;
            checkState(which, 0);
        }
    }

    private void open(int which) {
        Expected device = device(which);
        if (device.opened.files() < MOST_FILES) {
            run(device.opened::openAgain);
        }
    }

    /** The last file takes low power along, and a migration that a reset has not ended before. */
    private void close(int which, int file) {
        Expected device = device(which);
        boolean last = device.opened.files() == 1;
        run(() -> device.opened.close(file));
        if (last) {
            device.lowPower = LowPower.LEFT;
            device.state = MigrationTable.RUNNING;
        }
    }

    private interface Call {
        void make() throws VfioException;
    }

    private static void run(Call call) {
        try {
            call.make();
        } catch (VfioException e) {
            throw new AssertionError(e);
        }
    }

    private static Action.Independent<FeatureProgram> step(Arbitrary<Transformer<FeatureProgram>> steps) {
        return () -> steps;
    }

    private interface Step {
        void take(FeatureProgram program, int device, int file);
    }

    private static Action.Independent<FeatureProgram> step(String name, Step step) {
        return step(Combinators.combine(devices(), files())
                .as((device, file) -> Transformer.mutate(name + " on device " + device + ", file " + file,
                        program -> step.take(program, device, file))));
    }

    private static Arbitrary<Integer> devices() {
        return Arbitraries.integers().between(0, 11);
    }

    private static Arbitrary<Integer> files() {
        return Arbitraries.integers().between(0, MOST_FILES - 1);
    }

    private static Action.Independent<FeatureProgram> headers() {
        Arbitrary<Integer> flags = Combinators
                .combine(Arbitraries.integers().between(0, 14),
                        Arbitraries.of(0, GET, SET, GET | SET, PROBE, PROBE | GET, PROBE | SET),
                        Arbitraries.frequencyOf(Tuple.of(9, Arbitraries.just(0)),
                                Tuple.of(1, Arbitraries.of(1 << 19, 1 << 31))))
                .as((index, operations, unknown) -> index | operations | unknown);
        return step(Combinators
                .combine(devices(), files(), flags, Arbitraries.of(0, 7, 8, 12, 16, 24, 64, -1),
                        Arbitraries.of(0, 7, 8, 16, 64))
                .as((device, file, all, argsz, mapped) -> Transformer.mutate(
                        "header 0x" + HexFormat.of().toHexDigits(all) + " argsz " + argsz + " mapped " + mapped
                                + " on device " + device + ", file " + file,
                        program -> program.askHeader(device, file, all, argsz, mapped))));
    }

    private static Action.Independent<FeatureProgram> memoryFaults() {
        return step(
                Combinators.combine(devices(), files(), Arbitraries.integers().between(0, 12), Arbitraries.of(GET, SET))
                        .as((device, file, feature, operation) -> Transformer.mutate(
                                (operation == GET ? "GET " : "SET ") + feature + " without memory on device " + device,
                                program -> program.askWithoutMemory(device, file, feature, operation))));
    }

    private static Action.Independent<FeatureProgram> repeats() {
        return step(Combinators.combine(devices(), files(), Arbitraries.of(7 | SET, 12 | SET, MIGRATION | GET))
                .as((device, file, flags) -> Transformer.mutate(
                        "0x" + HexFormat.of().toHexDigits(flags) + " on device " + device,
                        program -> program.repeat(device, file, flags))));
    }

    private static Action.Independent<FeatureProgram> tokens() {
        return step(Combinators.combine(devices(), files(), Arbitraries.longs()).as((device, file, token) -> Transformer
                .mutate("set a token on device " + device, program -> program.setToken(device, file, token))));
    }

    private static Action.Independent<FeatureProgram> states() {
        return step(
                Combinators.combine(devices(), files(), Arbitraries.of(0, 1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6, 7, 7, 8, -1))
                        .as((device, file, to) -> Transformer.mutate(
                                "set state " + to + " on device " + device + ", file " + file,
                                program -> program.setState(device, file, to))));
    }

    /** Programs over all that there is. */
    static Arbitrary<ActionChain<FeatureProgram>> chain(Supplier<FeatureProgram> start) {
        return ActionChain.startWith(start).withAction(3, headers()).withAction(1, memoryFaults())
                .withAction(1, repeats()).withAction(1, tokens()).withAction(4, states())
                .withAction(2,
                        step("enter low power", (program, device, file) -> program.enterLowPower(device, file, false)))
                .withAction(1,
                        step("enter low power with a wake-up",
                                (program, device, file) -> program.enterLowPower(device, file, true)))
                .withAction(2, step("leave low power", FeatureProgram::leaveLowPower))
                .withAction(1, step("check the state", FeatureProgram::checkState))
                .withAction(1, step("reset", (program, device, file) -> program.reset(device)))
                .withAction(1, step("open", (program, device, file) -> program.open(device)))
                .withAction(1, step("close", FeatureProgram::close)).withMaxTransformations(MOST_STEPS);
    }

    /** Programs that are mostly about migration. */
    static Arbitrary<ActionChain<FeatureProgram>> migrationChain(Supplier<FeatureProgram> start) {
        return ActionChain.startWith(start).withAction(8, states())
                .withAction(1, step("check the state", FeatureProgram::checkState))
                .withAction(1, step("check the flags", (program, device, file) -> program.checkMigrationFlags(device)))
                .withAction(1, memoryFaults())
                .withAction(1, step("reset", (program, device, file) -> program.reset(device)))
                .withAction(1, step("open", (program, device, file) -> program.open(device)))
                .withAction(1, step("close", FeatureProgram::close)).withMaxTransformations(MOST_STEPS);
    }

    @Override
    public String toString() {
        List<String> texts = new ArrayList<>();
        devices.forEach(device -> texts.add(device.opened.device() + ": low power " + device.lowPower
                + (device.migrates() ? ", state " + device.state : "")));
        return String.join("; ", texts);
    }
}
