package io.github.vfio4j.conformance;

import static io.github.vfio4j.conformance.FeatureRules.GET;
import static io.github.vfio4j.conformance.FeatureRules.HEADER;
import static io.github.vfio4j.conformance.FeatureRules.PROBE;
import static io.github.vfio4j.conformance.FeatureRules.SET;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.conformance.ConformanceSession.Opened;
import io.github.vfio4j.conformance.FeatureRules.Ruling;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.lifecycle.AddLifecycleHook;
import net.jqwik.api.lifecycle.AfterProperty;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeTry;
import net.jqwik.api.state.ActionChain;
import net.jqwik.api.statistics.Statistics;
import org.jspecify.annotations.Nullable;

/**
 * What holds for VFIO_DEVICE_FEATURE on every device of every kernel, as properties: order and outcome of the header's checks,
 * probing, which bytes change, descriptors, what may be repeated, and the states of a device over any sequence of features.
 * What is expected comes from the specification ({@link FeatureRules}, {@link MigrationTable}, {@link FeatureProgram}); the
 * kernel may be any: a subclass names the test beds.
 *
 * <pre>{@code
 * class MyDriverConformanceTest extends FeatureConformance {
 *     protected List<TestBed> testBeds() {
 *         return List.of(TestBed.on("my driver", kernel::newProcess).device(PciAddress.parse("0000:01:00.0")));
 *     }
 * }
 * }</pre>
 *
 * <p>
 * What a device does with valid data is its own affair; it is held to what the kernel's core promises whatever the driver.
 */
@AddLifecycleHook(OneTryAtATime.class)
@AddLifecycleHook(TranscriptOnFailure.class)
@AddLifecycleHook(SeedOfRun.class)
public abstract class FeatureConformance {

    /** With fewer, some rule may by chance not be reached. */
    private static final int TRIES_THAT_REACH_ALL = 1000;

    private static final int LOGGING_TRIES_THAT_REACH_ALL = 100;

    private static final int ROOM = 64;
    private static final int DMA_BUF = 11;
    private static final int DEVICE_STATE = 2;
    /** The features there are, and some indices that are none. */
    private static final List<Integer> INDICES = List.of(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0xff,
            0x100, 0x7fff, 0xffff);
    private static final List<Integer> OPERATIONS = List.of(0, GET, SET, GET | SET, PROBE, PROBE | GET, PROBE | SET,
            PROBE | GET | SET);
    /** An address where nothing is, for a real kernel and for an emulated one. */
    private static final long NOWHERE = 1L << 63;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

    private final Map<Object, ConformanceSession> sessions = new HashMap<>();
    private final GuardedMemory memory = new GuardedMemory();
    private final GuardedMemory pointed = new GuardedMemory();
    private @Nullable ConformanceSession current;

    /** Made by jqwik, for each property. */
    protected FeatureConformance() {
    }

    /**
     * What is to be examined.
     *
     * @return at least one test bed with at least one device
     */
    protected abstract List<TestBed> testBeds();

    /** One device of a test bed. */
    record Target(TestBed bed, TestBed.Device device) {
        @Override
        public String toString() {
            return device + " on " + bed;
        }
    }

    @BeforeTry
    void begin() {
        current = null;
    }

    @AfterTry
    void rest() throws VfioException {
        ConformanceSession used = current;
        if (used != null && !used.rest()) {
            sessions.values().remove(used);
            used.close();
        }
    }

    @AfterProperty
    void closeAll() throws VfioException {
        for (ConformanceSession session : sessions.values()) {
            session.close();
        }
        sessions.clear();
        memory.close();
        pointed.close();
    }

    private ConformanceSession session(Object key, TestBed bed, List<TestBed.Device> devices) throws VfioException {
        ConformanceSession session = sessions.get(key);
        if (session == null) {
            session = new ConformanceSession(bed, devices);
            sessions.put(key, session);
        }
        session.begin();
        current = session;
        return session;
    }

    private Opened open(Target target) throws VfioException {
        return session(target, target.bed(), List.of(target.device())).device(target.device());
    }

    /** The calls of the present try, and those that opened what they are made on; empty before there are any. */
    String transcript() {
        return current == null ? "" : current.transcript();
    }

    private List<Target> allTargets() {
        return testBeds().stream().flatMap(bed -> bed.devices().stream().map(device -> new Target(bed, device)))
                .toList();
    }

    @Provide
    Arbitrary<Target> targets() {
        return Arbitraries.of(allTargets());
    }

    /** Every feature there is and some there are not; wrong bits now and then. */
    @Provide
    Arbitrary<Integer> flags() {
        Arbitrary<Integer> index = Arbitraries.frequencyOf(Tuple.of(12, Arbitraries.integers().between(0, 14)),
                Tuple.of(1, Arbitraries.of(0xff, 0x100, 0x7fff, 0xffff)),
                Tuple.of(1, Arbitraries.integers().between(0, 0xffff)));
        Arbitrary<Integer> unknown = Arbitraries.frequencyOf(Tuple.of(12, Arbitraries.just(0)),
                Tuple.of(1, Arbitraries.integers().between(19, 31).map(bit -> 1 << bit)),
                Tuple.of(1, Arbitraries.integers().map(bits -> bits & -1 << 19)));
        return Combinators.combine(index, Arbitraries.of(OPERATIONS), unknown)
                .as((i, operations, bits) -> i | operations | bits);
    }

    @Provide
    Arbitrary<Integer> lengths() {
        return Arbitraries
                .frequencyOf(
                        Tuple.of(3,
                                Arbitraries.of(0, 7, 8, 8, 9, 11, 12, 15, 16, 17, 23, 24, 25, 31, 32, 33, 39, 40, 41,
                                        ROOM)),
                        Tuple.of(2, Arbitraries.of(40, ROOM)),
                        Tuple.of(1, Arbitraries.of(4096, Integer.MAX_VALUE, -1, 1 << 31)),
                        Tuple.of(1, Arbitraries.integers()));
    }

    @Provide
    Arbitrary<Integer> mapped() {
        return Arbitraries.frequencyOf(Tuple.of(3, Arbitraries.just(ROOM)),
                Tuple.of(1, Arbitraries.integers().between(0, ROOM)));
    }

    /** A request with random data, of which so many bytes are accessible. */
    private MemorySegment request(int flags, int argsz, int mapped, long seed) {
        byte[] bytes = new byte[Math.max(mapped, ROOM)];
        new Random(seed).nextBytes(bytes);
        MemorySegment whole = MemorySegment.ofArray(bytes);
        whole.set(INT, 0, argsz);
        whole.set(INT, 4, flags);
        // What may be taken for an address is none; and no number is one of an open descriptor.
        whole.set(ValueLayout.JAVA_BYTE, 31, (byte) 0x80);
        if ((flags & 0xffff) == 4) {
            whole.set(INT, HEADER, -1);
        }
        MemorySegment request = memory.last(mapped);
        request.copyFrom(whole.asSlice(0, mapped));
        return request;
    }

    @Property(edgeCases = EdgeCasesMode.NONE)
    void aHeaderIsJudgedInOrderAndNothingElseChanges(@ForAll("targets") Target target, @ForAll("flags") int flags,
            @ForAll("lengths") int argsz, @ForAll("mapped") int mapped, @ForAll long seed) throws VfioException {
        Opened device = open(target);
        FeatureRules rules = device.rules();
        Ruling ruling = rules.judge(flags, argsz, mapped);
        Statistics.label("rule").collect(ruling).coverage(coverage -> rulesToReach()
                .forEach(rule -> coverage.check(rule).count((count, all) -> count > 0 || all < TRIES_THAT_REACH_ALL)));
        int index = flags & 0xffff;
        if (ruling == Ruling.CARRY_ON && (target.bed().excludes(index) || !FeatureRules.isDescribed(index))) {
            return;
        }
        MemorySegment request = request(flags, argsz, mapped, seed);
        byte[] before = request.toArray(ValueLayout.JAVA_BYTE);
        int free = current().lowestFreeDescriptor();
        int result = device.ask(0, request);
        int written = 0;
        if (ruling != Ruling.CARRY_ON) {
            assertThat(result).as("the answer under the rule %s", ruling).isEqualTo(rules.answer(ruling, index));
        } else {
            written = FeatureRules.feature(index).written();
            if (mapped < HEADER + FeatureRules.feature(index).touched()) {
                assertThat(result).as("with too little memory").isEqualTo(-Errno.EFAULT.code());
            }
        }
        byte[] changed = request.toArray(ValueLayout.JAVA_BYTE);
        // What may be written may be anything.
        System.arraycopy(before, Math.min(mapped, HEADER), changed, Math.min(mapped, HEADER),
                Math.clamp(mapped - HEADER, 0, written));
        assertUnchanged("the bytes that are not the answer's", changed, before);
        assertThat(current().lowestFreeDescriptor()).as("the lowest free descriptor").isEqualTo(free);
    }

    /** Says where bytes are others, not which: they may be a VF token. The transcript has them, with a stand-in for that. */
    private static void assertUnchanged(String what, byte[] bytes, byte[] expected) {
        int at = Arrays.mismatch(expected, bytes);
        assertThat(at).as("the first byte of %s that is another, of %d bytes", what, bytes.length).isEqualTo(-1);
    }

    private ConformanceSession current() {
        return Objects.requireNonNull(current);
    }

    /** Those that the devices have reason to. */
    private Set<Ruling> rulesToReach() {
        Set<Ruling> reached = EnumSet.noneOf(Ruling.class);
        for (Map.Entry<Object, ConformanceSession> entry : sessions.entrySet()) {
            if (entry.getKey() instanceof Target target) {
                FeatureRules rules = entry.getValue().device(target.device()).rules();
                for (Ruling ruling : Ruling.values()) {
                    if (rules.canReach(ruling)) {
                        reached.add(ruling);
                    }
                }
            }
        }
        return reached;
    }

    /** Exhaustive: every feature and operation, at the lengths around each limit. */
    @Property(tries = 1)
    void everyHeaderAtItsLimits() throws VfioException {
        for (Target target : allTargets()) {
            Opened device = open(target);
            FeatureRules rules = device.rules();
            for (int index : INDICES) {
                for (int operations : OPERATIONS) {
                    int minimum = FeatureRules.isDescribed(index) ? FeatureRules.feature(index).minimum() : 0;
                    for (int argsz : new int[]{0, 7, 8, 9, HEADER + minimum - 1, HEADER + minimum, HEADER + minimum + 1,
                            ROOM, Integer.MAX_VALUE, -1}) {
                        Ruling ruling = rules.judge(index | operations, argsz, ROOM);
                        if (ruling != Ruling.CARRY_ON) {
                            assertThat(device.ask(0, request(index | operations, argsz, ROOM, index)))
                                    .as("%s, feature %d, operations %#x, argsz %d", target, index, operations, argsz)
                                    .isEqualTo(rules.answer(ruling, index));
                        }
                    }
                }
            }
        }
    }

    /** Which operations a feature has, and how it is missing where it is, is not the driver's choice. */
    @Property(tries = 1)
    void featuresHaveTheOperationsOfTheHeader() throws VfioException {
        for (Target target : allTargets()) {
            FeatureRules rules = open(target).rules();
            for (int index = 0; index < 13; index++) {
                int absent = rules.answer(rules.judge(index | PROBE, HEADER, HEADER), index);
                if (rules.has(index)) {
                    assertThat(rules.operations(index)).as("operations of feature %d of %s", index, target)
                            .isEqualTo(FeatureRules.feature(index).operations());
                } else {
                    assertThat(Errno.ofResult(absent)).as("what %s answers to feature %d", target, index)
                            .isIn(FeatureRules.absences(index));
                }
            }
        }
    }

    /** Probing looks at nothing behind the header, and changes nothing: asked again, a device answers alike. */
    @Property
    void probingDependsOnTheDeviceOnly(@ForAll("targets") Target target, @ForAll("flags") int flags,
            @ForAll("lengths") int argsz, @ForAll long seed) throws VfioException {
        Opened device = open(target);
        int probe = (flags | PROBE) & ~(-1 << 19);
        int usual = device.ask(0, request(probe, HEADER, HEADER, seed));
        int length = Integer.compareUnsigned(argsz, HEADER) < 0 ? HEADER : argsz;
        MemorySegment request = request(probe, length, ROOM, seed);
        byte[] before = request.toArray(ValueLayout.JAVA_BYTE);
        assertThat(device.ask(0, request)).isEqualTo(usual);
        assertUnchanged("the request", request.toArray(ValueLayout.JAVA_BYTE), before);
    }

    /** Leaving low power, stopping to log, opting in, setting a token and asking for the state: once is as good as twice. */
    @Property
    void askedAgainTheyAnswerAlike(@ForAll("targets") Target target, @ForAll long seed) throws VfioException {
        Opened device = open(target);
        for (int flags : new int[]{SET, 5 | SET, 7 | SET, 12 | SET, 1 | GET, DEVICE_STATE | GET}) {
            if (device.canDo(flags & 0xffff, flags & (GET | SET))) {
                MemorySegment request = request(flags, ROOM, ROOM, seed);
                assertThat(device.ask(0, request)).isZero();
                byte[] first = request.toArray(ValueLayout.JAVA_BYTE);
                MemorySegment again = request(flags, ROOM, ROOM, seed);
                assertThat(device.ask(0, again)).isZero();
                assertUnchanged("the second answer", again.toArray(ValueLayout.JAVA_BYTE), first);
            }
        }
    }

    /** Exports of what no region has (semantics §B.6): the region is looked at before its ranges. */
    @Property
    void onlyRegionsWithMemoryAreExported(@ForAll("targets") Target target, @ForAll int region, @ForAll long seed)
            throws VfioException {
        Opened device = open(target);
        if (!device.canDo(DMA_BUF, GET)) {
            return;
        }
        MemorySegment request = request(DMA_BUF | GET, ROOM, ROOM, seed);
        // Beyond the BARs; which of these there are is the device's affair.
        request.set(INT, HEADER, Integer.compareUnsigned(region, 6) < 0 ? region + 6 : region);
        request.set(INT, HEADER + 8, 0);
        request.set(INT, HEADER + 12, 1);
        assertThat(device.ask(0, request)).isEqualTo(-Errno.ENODEV.code());
    }

    @Provide
    Arbitrary<Long> addresses() {
        return Arbitraries.frequencyOf(Tuple.of(4, Arbitraries.of(0L, 4096L, 8192L, 1L << 20)),
                Tuple.of(2, Arbitraries.of(-4096L, -8192L, 1L << 63)), Tuple.of(1, Arbitraries.of(1L, 4095L, -1L)),
                Tuple.of(1, Arbitraries.longs()));
    }

    @Provide
    Arbitrary<List<Long>> ranges() {
        return addresses().list().ofMinSize(2).ofMaxSize(6);
    }

    /** What the core checks before a driver is asked to log (semantics §B.4.1). */
    @Property(edgeCases = EdgeCasesMode.NONE)
    void rangesToLogAreChecked(@ForAll("targets") Target target, @ForAll("ranges") List<Long> ranges,
            @ForAll("counts") int count, @ForAll("pageSizes") long pageSize) throws VfioException {
        Opened device = open(target);
        if (!device.canDo(6, SET)) {
            return;
        }
        MemorySegment array = pointed.last(ranges.size() / 2 * 16);
        for (int i = 0; i < array.byteSize() / Long.BYTES; i++) {
            array.set(LONG, (long) i * Long.BYTES, ranges.get(i));
        }
        MemorySegment request = memory.last(32);
        request.set(INT, 0, 32);
        request.set(INT, 4, 6 | SET);
        request.set(LONG, HEADER, pageSize);
        request.set(INT, HEADER + 8, count);
        request.set(INT, HEADER + 12, 0);
        request.set(LONG, HEADER + 16, array.address());
        int expected = LoggingChecks.start(count, pageSize, array);
        int result = device.ask(0, request, array);
        if (expected != 0) {
            assertThat(result).isEqualTo(expected);
        } else if (device.device().kind() != null) {
            assertThat(result).as("the samples take whatever is right").isZero();
        }
        Statistics.label("answer").collect(expected == 0 ? "0" : Errno.ofResult(expected).name())
                .coverage(coverage -> List.of("0", "EINVAL", "E2BIG", "EFAULT", "EOVERFLOW").forEach(answer -> coverage
                        .check(answer).count((seen, all) -> seen > 0 || all < LOGGING_TRIES_THAT_REACH_ALL)));
    }

    @Provide
    Arbitrary<Integer> counts() {
        return Arbitraries.frequencyOf(Tuple.of(4, Arbitraries.integers().between(1, 3)),
                Tuple.of(1, Arbitraries.of(0, 100_000, -1, Integer.MIN_VALUE)));
    }

    @Provide
    Arbitrary<Long> pageSizes() {
        return Arbitraries.frequencyOf(Tuple.of(4, Arbitraries.just(4096L)),
                Tuple.of(1, Arbitraries.of(0L, 1L, 3L, 6L, 2048L, 4097L, 8192L, 1L << 63, -1L)));
    }

    /** What the core checks before a driver is asked what it has logged (semantics §B.4.3). */
    @Property(edgeCases = EdgeCasesMode.NONE)
    void reportsAreChecked(@ForAll("targets") Target target, @ForAll("addresses") long iova,
            @ForAll("addresses") long length, @ForAll("pageSizes") long pageSize) throws VfioException {
        Opened device = open(target);
        if (!device.canDo(8, GET)) {
            return;
        }
        int expected = LoggingChecks.report(iova, length, pageSize);
        if (expected == 0 && device.device().kind() == null) {
            // A driver may set bits, and there is no memory for them.
            return;
        }
        MemorySegment request = memory.last(40);
        request.set(INT, 0, 40);
        request.set(INT, 4, 8 | GET);
        request.set(LONG, HEADER, iova);
        request.set(LONG, HEADER + 8, length);
        request.set(LONG, HEADER + 16, pageSize);
        request.set(LONG, HEADER + 24, NOWHERE);
        byte[] before = request.toArray(ValueLayout.JAVA_BYTE);
        assertThat(device.ask(0, request)).isIn(expected, -Errno.EOPNOTSUPP.code());
        assertUnchanged("the request", request.toArray(ValueLayout.JAVA_BYTE), before);
    }

    @Provide
    Arbitrary<ActionChain<FeatureProgram>> programs() {
        return Arbitraries.of(testBeds()).flatMap(bed -> FeatureProgram.chain(() -> {
            try {
                return new FeatureProgram(session(bed, bed, bed.devices()), memory);
            } catch (VfioException e) {
                throw new AssertionError(e);
            }
        }));
    }

    /** Whatever is asked in whatever order, on whichever device and file of it: each stays in the state it has been put into. */
    @Property
    void devicesStayInTheStateTheyArePutInto(@ForAll("programs") ActionChain<FeatureProgram> program) {
        program.run();
    }

    /** The same for one device, whose migration is what matters. */
    @Provide
    Arbitrary<ActionChain<FeatureProgram>> migrations() {
        return targets().flatMap(target -> FeatureProgram.migrationChain(() -> {
            try {
                return new FeatureProgram(session(target, target.bed(), List.of(target.device())), memory);
            } catch (VfioException e) {
                throw new AssertionError(e);
            }
        }));
    }

    /** A migration goes from state to state as the table says, and no other way (semantics §B.2.5). */
    @Property
    void migrationsGoByTheTable(@ForAll("migrations") ActionChain<FeatureProgram> program) {
        program.run();
    }
}
