package io.github.vfio4j.faults;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.SystemCall;
import io.github.vfio4j.emulation.EmulatedKernel;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Lets every system call of every operation fail once, in each way it can fail, as SQLite's test harness does: the n-th
 * call for n = 1, 2, 3 and so on until a run goes through clean. After each of these runs
 * <ul>
 * <li>the operation has thrown an exception that is documented, with the injected errno in it, or its answer tells of
 * it, or it is one of the few {@linkplain #tolerate known places} where the operation does without the call;
 * <li>the operation, made again on the same object, works;
 * <li>after everything is closed there is no descriptor, mapping, DMA mapping or thread left, and what the operation's
 * own check says holds.
 * </ul>
 */
public final class FaultSweep {

    /** Opens what an operation works on, before calls fail. */
    public interface Stage<T> {
        T open(Scene scene) throws Exception;
    }

    /** Makes the operation; what it answers, or {@code "done"}. */
    public interface Use<T> {
        Object on(T subject) throws Exception;
    }

    /** Whether an answer tells of an error; of a transfer that was cut short if there is no errno. */
    public interface Told {
        boolean tells(Object answer, @Nullable Errno errno);
    }

    /** Looks at the machine afterwards, when everything is closed but the kernel still runs. */
    public interface Check<T> {
        void look(Scene scene, T subject, boolean succeeded) throws Exception;
    }

    /** An operation and what is special about it. */
    public static final class Operation<T> {

        private final String name;
        private final Stage<T> stage;
        private final Use<T> use;
        private Supplier<EmulatedKernel> machine;
        private boolean repeatable = true;
        private boolean refused;
        private boolean plainly;
        private List<Errno> errnos = List.of();
        private @Nullable Use<T> recovery;
        private @Nullable Check<T> check;

        private Operation(String name, Supplier<EmulatedKernel> machine, Stage<T> stage, Use<T> use) {
            this.name = name;
            this.machine = machine;
            this.stage = stage;
            this.use = use;
        }

        /** It can be made once only: what it works on is used up, whether or not it succeeds. */
        public Operation<T> once() {
            repeatable = false;
            return this;
        }

        /** It fails anyway, and whatever fails on the way the caller hears of the refusal or of that. */
        public Operation<T> refused() {
            refused = true;
            return this;
        }

        /** What the caller does after a failure, as documented, before it can be made again. */
        public Operation<T> after(Use<T> step) {
            recovery = step;
            return this;
        }

        /** Of a long operation, only these errors. */
        public Operation<T> only(Errno... some) {
            errnos = List.of(some);
            return this;
        }

        /** Nothing is carried out and yet fails, or is cut short: to this caller that is a device that does not answer. */
        public Operation<T> plainly() {
            plainly = true;
            return this;
        }

        public Operation<T> checked(Check<T> look) {
            check = look;
            return this;
        }

        public Operation<T> on(Supplier<EmulatedKernel> other) {
            machine = other;
            return this;
        }
    }

    private record Tolerance(Pattern call, Set<Errno> errnos, boolean cut, String reason) {
        boolean covers(String name, Scene.CallSite site, @Nullable Errno errno) {
            return call.matcher(name + ": " + site.text()).find()
                    && (errno == null ? errnos.isEmpty() || cut : !cut && (errnos.isEmpty() || errnos.contains(errno)));
        }
    }

    /** A way for a call to fail; without an errno, it is cut short. */
    private record Way(String text, @Nullable Errno errno, boolean made, Function<Fault.Place, Fault> fault) {

        static Way fails(Errno errno) {
            return new Way(errno.name(), errno, false, place -> place.fails(errno));
        }

        static Way failsAfterwards(Errno errno) {
            return new Way(errno.name() + " though it is made", errno, true, place -> place.failsAfterwards(errno));
        }

        static Way cut(long bytes) {
            return new Way("cut to " + bytes + " bytes", null, true, place -> place.isCutTo(bytes));
        }
    }

    /** What can plausibly happen to each call (the man pages' lists, and what drivers answer). */
    private static final Map<SystemCall, List<Errno>> PLAUSIBLE = new EnumMap<>(Map.ofEntries(
            Map.entry(SystemCall.OPEN,
                    List.of(Errno.EINTR, Errno.EMFILE, Errno.ENFILE, Errno.ENOMEM, Errno.ENODEV, Errno.EBUSY,
                            Errno.EACCES, Errno.EPERM, Errno.EIO, Errno.ENOENT)),
            Map.entry(SystemCall.CLOSE, List.of(Errno.EINTR, Errno.EIO)),
            Map.entry(SystemCall.IOCTL,
                    List.of(Errno.EINTR, Errno.EMFILE, Errno.ENOMEM, Errno.EIO, Errno.ENODEV, Errno.EBUSY, Errno.EACCES,
                            Errno.EPERM, Errno.EFAULT, Errno.EINVAL, Errno.ENOTTY)),
            Map.entry(SystemCall.READ, List.of(Errno.EINTR, Errno.EIO, Errno.ENOMEM, Errno.ENODEV, Errno.EFAULT)),
            Map.entry(SystemCall.WRITE, List.of(Errno.EINTR, Errno.EIO, Errno.ENOMEM, Errno.ENODEV, Errno.EFAULT)),
            Map.entry(SystemCall.PREAD, List.of(Errno.EINTR, Errno.EIO, Errno.ENOMEM, Errno.EFAULT, Errno.EINVAL)),
            Map.entry(SystemCall.PWRITE, List.of(Errno.EINTR, Errno.EIO, Errno.ENOMEM, Errno.EFAULT, Errno.EINVAL)),
            Map.entry(SystemCall.MMAP,
                    List.of(Errno.ENOMEM, Errno.EACCES, Errno.EAGAIN, Errno.ENODEV, Errno.EINVAL, Errno.EPERM)),
            Map.entry(SystemCall.POLL, List.of(Errno.EINTR, Errno.ENOMEM, Errno.EFAULT, Errno.EINVAL)),
            Map.entry(SystemCall.EVENTFD, List.of(Errno.EMFILE, Errno.ENFILE, Errno.ENOMEM, Errno.ENODEV)),
            Map.entry(SystemCall.READLINK, List.of(Errno.EACCES, Errno.EIO, Errno.ENOMEM, Errno.ENOENT))));

    private static final Set<SystemCall> MADE_AND_FAILED = Set.of(SystemCall.IOCTL, SystemCall.WRITE, SystemCall.PWRITE,
            SystemCall.OPEN, SystemCall.EVENTFD, SystemCall.MMAP);

    private final String title;
    private final Supplier<EmulatedKernel> machine;
    private final List<Tolerance> tolerances = new ArrayList<>();
    private final List<Tolerance> impossible = new ArrayList<>();
    private final Set<Tolerance> unused = new java.util.LinkedHashSet<>();
    private final List<String> undocumented = new ArrayList<>();
    private final Map<String, Integer> outcomes = new LinkedHashMap<>();
    private final Set<String> names = new TreeSet<>();
    private Told tells = (answer, errno) -> false;
    private int points;
    private int combinations;
    private int leaks;

    /**
     * @param title
     *            what the operations have in common
     * @param machine
     *            a machine as it is before each run
     */
    public FaultSweep(String title, Supplier<EmulatedKernel> machine) {
        this.title = title;
        this.machine = machine;
    }

    /**
     * A place where an operation may do without the call.
     *
     * @param call
     *            a part of the operation's name, a colon and the call's text, as a regular expression
     * @param reason
     *            where that is documented
     * @param errnos
     *            for these errors; for any, and for transfers that are cut short, if there are none
     */
    public FaultSweep tolerate(String call, String reason, Errno... errnos) {
        Tolerance tolerance = new Tolerance(Pattern.compile(call), Set.of(errnos), false, reason);
        tolerances.add(tolerance);
        unused.add(tolerance);
        return this;
    }

    /** The same for a transfer that is cut short. */
    public FaultSweep tolerateCut(String call, String reason) {
        Tolerance tolerance = new Tolerance(Pattern.compile(call), Set.of(), true, reason);
        tolerances.add(tolerance);
        unused.add(tolerance);
        return this;
    }

    /** What does not happen. */
    public FaultSweep never(String call, String reason, Errno... errnos) {
        impossible.add(new Tolerance(Pattern.compile(call), Set.of(errnos), false, reason));
        return this;
    }

    /** How an answer tells of an error. */
    public FaultSweep told(Told how) {
        tells = how;
        return this;
    }

    /** An operation, to be {@link #run}. */
    public <T> Operation<T> operation(String name, Stage<T> stage, Use<T> use) {
        return new Operation<>(name, machine, stage, use);
    }

    /** Lets each call of an operation fail. */
    public <T> void run(Operation<T> operation) {
        assertThat(names.add(operation.name)).as("another operation %s", operation.name).isTrue();
        Attempt<T> clean = new Attempt<>(operation, Fault.onAnyCall().nth(Integer.MAX_VALUE).fails(Errno.EIO));
        List<Scene.CallSite> calls = List.copyOf(clean.scene.calls());
        clean.repeat();
        List<String> complaints = clean.end(false);
        if (operation.refused == (clean.thrown == null) || !complaints.isEmpty()) {
            throw new AssertionError(operation.name + " without a fault: " + complaints, clean.thrown);
        }
        for (int n = 1; n <= calls.size(); n++) {
            points++;
            for (Way way : ways(operation, calls.get(n - 1))) {
                combinations++;
                fail(operation, clean, calls.get(n - 1), n, way);
            }
        }
    }

    private List<Way> ways(Operation<?> operation, Scene.CallSite site) {
        List<Way> ways = new ArrayList<>();
        for (Errno errno : Objects.requireNonNull(PLAUSIBLE.get(site.call()))) {
            if ((operation.errnos.isEmpty() || operation.errnos.contains(errno))
                    && impossible.stream().noneMatch(never -> never.covers(operation.name, site, errno))) {
                ways.add(Way.fails(errno));
            }
        }
        if (operation.plainly) {
            return ways;
        }
        if (MADE_AND_FAILED.contains(site.call()) && !site.failed()) {
            ways.add(Way.failsAfterwards(Errno.EIO));
        }
        if (site.length() > 0) {
            ways.add(Way.cut(0));
            if (site.length() > 1) {
                ways.add(Way.cut(1));
                ways.add(Way.cut(site.length() - 1));
            }
        }
        return ways;
    }

    private <T> void fail(Operation<T> operation, Attempt<T> clean, Scene.CallSite site, int n, Way way) {
        // A cut counts only the calls that it can be at.
        long transfers = clean.transfersUpTo(n);
        Fault.Place place = way.errno() == null ? Fault.onAnyCall().nth(transfers) : Fault.onAnyCall().nth(n);
        Attempt<T> attempt = new Attempt<>(operation, way.fault().apply(place));
        List<String> problems = new ArrayList<>();
        if (attempt.injected != 1) {
            problems.add("the call did not come: " + attempt.injected + " faults happened; there were "
                    + attempt.scene.calls().stream().map(Scene.CallSite::text).toList());
        }
        String outcome = judge(operation, clean, attempt.site(n, site), way, attempt, problems);
        if (operation.repeatable) {
            attempt.repeat();
            if (attempt.thrownAgain != null && !operation.refused
                    && !(way.made() && attempt.thrownAgain instanceof IOException)) {
                problems.add("made again: " + Scene.inFull(attempt.thrownAgain));
            }
        }
        for (String complaint : attempt.end(way.made())) {
            leaks += complaint.startsWith("LEAK") ? 1 : 0;
            problems.add(complaint);
        }
        outcomes.merge(outcome, 1, Integer::sum);
        if (!problems.isEmpty()) {
            undocumented.add(operation.name + ", call " + n + " (" + site.text() + "), " + way.text() + ": "
                    + String.join("; ", problems));
        }
    }

    /** What has come of it, in a word; what is wrong with that is added to the problems. */
    private <T> String judge(Operation<T> operation, Attempt<T> clean, Scene.CallSite site, Way way, Attempt<T> attempt,
            List<String> problems) {
        Throwable thrown = attempt.thrown;
        Errno errno = way.errno();
        if (thrown != null) {
            if (!(thrown instanceof IOException) || thrown.getMessage() == null || thrown.getMessage().isBlank()
                    || thrown.getMessage().contains("\n")) {
                problems.add("not an exception that is documented: " + Scene.inFull(thrown));
                return "undocumented";
            }
            if (errno == null) {
                return "told without an errno";
            }
            if (Scene.mentions(thrown, errno)) {
                return "told with its errno";
            }
            if (operation.refused && clean.thrown instanceof VfioException refusal && thrown instanceof VfioException e
                    && e.errno().equals(refusal.errno()) && tolerated(operation, site, errno)) {
                return "refused all the same";
            }
            if (tolerated(operation, site, errno)) {
                return "told as an answer";
            }
            problems.add("without the errno: " + Scene.inFull(thrown));
            return "undocumented";
        }
        if (errno == null && Objects.equals(attempt.answer, clean.answer)) {
            return "made up for";
        }
        if (tells.tells(Objects.requireNonNull(attempt.answer), errno)) {
            return "told by the answer";
        }
        if (tolerated(operation, site, errno)) {
            return "done without";
        }
        problems.add("it is not told: " + attempt.answer);
        return "undocumented";
    }

    private boolean tolerated(Operation<?> operation, Scene.CallSite site, @Nullable Errno errno) {
        for (Tolerance tolerance : tolerances) {
            if (tolerance.covers(operation.name, site, errno)) {
                unused.remove(tolerance);
                return true;
            }
        }
        return false;
    }

    /**
     * Ends the sweep: prints its figures, and fails if anything was not documented, or there were fewer combinations than
     * there have been.
     */
    public void end(int leastOperations, int leastPoints, int leastCombinations) {
        String summary = title + ": " + names.size() + " operations, " + points + " injection points, " + combinations
                + " combinations with errno, " + leaks + " leaks, " + undocumented.size() + " undocumented outcomes";
        System.out.println(summary + " " + outcomes);
        assertThat(undocumented).as(summary).isEmpty();
        assertThat(unused).as("places that need not be tolerated any more").isEmpty();
        assertThat(names.size()).as(summary).isGreaterThanOrEqualTo(leastOperations);
        assertThat(points).as(summary).isGreaterThanOrEqualTo(leastPoints);
        assertThat(combinations).as(summary).isGreaterThanOrEqualTo(leastCombinations);
    }

    /** One run of an operation. */
    private static final class Attempt<T> {

        private final Operation<T> operation;
        private final Scene scene;
        private final T subject;
        private final long injected;
        private @Nullable Object answer;
        private @Nullable Throwable thrown;
        private @Nullable Throwable thrownAgain;

        Attempt(Operation<T> operation, Fault fault) {
            this.operation = operation;
            scene = new Scene(operation.machine.get());
            try {
                subject = operation.stage.open(scene);
            } catch (Exception e) {
                throw new AssertionError("The stage of " + operation.name, e);
            }
            scene.arm(fault);
            try {
                answer = operation.use.on(subject);
            } catch (Throwable e) {
                thrown = e;
            }
            injected = scene.injected();
            scene.disarm();
        }

        /** The call that has failed: threads that wait for interrupts make runs differ. */
        Scene.CallSite site(int n, Scene.CallSite expected) {
            return n <= scene.calls().size() ? scene.calls().get(n - 1) : expected;
        }

        /** How many of the first n calls can be cut short, the n-th included. */
        long transfersUpTo(int n) {
            return scene.calls().stream().limit(n).filter(site -> site.length() > 0).count();
        }

        void repeat() {
            try {
                if (thrown != null && operation.recovery != null) {
                    operation.recovery.on(subject);
                }
                if (operation.repeatable) {
                    operation.use.on(subject);
                }
            } catch (Throwable e) {
                thrownAgain = e;
            }
        }

        List<String> end(boolean closingMayBeRefused) {
            List<String> complaints = scene.end(closingMayBeRefused);
            if (operation.check != null) {
                try {
                    operation.check.look(scene, subject, thrown == null);
                } catch (Exception | AssertionError e) {
                    complaints.add("the check afterwards: " + Scene.inFull(e));
                }
            }
            return complaints;
        }
    }
}
