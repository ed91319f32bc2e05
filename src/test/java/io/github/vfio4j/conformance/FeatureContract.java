package io.github.vfio4j.conformance;

import static io.github.vfio4j.conformance.FeatureRules.CARRY_ON;
import static io.github.vfio4j.conformance.FeatureRules.GET;
import static io.github.vfio4j.conformance.FeatureRules.PROBE;
import static io.github.vfio4j.conformance.FeatureRules.SET;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.FeatureRequest;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.EdgeCasesMode;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.lifecycle.AfterProperty;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.statistics.Statistics;
import org.jspecify.annotations.Nullable;

/**
 * What holds for VFIO_DEVICE_FEATURE on every device, whatever is asked. What is expected comes from {@link FeatureRules}; the
 * kernel may be any: a subclass opens the device.
 */
abstract class FeatureContract {

    private static final int HEADER = 8;
    private static final int ROOM = 64;
    private static final int DEVICE_STATE = 2;
    private static final int LOW_POWER_ENTRY_WITH_WAKEUP = 4;
    private static final int DMA_BUF = 11;
    private static final List<Integer> OPERATIONS = List.of(0, GET, SET, GET | SET, PROBE, PROBE | GET, PROBE | SET,
            PROBE | GET | SET);

    private @Nullable AutoCloseable surroundings;
    private @Nullable VfioDevice device;
    private final GuardedMemory memory = new GuardedMemory();

    /** A device, and what is to be closed with it. */
    record Open(VfioDevice device, AutoCloseable surroundings) {
    }

    /** How a device is opened, in the state in which a first opening finds it. */
    interface Opening {
        Open open() throws VfioException;
    }

    /** A device to ask, and what it should answer. */
    record Target(FeatureRules rules, Opening opening) {
        @Override
        public String toString() {
            return rules.toString();
        }
    }

    abstract List<Target> devices();

    @AfterTry
    void close() throws Exception {
        if (surroundings != null) {
            surroundings.close();
        }
    }

    @AfterProperty
    void unmap() {
        memory.close();
    }

    private FeatureRules on(Target target) throws VfioException {
        Open opened = target.opening().open();
        device = opened.device();
        surroundings = opened.surroundings();
        return target.rules();
    }

    /** A request with random data, of which so many bytes are accessible. */
    private MemorySegment request(int flags, int argsz, int mapped, long seed) {
        byte[] bytes = new byte[Math.max(mapped, HEADER)];
        new Random(seed).nextBytes(bytes);
        MemorySegment whole = MemorySegment.ofArray(bytes);
        whole.set(ValueLayout.JAVA_INT_UNALIGNED, 0, argsz);
        whole.set(ValueLayout.JAVA_INT_UNALIGNED, 4, flags);
        if (bytes.length >= HEADER + 24) {
            // What may be taken for an address is none; nothing is exported.
            whole.set(ValueLayout.JAVA_BYTE, 31, (byte) 0x80);
        }
        if ((flags & 0xffff) == LOW_POWER_ENTRY_WITH_WAKEUP && bytes.length >= HEADER + 4) {
            whole.set(ValueLayout.JAVA_INT_UNALIGNED, HEADER, -1);
        }
        MemorySegment request = memory.last(mapped);
        request.copyFrom(whole.asSlice(0, mapped));
        return request;
    }

    private int ask(MemorySegment request) {
        return Objects.requireNonNull(device).executeRaw(FeatureRequest.raw(request));
    }

    @Provide
    Arbitrary<Target> targets() {
        return Arbitraries.of(devices());
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
                                Arbitraries.of(0, 7, 8, 9, 11, 12, 15, 16, 17, 23, 24, 25, 31, 32, 33, 39, 40, 41,
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

    @Property(tries = 2000, edgeCases = EdgeCasesMode.NONE)
    void aHeaderIsJudgedInOrderAndNothingElseChanges(@ForAll("targets") Target target, @ForAll("flags") int flags,
            @ForAll("lengths") int argsz, @ForAll("mapped") int mapped, @ForAll long seed) throws VfioException {
        FeatureRules rules = on(target);
        MemorySegment request = request(flags, argsz, mapped, seed);
        byte[] before = request.toArray(ValueLayout.JAVA_BYTE);
        int result = ask(request);
        int expected = rules.answer(flags, argsz, mapped);
        if (expected != CARRY_ON) {
            assertThat(result).isEqualTo(expected);
        } else if (mapped < HEADER + FeatureRules.feature(flags & 0xffff).touched()) {
            assertThat(result).isEqualTo(-Errno.EFAULT.code());
        }
        int written = expected == CARRY_ON ? FeatureRules.feature(flags & 0xffff).written() : 0;
        byte[] changed = request.toArray(ValueLayout.JAVA_BYTE);
        // What may be written may be anything.
        System.arraycopy(before, Math.min(mapped, HEADER), changed, Math.min(mapped, HEADER),
                Math.clamp(mapped - HEADER, 0, written));
        assertThat(changed).isEqualTo(before);
        Statistics.label("answer")
                .collect(expected == CARRY_ON ? "carry on" : expected == 0 ? "0" : Errno.ofResult(expected).name())
                .coverage(coverage -> {
                    for (String answer : List.of("0", "carry on", "EFAULT", "EINVAL", "ENOTTY")) {
                        coverage.check(answer).count(count -> count > 0);
                    }
                });
    }

    /** Exhaustive: every feature and operation, at the lengths around each limit. */
    @Property(tries = 1)
    void everyHeaderAtItsLimits() throws Exception {
        for (Target target : devices()) {
            FeatureRules rules = on(target);
            for (int index = 0; index < 16; index++) {
                for (int operations : OPERATIONS) {
                    int minimum = rules.has(index) ? FeatureRules.feature(index).minimum() : 0;
                    for (int argsz : new int[]{0, 7, 8, 9, HEADER + minimum - 1, HEADER + minimum, HEADER + minimum + 1,
                            ROOM, Integer.MAX_VALUE, -1}) {
                        int expected = rules.answer(index | operations, argsz, ROOM);
                        if (expected != CARRY_ON) {
                            assertThat(ask(request(index | operations, argsz, ROOM, index)))
                                    .as("%s, feature %d, operations %#x, argsz %d", target, index, operations, argsz)
                                    .isEqualTo(expected);
                        }
                    }
                }
            }
            Objects.requireNonNull(surroundings).close();
        }
        surroundings = null;
    }

    /** Probing looks at nothing behind the header, and changes nothing: asked again, a device answers alike. */
    @Property(tries = 500)
    void probingDependsOnTheDeviceOnly(@ForAll("targets") Target target, @ForAll("flags") int flags,
            @ForAll("lengths") int argsz, @ForAll long seed) throws VfioException {
        on(target);
        int probe = (flags | PROBE) & ~(-1 << 19);
        int usual = ask(request(probe, HEADER, HEADER, seed));
        int length = Integer.compareUnsigned(argsz, HEADER) < 0 ? HEADER : argsz;
        MemorySegment request = request(probe, length, ROOM, seed);
        byte[] before = request.toArray(ValueLayout.JAVA_BYTE);
        assertThat(ask(request)).isEqualTo(usual);
        assertThat(request.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(before);
    }

    /** Leaving low power, stopping to log, opting in, setting a token and asking for the state: once is as good as twice. */
    @Property(tries = 200)
    void askedAgainTheyAnswerAlike(@ForAll("targets") Target target, @ForAll long seed) throws VfioException {
        FeatureRules rules = on(target);
        for (int flags : new int[]{SET, 5 | SET, 7 | SET, 12 | SET, 1 | GET, DEVICE_STATE | GET, 9 | GET}) {
            if (rules.has(flags & 0xffff)) {
                MemorySegment request = request(flags, ROOM, ROOM, seed);
                assertThat(ask(request)).isZero();
                byte[] first = request.toArray(ValueLayout.JAVA_BYTE);
                MemorySegment again = request(flags, ROOM, ROOM, seed);
                assertThat(ask(again)).isZero();
                assertThat(again.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(first);
            }
        }
    }

    /** Low power is entered once, whichever way, until it is left (semantics §B.3). */
    @Property(tries = 200)
    void lowPowerIsEnteredOnce(@ForAll("targets") Target target, @ForAll List<Boolean> entries) throws VfioException {
        FeatureRules rules = on(target);
        if (!rules.has(3)) {
            return;
        }
        boolean engaged = false;
        try (Arena arena = Arena.ofConfined()) {
            for (boolean enters : entries) {
                MemorySegment request = arena.allocate(HEADER, 4);
                request.set(ValueLayout.JAVA_INT, 0, HEADER);
                request.set(ValueLayout.JAVA_INT, 4, (enters ? 3 : 5) | SET);
                assertThat(ask(request)).isEqualTo(enters && engaged ? -Errno.EINVAL.code() : 0);
                engaged = enters;
            }
        }
    }

    /** Exports of what no region has (semantics §B.6): the region is looked at before its ranges. */
    @Property(tries = 200)
    void onlyRegionsWithMemoryAreExported(@ForAll("targets") Target target, @ForAll int region, @ForAll long seed)
            throws VfioException {
        FeatureRules rules = on(target);
        if (!rules.has(DMA_BUF) || region == 0) {
            return;
        }
        MemorySegment request = request(DMA_BUF | GET, ROOM, ROOM, seed);
        request.set(ValueLayout.JAVA_INT_UNALIGNED, HEADER, region);
        request.set(ValueLayout.JAVA_INT_UNALIGNED, HEADER + 8, 0);
        request.set(ValueLayout.JAVA_INT_UNALIGNED, HEADER + 12, 1);
        assertThat(ask(request)).isEqualTo(-Errno.ENODEV.code());
    }
}
