package io.github.vfio4j.feature;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The session on mtty, which logs nothing, with a front that does (semantics §B.4). */
class DmaLoggingFeatureTest {

    private static final int START = 6 | 1 << 17;
    private static final int STOP = 7 | 1 << 17;
    private static final int REPORT = 8 | 1 << 16;

    private static final IovaRange LOW = new IovaRange(0, 0x10000);
    private static final IovaRange HIGH = new IovaRange(0x7f_0000_0000L, 0x200000);

    /** A device that logs in larger pages than it was asked to, and has written to the second page of every report. */
    private static final class Logging extends ForwardingBackend {

        private final List<String> calls = new ArrayList<>();

        Logging(IoctlBackend next) {
            super(next);
        }

        @Override
        public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            int result = super.ioctl(fd, request, argument, pointees);
            int flags = request == vfio_h.VFIO_DEVICE_FEATURE() ? argument.get(JAVA_INT, 4) : 0;
            if (result != 0) {
                return result;
            }
            if (flags == START) {
                calls.add("start " + argument.get(JAVA_LONG, 8) + start(argument, pointees[0]));
                argument.set(JAVA_LONG, 8, 8192);
            } else if (flags == REPORT) {
                assertThat(pointees[0].address()).isEqualTo(argument.get(JAVA_LONG, 32));
                calls.add("report 0x" + Long.toHexString(argument.get(JAVA_LONG, 8)) + " " + argument.get(JAVA_LONG, 16)
                        + " in " + argument.get(JAVA_LONG, 24));
                pointees[0].set(JAVA_BYTE, 0, (byte) (pointees[0].get(JAVA_BYTE, 0) | 2));
            } else if (flags == STOP) {
                calls.add("stop");
            }
            return result;
        }

        private static String start(MemorySegment argument, MemorySegment array) {
            assertThat(array.address()).isEqualTo(argument.get(JAVA_LONG, 24));
            assertThat(array.byteSize()).isEqualTo(16L * argument.get(JAVA_INT, 16));
            StringBuilder ranges = new StringBuilder();
            for (long at = 0; at < array.byteSize(); at += 16) {
                ranges.append(" 0x").append(Long.toHexString(array.get(JAVA_LONG, at))).append('+')
                        .append(array.get(JAVA_LONG, at + 8));
            }
            return ranges.toString();
        }
    }

    private final List<Logging> fronts = new ArrayList<>();

    private MttyMachine machine(KernelProfile profile) throws VfioException {
        return new MttyMachine(profile, 1, process -> {
            fronts.add(new Logging(process));
            return fronts.getFirst();
        });
    }

    static List<KernelProfile> kernelsThatReport() {
        return List.of(KernelProfile.LINUX_6_12.withIommufdDriver(), KernelProfile.LINUX_7_2.withIommufdDriver());
    }

    @ParameterizedTest
    @MethodSource("kernelsThatReport")
    void aSessionStartsReportsAndStopsOnce(KernelProfile profile) throws VfioException {
        try (MttyMachine machine = machine(profile); Arena arena = Arena.ofConfined()) {
            DmaLoggingSession session = machine.device().dmaLogging().orElseThrow().start(List.of(HIGH, LOW), 4096);
            assertThat(session.pageSize()).as("the device's choice").isEqualTo(8192);
            DirtyBitmap bitmap = DirtyBitmap.allocate(HIGH, session.pageSize(), arena);
            session.report(bitmap);
            List<IovaRange> dirty = new ArrayList<>();
            bitmap.forEachDirtyRange((iova, length) -> dirty.add(new IovaRange(iova, length)));
            assertThat(dirty).containsExactly(new IovaRange(HIGH.iova() + 8192, 8192));
            session.report(DirtyBitmap.allocate(LOW, 4096, arena));
            session.close();
            session.stop();
            session.close();
            assertThatIllegalStateException().isThrownBy(() -> session.report(bitmap))
                    .withMessageContaining("not logged any more");
            assertThat(fronts.getFirst().calls).containsExactly("start 4096 0x7f00000000+2097152 0x0+65536",
                    "report 0x7f00000000 2097152 in 8192", "report 0x0 65536 in 4096", "stop");
        }
    }

    /** mtty itself, on the kernels as their distribution builds them (semantics §B.4.3). */
    @Test
    void aKernelWithoutBitmapsRefusesTheReport() throws VfioException {
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 1);
                Arena arena = Arena.ofConfined();
                DmaLoggingSession session = machine.device().dmaLogging().orElseThrow().start(List.of(LOW), 65536)) {
            assertThat(session.pageSize()).isEqualTo(65536);
            DirtyBitmap bitmap = DirtyBitmap.allocate(LOW, 4096, arena);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> session.report(bitmap))
                    .matches(e -> e.is(Errno.EOPNOTSUPP)).withMessageContaining("kernel's configuration");
        }
    }

    @Test
    void aBitmapWhoseMemoryIsClosedIsRefusedBeforeTheCall() throws VfioException {
        try (MttyMachine machine = machine(KernelProfile.LINUX_7_2.withIommufdDriver());
                DmaLoggingSession session = machine.device().dmaLogging().orElseThrow().start(List.of(LOW), 4096)) {
            Arena arena = Arena.ofConfined();
            DirtyBitmap bitmap = DirtyBitmap.allocate(LOW, 4096, arena);
            arena.close();
            assertThatIllegalStateException().isThrownBy(() -> session.report(bitmap));
            assertThat(fronts.getFirst().calls).hasSize(1);
        }
    }

    static Stream<Arguments> nonsense() {
        return Stream.of(Arguments.of(List.of(), 4096, "at least one"), Arguments.of(List.of(LOW), 0, "power of two"),
                Arguments.of(List.of(LOW), 2048, "power of two"), Arguments.of(List.of(LOW), 12288, "power of two"),
                Arguments.of(List.of(LOW, new IovaRange(0x1800, 0x1000)), 4096, "multiples of 4096"),
                Arguments.of(List.of(LOW, new IovaRange(0x20000, 0x1800)), 4096, "multiples of 4096"),
                Arguments.of(List.of(LOW, HIGH, new IovaRange(0xf000, 0x1000)), 4096, "overlap"));
    }

    @ParameterizedTest
    @MethodSource("nonsense")
    void whatNoKernelTakesIsRefusedBeforeTheCall(List<IovaRange> ranges, long pageSize, String reason)
            throws VfioException {
        try (MttyMachine machine = machine(KernelProfile.LINUX_7_2)) {
            DmaLoggingFeature logging = machine.device().dmaLogging().orElseThrow();
            assertThatIllegalArgumentException().isThrownBy(() -> logging.start(ranges, pageSize))
                    .withMessageContaining(reason);
            assertThat(fronts.getFirst().calls).isEmpty();
        }
    }

    /** 256 on machines with pages of 4096 bytes; the kernel knows (semantics §B.4.1). */
    @Test
    void tooManyRangesAreTheKernelsToRefuse() throws VfioException {
        List<IovaRange> ranges = LongStream.range(0, 257).mapToObj(i -> new IovaRange(i << 13, 4096)).toList();
        try (MttyMachine machine = machine(KernelProfile.LINUX_7_2)) {
            DmaLoggingFeature logging = machine.device().dmaLogging().orElseThrow();
            logging.start(ranges.subList(0, 256), 4096).close();
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> logging.start(ranges, 4096))
                    .matches(e -> e.is(Errno.E2BIG)).withMessageContaining("merge");
            assertThat(fronts.getFirst().calls).hasSize(2);
        }
    }
}
