package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_SET_IRQS;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.Fcntl;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** VFIO_DEVICE_SET_IRQS (semantics §E.4). */
class SetIrqsTest {

    private static final String DEVICE = "0000:05:00.0";
    private static final String UNROUTED = "0000:06:00.0";
    private static final String CONVENTIONAL = "0000:07:00.0";
    private static final UUID MTTY = UUID.fromString("00000000-0000-0000-0000-000000000001");
    private static final UUID MDPY = UUID.fromString("00000000-0000-0000-0000-000000000002");

    private static final int ENABLING_INTX = 0x24;

    private static Program machine(KernelProfile kernel) {
        return Program.on(EmulatedKernel.builder(kernel)
                .pciFunction(DEVICE, function -> function.memoryBar(0, 16384).msi(4).msix(4, 0))
                .pciFunction(UNROUTED, PciFunctionSpec::withoutInterruptLine)
                .pciFunction(CONVENTIONAL, PciFunctionSpec::conventional).mtty(MTTY, 1).mdpy(MDPY));
    }

    private static int mdev(Program program, UUID name) {
        return success(program.deviceFd(program.readyGroupAt(program.mdevGroupPath(name)), name.toString()));
    }

    private static byte[] words(int... words) {
        ByteBuffer bytes = ByteBuffer.allocate(4 * words.length).order(ByteOrder.nativeOrder());
        Arrays.stream(words).forEach(bytes::putInt);
        return bytes.array();
    }

    private static Stream<Arguments> headers() {
        // argsz, flags, index, start, count, further mapped bytes | answer
        return Tables.onEveryKernel("""
                19 0x22 4 0 1 4           | EINVAL
                20 0x21 4 0 1 0           | EINVAL
                20 0x22 4 0 1 4           | EINVAL
                21 0x22 4 0 1 0           | EFAULT
                21 0x22 4 0 1 1           | 0
                23 0x24 4 0 1 4           | EINVAL
                24 0x24 4 0 1 3           | EFAULT
                24 0x24 4 0 1 4           | EINVAL
                -1 0x22 4 0 1 4           | 0
                24 0x22 5 0 1 4           | EINVAL
                24 0x22 -1 0 1 4          | EINVAL
                24 0x22 4 1 0 4           | EINVAL
                24 0x22 4 0 2 4           | EINVAL
                24 0x22 4 0 -1 4          | EINVAL
                24 0x22 4 -1 1 4          | EINVAL
                24 0x22 4 1 -2 4          | EINVAL
                24 0x62 4 0 1 4           | EINVAL
                24 0x80000022 4 0 1 4     | EINVAL
                24 0x20 4 0 1 4           | EINVAL
                24 0x23 4 0 1 4           | EINVAL
                24 0x27 4 0 1 4           | EINVAL
                24 0x2 4 0 1 4            | ENOTTY
                24 0xa 4 0 1 4            | ENOTTY
                24 0x12 4 0 1 4           | ENOTTY
                24 0x32 4 0 1 4           | ENOTTY
                24 0x3a 0 0 1 4           | ENOTTY
                24 0x9 1 0 1 4            | ENOTTY
                24 0x11 2 0 1 4           | ENOTTY
                24 0x9 3 0 1 4            | ENOTTY
                24 0x1 0 0 1 4            | ENOTTY
                24 0x9 0 0 1 4            | EINVAL
                24 0x11 0 0 1 4           | EINVAL
                24 0x9 0 0 0 4            | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: argsz, flags, index, start, count, mapped {1}: {2}")
    @MethodSource("headers")
    void aRequestIsCheckedInOrder(KernelProfile kernel, String request, String expected) {
        int[] words = Arrays.stream(request.split(" ", -1)).mapToInt(word -> (int) (long) Long.decode(word)).toArray();
        Program program = machine(kernel);
        int device = success(program.device(DEVICE));
        byte[] argument = Arrays.copyOf(words(Arrays.copyOf(words, 5)), 20 + words[5]);
        assertThat(answer(program.ioctlOn(device, VFIO_DEVICE_SET_IRQS(), argument))).isEqualTo(expected);
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void theHeaderMustBeMapped(KernelProfile kernel) {
        Program program = machine(kernel);
        int device = success(program.device(DEVICE));
        assertThat(answer(program.ioctlOn(device, VFIO_DEVICE_SET_IRQS(), new byte[19]))).isEqualTo("EFAULT");
        assertThat(answer(program.ioctl(device, VFIO_DEVICE_SET_IRQS()))).isEqualTo("EFAULT");
    }

    private static Stream<Arguments> sequences() {
        // Steps: index+action, start, then data: "none*count", "true", "false", or descriptors "e" an eventfd, "x" closed,
        // "n" of another kind, or a negative number; "close", "reset". | answers | signals
        String same = """
                intx:t:0:e intx:t:0:none1                              | 0 0                   | 1
                intx:t:0:e intx:t:0:true intx:t:0:false                | 0 0 0                 | 1
                intx:t:0:none1                                         | EINVAL                | 0
                intx:t:0:true                                          | EINVAL                | 0
                intx:t:0:none0                                         | EINVAL                | 0
                intx:t:0:x                                             | EBADF                 | 0
                intx:t:0:n                                             | EINVAL                | 0
                intx:t:0:x intx:t:0:none1                              | EBADF EINVAL          | 0
                intx:t:0:-1 intx:m:0:none1                             | 0 0                   | 0
                intx:t:0:-5 intx:u:0:none1                             | 0 0                   | 0
                intx:m:0:none1 intx:u:0:none1                          | EINVAL EINVAL         | 0
                intx:t:0:e intx:m:0:e                                  | 0 ENOTTY              | 0
                intx:t:0:e intx:m:0:true intx:u:0:false                | 0 0 0                 | 0
                intx:t:0:e intx:m:0:none0 intx:u:0:none0               | 0 EINVAL EINVAL       | 0
                intx:t:0:e intx:u:0:e intx:u:0:e                       | 0 0 EBUSY             | 0
                intx:t:0:e intx:u:0:e intx:u:0:x intx:u:0:n            | 0 0 EBADF EINVAL      | 0
                intx:t:0:e intx:u:0:e intx:u:0:-1 intx:u:0:e           | 0 0 0 0               | 0
                intx:t:0:e intx:t:0:none0 intx:t:0:none1               | 0 0 EINVAL            | 0
                intx:t:0:e intx:t:0:fds intx:t:0:none1                 | 0 EINVAL 0            | 1
                intx:t:0:e intx:t:0:bools intx:t:0:none1               | 0 EINVAL 0            | 1
                msi:t:0:e msi:t:0:fds msi:t:0:bools msi:t:0:none1      | 0 0 0 0               | 1
                msi:t:0:e msi:t:0:none0 msi:t:0:-1 msi:t:0:none1       | 0 0 0 0               | 0
                msi:t:0:e,e,e msi:t:0:none1                            | 0 0                   | 1
                msi:t:0:e,e,e msi:t:1:none2                            | 0 0                   | 2
                msi:t:0:e,e,e msi:t:0:e,x msi:t:0:none3                | 0 EBADF 0             | 1
                msi:t:0:e,e,e msi:t:1:x msi:t:0:none3                  | 0 EBADF 0             | 2
                msi:t:0:e,e,e msi:t:1:e,x msi:t:0:none3                | 0 EBADF 0             | 1
                msi:t:0:e,-1,e msi:t:0:none3                           | 0 0                   | 2
                msi:t:0:e close msi:t:0:-1 msi:t:0:none1               | 0 0 0 0               | 0
                intx:t:0:e close intx:t:0:none1                        | 0 0 EINVAL            | 0
                err:t:0:e close err:t:0:none1                          | 0 0 EINVAL            | 0
                req:t:0:e close req:t:0:none1                          | 0 0 EINVAL            | 0
                intx:t:0:e msi:t:0:e msix:t:0:e                        | 0 EINVAL EINVAL       | 0
                intx:t:0:e msi:t:0:none0                               | 0 EINVAL              | 0
                intx:t:0:e intx:t:0:none0 msi:t:0:e                    | 0 0 0                 | 0
                intx:t:0:e reset intx:t:0:none1                        | 0 0 0                 | 1
                intx:t:0:e close intx:t:0:none1                        | 0 0 EINVAL            | 0
                msi:t:0:e intx:t:0:e msix:t:0:e                        | 0 EINVAL EINVAL       | 0
                msi:t:0:none1                                          | EINVAL                | 0
                msi:t:0:none0                                          | EINVAL                | 0
                msi:t:0:e,e,e msi:t:0:none3                            | 0 0                   | 3
                msi:t:0:e,-1,e msi:t:0:none3                           | 0 0                   | 2
                msi:t:2:e msi:t:0:none3                                | 0 0                   | 1
                msi:t:0:e,x msi:t:0:none1                              | EBADF EINVAL          | 0
                msi:t:0:e,n msix:t:0:e                                 | EINVAL 0              | 0
                msi:t:0:e,e,e,e,e                                      | EINVAL                | 0
                msi:t:0:e,e,e msi:t:0:-1,x msi:t:0:none3               | 0 EBADF 0             | 1
                msi:t:0:e,e msi:t:1:e msi:t:1:none1                    | 0 0 0                 | 1
                msi:t:0:e msi:t:1:e                                    | 0 EINVAL              | 0
                msi:t:0:e msi:t:0:none0 intx:t:0:e                     | 0 0 0                 | 0
                msix:t:0:e,e msix:t:0:none0 msix:t:0:none1             | 0 0 EINVAL            | 0
                msix:t:0:e close msi:t:0:e                             | 0 0 0                 | 0
                err:t:0:none1 req:t:0:none1                            | EINVAL EINVAL         | 0
                err:t:0:none0 req:t:0:none0                            | EINVAL EINVAL         | 0
                err:t:0:true req:t:0:true                              | 0 0                   | 0
                err:t:0:bools req:t:0:fds                              | EINVAL EINVAL         | 0
                err:t:0:e err:t:0:none1 err:t:0:true err:t:0:false     | 0 0 0 0               | 2
                req:t:0:e req:t:0:x req:t:0:n req:t:0:none1            | 0 EBADF EINVAL 0      | 1
                req:t:0:e req:t:0:none0 req:t:0:none1                  | 0 0 EINVAL            | 0
                req:t:0:e req:t:0:-1 req:t:0:none1                     | 0 0 EINVAL            | 0
                req:t:0:e msi:t:0:e req:t:0:none1                      | 0 0 0                 | 1
                req:t:0:e close req:t:0:none1                          | 0 0 EINVAL            | 0
                """;
        String differing = """
                err:t:0:-2 req:t:0:-3                         | 0 0               | 0 0               | EINVAL EINVAL | EINVAL EINVAL
                req:t:0:e req:t:0:-2 req:t:0:none1            | 0 0 0             | 0 0 0             | 0 EINVAL 0    | 0 EINVAL 0
                msix:t:0:e msix:t:2:e                         | 0 EINVAL          | 0 EINVAL          | 0 0           | 0 0
                msix:t:0:e msix:t:2:e msix:t:2:none1          | 0 EINVAL EINVAL   | 0 EINVAL EINVAL   | 0 0 0         | 0 0 0
                msix:t:0:e msix:t:2:-1                        | 0 EINVAL          | 0 EINVAL          | 0 0           | 0 0
                msi:t:0:e msi:t:2:-1                          | 0 EINVAL          | 0 EINVAL          | 0 0           | 0 0
                msi:t:0:e msi:t:2:none1                       | 0 EINVAL          | 0 EINVAL          | 0 0           | 0 0
                msi:t:0:fds msix:t:0:fds                      | ENOSPC ENOSPC     | ERANGE ERANGE     | ERANGE ERANGE | ERANGE ERANGE
                msi:t:1:fds                                   | EINVAL            | EINVAL            | 0             | 0
                """;
        return Stream.concat(Tables.onEveryKernel(same),
                Tables.byKernel(differing).map(row -> Arguments.of(row.get()[0], row.get()[1], row.get()[2], "")));
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("sequences")
    void aSequenceOfRequestsIsAnswered(KernelProfile kernel, String steps, String answers, String signals) {
        Program program = machine(kernel);
        Session session = new Session(program, success(program.device(DEVICE)));
        List<String> given = Arrays.stream(steps.split(" ", -1)).map(session::step).toList();
        assertThat(given).containsExactly(answers.split(" ", -1));
        if (!signals.isEmpty()) {
            assertThat(program.readEventfd(session.eventfd)).isEqualTo(signals.equals("0") ? "EAGAIN" : signals);
        }
    }

    private static Stream<Arguments> unmasking() {
        // Further steps: "read", "write" 3, "shut" the eventfd and make another, and the device's: "assert", "clear".
        return Tables.byKernel(
                """
                        intx:t:0:e intx:u:0:e intx:t:0:none1 read  | 0 0 0 1     | 0 0 0 EAGAIN | 0 0 0 EAGAIN | 0 0 0 EAGAIN
                        intx:t:0:e intx:u:0:e write read           | 0 0 8 3     | 0 0 8 EAGAIN | 0 0 8 EAGAIN | 0 0 8 EAGAIN
                        intx:t:0:e write intx:u:0:e write read     | 0 8 0 8 6   | 0 8 0 8 EAGAIN | 0 8 0 8 EAGAIN | 0 8 0 8 EAGAIN
                        intx:t:0:e write intx:u:0:e read           | 0 8 0 3     | 0 8 0 3      | 0 8 0 3      | 0 8 0 3
                        intx:t:0:e write intx:u:0:e intx:u:0:-1 read | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN
                        intx:t:0:e write intx:u:0:e intx:t:0:none0 read | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN
                        intx:t:0:e write intx:u:0:e close read     | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN | 0 8 0 0 EAGAIN
                        intx:t:0:e intx:u:0:e intx:u:0:-1 write read | 0 0 0 8 3 | 0 0 0 8 3    | 0 0 0 8 3    | 0 0 0 8 3
                        intx:t:0:e intx:u:0:e shut intx:u:0:e intx:u:0:e | 0 0 0 0 EBUSY | 0 0 0 0 EBUSY | 0 0 0 0 EBUSY | 0 0 0 0 EBUSY
                        intx:t:0:e shut intx:t:0:none1 read        | 0 0 0 EAGAIN | 0 0 0 EAGAIN | 0 0 0 EAGAIN | 0 0 0 EAGAIN
                        assert intx:t:0:e read                     | 0 0 1       | 0 0 1        | 0 0 1        | 0 0 1
                        intx:t:0:e assert assert read              | 0 0 0 1     | 0 0 0 1      | 0 0 0 1      | 0 0 0 1
                        intx:t:0:e assert intx:u:0:none1 read      | 0 0 0 2     | 0 0 0 2      | 0 0 0 2      | 0 0 0 2
                        intx:t:0:e assert clear intx:u:0:none1 assert read | 0 0 0 0 0 2 | 0 0 0 0 0 2 | 0 0 0 0 0 2 | 0 0 0 0 0 2
                        intx:t:0:-1 assert intx:t:0:e read         | 0 0 0 1     | 0 0 0 EAGAIN | 0 0 0 EAGAIN | 0 0 0 EAGAIN
                        intx:t:0:-1 assert intx:t:0:e intx:u:0:none1 read | 0 0 0 0 2 | 0 0 0 0 1  | 0 0 0 0 1    | 0 0 0 0 1
                        intx:t:0:e intx:m:0:none1 assert intx:t:0:e read | 0 0 0 0 EAGAIN | 0 0 0 0 EAGAIN | 0 0 0 0 EAGAIN | 0 0 0 0 EAGAIN
                        """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("unmasking")
    void theEventfdThatUnmasksIsEmptied(KernelProfile kernel, String steps, String answers) {
        Program program = machine(kernel);
        Session session = new Session(program, success(program.device(DEVICE)));
        assertThat(Arrays.stream(steps.split(" ", -1)).map(session::step)).containsExactly(answers.split(" ", -1));
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void ofASemaphoreThatUnmasksOneIsTakenAtATime(KernelProfile kernel) {
        Program program = machine(kernel);
        Session session = new Session(program, success(program.device(DEVICE)));
        session.eventfd = program.process().eventfd(0, Fcntl.EFD_NONBLOCK | Fcntl.EFD_SEMAPHORE);
        session.step("intx:t:0:-1");
        if (kernel == KernelProfile.LINUX_5_7) {
            assertThatThrownBy(() -> session.step("intx:u:0:e")).isInstanceOf(NotModelledException.class);
        } else {
            assertThat(Stream.of("intx:u:0:e", "write", "read", "read", "read").map(session::step)).containsExactly("0",
                    "8", "1", "1", "EAGAIN");
        }
    }

    private static Stream<Arguments> unrouted() {
        return Tables.byKernel("""
                intx:t:0:e                 | ENODEV | ENODEV | ENODEV | ENODEV
                intx:t:0:-1                | ENODEV | ENODEV | ENODEV | ENODEV
                intx:t:0:x                 | ENODEV | EBADF  | EBADF  | EBADF
                intx:t:0:n                 | ENODEV | EINVAL | EINVAL | EINVAL
                msi:t:0:e                  | EINVAL | EINVAL | EINVAL | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("unrouted")
    void anInterruptWithoutALineCannotBeEnabled(KernelProfile kernel, String step, String expected) {
        Program program = machine(kernel);
        Session session = new Session(program, success(program.device(UNROUTED)));
        assertThat(session.step(step)).isEqualTo(expected);
        assertThat(session.step("intx:m:0:none1")).isEqualTo("EINVAL");
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void aConventionalFunctionHasNoErrorInterrupt(KernelProfile kernel) {
        Program program = machine(kernel);
        assertThat(new Session(program, success(program.device(CONVENTIONAL))).step("err:t:0:e")).isEqualTo("EINVAL");
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernelsSince61")
    void aMistakenEventfdForIntxLeavesTheOneBefore(KernelProfile kernel) {
        Program program = machine(kernel);
        Session session = new Session(program, success(program.device(DEVICE)));
        assertThat(Stream.of("intx:t:0:e", "intx:t:0:x", "intx:t:0:none1").map(session::step)).containsExactly("0",
                "EBADF", "0");
        assertThat(program.readEventfd(session.eventfd)).isEqualTo("1");
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void intxWithoutAnEventfdIsAHazardOnOldKernels(KernelProfile kernel) {
        Program program = machine(kernel);
        Session session = new Session(program, success(program.device(DEVICE)));
        assertThat(session.step("intx:t:0:-1")).isEqualTo("0");
        if (kernel == KernelProfile.LINUX_5_7) {
            assertThatThrownBy(() -> session.step("intx:t:0:none1")).isInstanceOf(KernelHazardException.class);
        } else {
            assertThat(session.step("intx:t:0:none1")).isEqualTo("0");
        }
    }

    private static Stream<Arguments> mttySequences() {
        return Tables.rows("""
                intx:t:0:e intx:t:0:none1 intx:t:0:none1 intx:u:0:none1 intx:t:0:true | 0 0 0 0 0 | 2
                intx:t:0:e intx:m:0:none1 intx:t:0:none1                    | 0 0 0         | 0
                intx:t:0:-1 intx:m:0:none1                                  | 0 EINVAL      | 0
                intx:t:0:e intx:t:0:x intx:t:0:none1                        | 0 EBADF EINVAL | 0
                intx:t:0:e intx:u:0:e intx:m:0:e                            | 0 ENOTTY ENOTTY | 0
                intx:t:0:e msi:t:0:e intx:t:0:none0 msi:t:0:e               | 0 EINVAL 0 0  | 0
                msi:t:0:e msi:t:0:none1 msi:t:0:true                        | 0 0 0         | 2
                msi:t:0:n msi:t:0:none1 msi:m:0:none1                       | EINVAL EINVAL ENOTTY | 0
                msi:t:0:e,e msi:t:1:e                                       | EINVAL EINVAL | 0
                msix:t:0:e err:t:0:e req:t:0:e                              | ENOTTY ENOTTY ENOTTY | 0
                intx:-:0:none1 msi:-:0:none1 msix:-:0:none1                 | 0 0 ENOTTY    | 0
                intx:t:4:none1 intx:t:5:none1                               | EINVAL EINVAL | 0
                """).flatMap(row -> Stream.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2)
                .map(kernel -> Arguments.of(kernel, row.get(0), row.get(1), row.get(2))));
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("mttySequences")
    void mttyAnswersByItsOwnRules(KernelProfile kernel, String steps, String answers, String signals) {
        Program program = machine(kernel);
        Session session = new Session(program, mdev(program, MTTY));
        assertThat(session.step("intx:t:0:e")).isEqualTo("EINVAL");
        program.ioctlOn(session.device, VFIO_DEVICE_GET_INFO(), words(16, 0, 0, 0));
        List<String> given = Arrays.stream(steps.split(" ", -1)).map(session::step).toList();
        assertThat(given).containsExactly(answers.split(" ", -1));
        assertThat(program.readEventfd(session.eventfd)).isEqualTo(signals.equals("0") ? "EAGAIN" : signals);
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void mdpyRefusesAll(KernelProfile kernel) {
        Program program = machine(kernel);
        int mdpy = mdev(program, MDPY);
        program.ioctlOn(mdpy, VFIO_DEVICE_GET_INFO(), words(16, 0, 0, 0));
        assertThat(answer(program.ioctl(mdpy, VFIO_DEVICE_SET_IRQS()))).isEqualTo("EINVAL");
        assertThat(answer(program.ioctlOn(mdpy, VFIO_DEVICE_SET_IRQS(), words(24, ENABLING_INTX, 0, 0, 1, -1))))
                .isEqualTo("EINVAL");
    }

    /** A device and its eventfd, through which the steps of a table are run. */
    private static final class Session {

        private static final List<String> INDICES = List.of("intx", "msi", "msix", "err", "req");

        private final Program program;
        private final int other;
        private int eventfd;
        private int device;

        Session(Program program, int device) {
            this.program = program;
            this.device = device;
            eventfd = program.eventfd();
            other = program.open("/dev/null");
        }

        String step(String step) {
            return switch (step) {
                case "reset" -> answer(program.ioctl(device, VFIO_DEVICE_RESET()));
                case "close" -> {
                    program.close(device);
                    device = success(program.device(DEVICE));
                    yield "0";
                }
                case "assert", "clear" -> {
                    program.kernel().device(PciAddress.parse(DEVICE)).intx(step.equals("assert"));
                    yield "0";
                }
                case "read" -> program.readEventfd(eventfd);
                case "write" -> program.writeEventfd(eventfd, 3);
                case "shut" -> {
                    program.close(eventfd);
                    eventfd = program.eventfd();
                    yield "0";
                }
                default -> set(step);
            };
        }

        private String set(String step) {
            String[] parts = step.split(":", -1);
            int index = INDICES.indexOf(parts[0]);
            int action = switch (parts[1]) {
                case "m" -> 8;
                case "u" -> 16;
                case "t" -> 32;
                default -> 0;
            };
            int start = Integer.parseInt(parts[2]);
            String data = parts[3];
            if (data.startsWith("none")) {
                return set(1 | action, index, start, Integer.parseInt(data.substring(4)));
            }
            return switch (data) {
                case "true" -> set(2 | action, index, start, 1, 1);
                case "false" -> set(2 | action, index, start, 1, 0);
                case "bools" -> set(2 | action, index, start, 0);
                case "fds" -> set(4 | action, index, start, 0);
                default -> {
                    int[] fds = Arrays.stream(data.split(",", -1)).mapToInt(this::fd).toArray();
                    yield set(4 | action, index, start, fds.length, fds);
                }
            };
        }

        private int fd(String name) {
            return switch (name) {
                case "e" -> eventfd;
                case "n" -> other;
                case "x" -> 1000;
                default -> Integer.parseInt(name);
            };
        }

        private String set(int flags, int index, int start, int count, int... data) {
            int[] argument = Arrays.copyOf(new int[]{20 + 4 * data.length, flags, index, start, count},
                    5 + data.length);
            System.arraycopy(data, 0, argument, 5, data.length);
            return answer(program.ioctlOn(device, VFIO_DEVICE_SET_IRQS(), words(argument)));
        }
    }
}
