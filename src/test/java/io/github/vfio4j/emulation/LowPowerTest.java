package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Features 3, 4 and 5 (semantics §B.3). Linux 5.7 does not have them. */
class LowPowerTest {

    private static final String KERNELS_SINCE_6_1 = "io.github.vfio4j.emulation.Tables#kernelsSince61";

    private static final int SET = 1 << 17;
    private static final int PROBE = 1 << 18;
    private static final int ENTRY = 3;
    private static final int ENTRY_WITH_WAKEUP = 4;
    private static final int EXIT = 5;

    /** Long enough for every kernel to suspend an idle device. */
    private static final Duration PAUSE = Duration.ofMillis(100);

    private static Stream<Arguments> sequences() {
        // calls and pauses | answers | signals of the eventfd in all
        return Tables.rows("""
                entry entry                               | 0 EINVAL           | 0
                entry pause entry                         | 0 EINVAL           | 0
                entry wakeup                              | 0 EINVAL           | 0
                entry pause wakeup                        | 0 EINVAL           | 0
                entry wakeup pause probe                  | 0 EINVAL 0         | 0
                entry wakeup pause exit wakeup            | 0 EINVAL 0 0       | 0
                wakeup entry                              | 0 EINVAL           | 0
                wakeup wakeup                             | 0 EINVAL           | 0
                wakeup wakeup pause probe                 | 0 EINVAL 0         | 1
                wakeup pause entry                        | 0 0                | 1
                wakeup pause entry pause entry            | 0 0 EINVAL         | 1
                wakeup pause wakeup                       | 0 0                | 1
                wakeup pause wakeup wakeup                | 0 0 EINVAL         | 1
                wakeup pause wakeup pause wakeup          | 0 0 0              | 2
                exit                                      | 0                  | 0
                exit exit                                 | 0 0                | 0
                entry exit                                | 0 0                | 0
                entry pause exit                          | 0 0                | 0
                entry exit entry                          | 0 0 0              | 0
                entry exit entry entry                    | 0 0 0 EINVAL       | 0
                entry pause exit pause entry              | 0 0 0              | 0
                entry pause probe pause probe entry       | 0 0 0 EINVAL       | 0
                entry pause probe exit entry              | 0 0 0 0            | 0
                wakeup exit                               | 0 0                | 0
                wakeup exit pause probe                   | 0 0 0              | 0
                wakeup exit wakeup pause exit             | 0 0 0 0            | 1
                wakeup exit entry pause probe             | 0 0 0 0            | 0
                wakeup pause exit                         | 0 0                | 1
                wakeup pause exit pause exit              | 0 0 0              | 1
                wakeup probe                              | 0 0                | 0
                wakeup probe entry                        | 0 0 EINVAL         | 0
                wakeup probe pause probe                  | 0 0 0              | 1
                wakeup pause probe                        | 0 0                | 1
                wakeup pause probe pause probe            | 0 0 0              | 1
                wakeup pause probe entry                  | 0 0 0              | 1
                wakeup pause probe exit                   | 0 0 0              | 1
                wakeup pause token                        | 0 0                | 1
                wakeup pause malformed entry              | 0 EINVAL 0         | 1
                wakeup pause unmapped entry               | 0 EFAULT 0         | 1
                wakeup pause unknown-feature entry        | 0 ENOTTY 0         | 1
                wakeup pause unknown-request entry        | 0 ENOTTY 0         | 1
                wakeup pause short-wakeup entry           | 0 EINVAL 0         | 1
                wakeup pause wakeup-closed entry          | 0 EBADF 0          | 1
                wakeup pause wakeup-none entry            | 0 EINVAL 0         | 1
                entry reset entry                         | 0 0 EINVAL         | 0
                wakeup reset entry                        | 0 0 EINVAL         | 0
                wakeup pause reset entry                  | 0 0 0              | 1
                wakeup reset pause probe                  | 0 0 0              | 1
                wakeup-closed entry                       | EBADF 0            | 0
                wakeup-none entry                         | EINVAL 0           | 0
                entry wakeup-closed                       | 0 EBADF            | 0
                entry wakeup-none                         | 0 EINVAL           | 0
                entry wakeup-unmapped                     | 0 EFAULT           | 0
                entry wakeup-closed exit entry            | 0 EBADF 0 0        | 0
                pause entry                               | 0                  | 0
                pause wakeup entry                        | 0 EINVAL           | 0
                """).flatMap(row -> Tables.kernelsSince61().map(kernel -> {
            String device = row.get(0).contains("token") ? PF : PLAIN;
            return Arguments.of(kernel, device, row.get(0), row.get(1), row.get(2));
        }));
    }

    @ParameterizedTest(name = "{0}, {1}: {2}: {3}, {4} signals")
    @MethodSource("sequences")
    void aSequenceOfCallsIsAnswered(KernelProfile kernel, String device, String steps, String answers, String signals) {
        Program program = Program.on(kernel);
        int eventfd = program.eventfd();
        int fd = success(program.device(device));
        List<String> given = Arrays.stream(steps.split(" ", -1)).filter(step -> {
            if (step.equals("pause")) {
                program.kernel().advance(PAUSE);
            }
            return !step.equals("pause");
        }).map(step -> answer(call(program, fd, step, eventfd))).toList();
        assertThat(given).containsExactly(answers.split(" ", -1));
        assertThat(program.readEventfd(eventfd)).isEqualTo(signals.equals("0") ? "EAGAIN" : signals);
    }

    private static int call(Program program, int device, String step, int eventfd) {
        return switch (step) {
            case "entry" -> program.feature(device, ENTRY | SET, 8);
            case "wakeup" -> wakeup(program, device, eventfd);
            case "exit" -> program.feature(device, EXIT | SET, 8);
            case "probe" -> program.feature(device, EXIT | PROBE, 8);
            case "token" -> program.setToken(device, TOKEN);
            case "reset" -> program.ioctl(device, VFIO_DEVICE_RESET());
            case "malformed" -> program.feature(device, EXIT | PROBE, 7);
            case "unmapped" -> program.ioctl(device, 0x3b75);
            case "unknown-feature" -> program.feature(device, 13 | PROBE, 8);
            case "unknown-request" -> program.ioctl(device, 0x3b7f);
            case "short-wakeup" -> program.feature(device, ENTRY_WITH_WAKEUP | SET, 15, words(eventfd, 0));
            case "wakeup-none" -> wakeup(program, device, -1);
            case "wakeup-closed" -> wakeup(program, device, 1000);
            case "wakeup-unmapped" -> program.feature(device, ENTRY_WITH_WAKEUP | SET, 16);
            default -> throw new AssertionError(step);
        };
    }

    private static int wakeup(Program program, int device, int eventfd) {
        return program.feature(device, ENTRY_WITH_WAKEUP | SET, 16, words(eventfd, 0));
    }

    private static byte[] words(int first, int second) {
        return ByteBuffer.allocate(8).order(ByteOrder.nativeOrder()).putInt(first).putInt(second).array();
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void suspendingTakes100MicrosecondsAtMost(KernelProfile kernel) {
        for (Duration pause : List.of(Duration.ofNanos(100_000), Duration.ofMillis(1), Duration.ofHours(1))) {
            Program program = Program.on(kernel);
            int eventfd = program.eventfd();
            int device = success(program.device(PLAIN));
            success(wakeup(program, device, eventfd));
            program.kernel().advance(pause);
            assertThat(answer(wakeup(program, device, eventfd))).as("%s", pause).isEqualTo("0");
            assertThat(program.readEventfd(eventfd)).as("%s", pause).isEqualTo("1");
        }
    }

    private static Stream<Arguments> wakeupDescriptors() {
        return Stream
                .of("-1 | EINVAL", "-2147483648 | EINVAL", "closed | EBADF", "9999 | EBADF", "2147483647 | EBADF",
                        "0 | EINVAL", "2 | EINVAL", "container | EINVAL", "group | EINVAL", "device | EINVAL",
                        "file | EINVAL", "eventfd | 0", "blocking | 0", "semaphore | 0")
                .flatMap(row -> Tables.kernelsSince61().map(kernel -> Arguments.of(kernel,
                        row.substring(0, row.indexOf('|')).strip(), row.substring(row.indexOf('|') + 1).strip())));
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("wakeupDescriptors")
    void theWakeupIsAnEventfd(KernelProfile kernel, String descriptor, String answer) {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        int fd = switch (descriptor) {
            case "closed" -> {
                int closed = program.eventfd();
                program.close(closed);
                yield closed;
            }
            case "container" -> program.container();
            case "group" -> program.group(PF);
            case "device" -> device;
            case "file" -> program.open(Program.ENABLE_SRIOV);
            case "eventfd" -> program.eventfd();
            case "blocking" -> success(program.process().eventfd(5, 0));
            case "semaphore" -> success(program.process().eventfd(0, 1));
            default -> Integer.parseInt(descriptor);
        };
        int before = program.process().openDescriptors();
        assertThat(answer(wakeup(program, device, fd))).isEqualTo(answer);
        assertThat(answer(program.feature(device, ENTRY | SET, 8))).isEqualTo(answer.equals("0") ? "EINVAL" : "0");
        assertThat(program.process().openDescriptors()).isEqualTo(before);
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void theSecondWordIsNotLookedAt(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        int result = program.feature(device, ENTRY_WITH_WAKEUP | SET, 16, words(program.eventfd(), 0xdeadbeef));
        assertThat(answer(result)).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void aSignalAddsOneToWhatIsThere(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        int eventfd = success(program.process().eventfd(41, 04000));
        success(wakeup(program, device, eventfd));
        program.kernel().advance(PAUSE);
        success(program.feature(device, EXIT | PROBE, 8));
        assertThat(program.readEventfd(eventfd)).isEqualTo("42");
    }

    /** The program can't count further than 2⁶⁴ − 2; the kernel can once, to say that it has overflowed (eventfd(2)). */
    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void aSignalCanOverflowTheCounter(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        int eventfd = program.eventfd();
        assertThat(program.writeEventfd(eventfd, -2)).isEqualTo("8");
        for (int i = 0; i < 2; i++) {
            success(wakeup(program, device, eventfd));
            program.kernel().advance(PAUSE);
            success(program.feature(device, EXIT | PROBE, 8));
        }
        assertThat(program.writeEventfd(eventfd, 0)).isEqualTo("EAGAIN");
        assertThat(program.writeEventfd(eventfd, 1)).isEqualTo("EAGAIN");
        assertThat(program.readEventfd(eventfd)).isEqualTo("18446744073709551615");
        assertThat(program.readEventfd(eventfd)).isEqualTo("EAGAIN");
        assertThat(program.writeEventfd(eventfd, 7)).isEqualTo("8");
        assertThat(program.readEventfd(eventfd)).isEqualTo("7");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void theEventfdsDescriptorIsNeededForTheCallOnly(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        int eventfd = program.eventfd();
        success(wakeup(program, device, eventfd));
        program.close(eventfd);
        int other = program.eventfd();
        assertThat(other).isEqualTo(eventfd);
        program.kernel().advance(PAUSE);
        assertThat(answer(program.feature(device, ENTRY | SET, 8))).isEqualTo("0");
        assertThat(program.readEventfd(other)).isEqualTo("EAGAIN");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void theLastCloseEndsLowPowerWithoutASignal(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int eventfd = program.eventfd();
        int group = program.readyGroup(PLAIN);
        int first = success(program.deviceFd(group, PLAIN));
        int second = success(program.deviceFd(group, PLAIN));
        success(wakeup(program, first, eventfd));
        program.close(first);
        assertThat(answer(program.feature(second, ENTRY | SET, 8))).isEqualTo("EINVAL");
        program.kernel().advance(PAUSE);
        program.close(second);
        assertThat(program.readEventfd(eventfd)).isEqualTo("EAGAIN");
        int third = success(program.deviceFd(group, PLAIN));
        program.kernel().advance(PAUSE);
        assertThat(answer(program.feature(third, ENTRY | SET, 8))).isEqualTo("0");
        assertThat(program.readEventfd(eventfd)).isEqualTo("EAGAIN");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void theStateIsTheDevicesAndNotTheDescriptors(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int eventfd = program.eventfd();
        int group = program.readyGroup(PLAIN);
        int first = success(program.deviceFd(group, PLAIN));
        int second = success(program.deviceFd(group, PLAIN));
        int other = success(program.device(PF));
        success(wakeup(program, first, eventfd));
        program.kernel().advance(PAUSE);
        assertThat(answer(program.feature(other, ENTRY | SET, 8))).isEqualTo("0");
        assertThat(program.readEventfd(eventfd)).isEqualTo("EAGAIN");
        assertThat(answer(program.feature(second, ENTRY | SET, 8))).isEqualTo("0");
        assertThat(program.readEventfd(eventfd)).isEqualTo("1");
        assertThat(answer(program.feature(first, ENTRY | SET, 8))).isEqualTo("EINVAL");
        assertThat(answer(program.feature(second, EXIT | SET, 8))).isEqualTo("0");
        assertThat(answer(program.feature(first, ENTRY | SET, 8))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void aVirtualFunctionSleepsToo(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int eventfd = program.eventfd();
        int device = success(program.device(VF + " vf_token=" + TOKEN));
        success(wakeup(program, device, eventfd));
        program.kernel().advance(PAUSE);
        assertThat(answer(wakeup(program, device, eventfd))).isEqualTo("0");
        assertThat(program.readEventfd(eventfd)).isEqualTo("1");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void virtualFunctionsKeepTheirPhysicalOneAwake(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int eventfd = program.eventfd();
        int device = success(program.device(PF));
        success(wakeup(program, device, eventfd));
        program.kernel().advance(PAUSE);
        assertThat(answer(wakeup(program, device, eventfd))).isEqualTo("EINVAL");
        assertThat(answer(program.feature(device, ENTRY | SET, 8))).isEqualTo("EINVAL");
        program.kernel().advance(PAUSE);
        assertThat(answer(program.feature(device, EXIT | SET, 8))).isEqualTo("0");
        assertThat(answer(program.feature(device, ENTRY | SET, 8))).isEqualTo("0");
        assertThat(program.readEventfd(eventfd)).isEqualTo("EAGAIN");
        // Without them it can sleep, also when it was told to before.
        success(program.feature(device, EXIT | SET, 8));
        success(wakeup(program, device, eventfd));
        assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
        program.kernel().advance(PAUSE);
        assertThat(answer(program.feature(device, ENTRY | SET, 8))).isEqualTo("0");
        assertThat(program.readEventfd(eventfd)).isEqualTo("1");
    }

    /** Enabling them takes a use of the physical function's power, which resumes it. */
    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void creatingVirtualFunctionsWakesTheirPhysicalOne(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int eventfd = program.eventfd();
        int device = success(program.device(PF));
        success(wakeup(program, device, eventfd));
        program.kernel().advance(PAUSE);
        program.createVirtualFunctions(1);
        assertThat(program.readEventfd(eventfd)).isEqualTo("1");
        assertThat(answer(program.feature(device, ENTRY | SET, 8))).isEqualTo("0");
    }

    private static Stream<Arguments> bindRequests() {
        // which request | signals of the eventfd: 5.7 does without the features
        return Tables.byKernel("""
                0x3b76 | - | 1 | 0 | 0
                0x3b77 | - | 1 | 1 | 1
                0x3b78 | - | 1 | 1 | 1
                """).filter(arguments -> !arguments.get()[0].equals(KernelProfile.LINUX_5_7));
    }

    /** Since Linux 6.12 VFIO_DEVICE_BIND_IOMMUFD is dealt with before the device is resumed (§A.1). */
    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("bindRequests")
    void requestsForACdevAreUnknownAndYetAnAccess(KernelProfile kernel, String request, String signals) {
        Program program = Program.on(kernel);
        int eventfd = program.eventfd();
        int device = success(program.device(PLAIN));
        success(wakeup(program, device, eventfd));
        program.kernel().advance(PAUSE);
        assertThat(answer(program.ioctl(device, Long.decode(request)))).isEqualTo("ENOTTY");
        assertThat(program.readEventfd(eventfd)).isEqualTo(signals.equals("0") ? "EAGAIN" : signals);
        assertThat(answer(program.feature(device, ENTRY | SET, 8))).isEqualTo("0");
        if (signals.equals("0")) {
            assertThat(program.readEventfd(eventfd)).isEqualTo("1");
        }
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void aClockOfTheProgramsOwnDecidesWhenTheDeviceSleeps(KernelProfile kernel) {
        AtomicLong nanos = new AtomicLong(-50_000);
        Program program = Program.on(Program.machine(kernel).clock(nanos::get));
        assertThatThrownBy(() -> program.kernel().advance(PAUSE)).isInstanceOf(IllegalStateException.class);
        int eventfd = program.eventfd();
        int device = success(program.device(PLAIN));
        success(wakeup(program, device, eventfd));
        nanos.addAndGet(PAUSE.toNanos());
        assertThat(answer(wakeup(program, device, eventfd))).isEqualTo("0");
        assertThat(program.readEventfd(eventfd)).isEqualTo("1");
    }

    /** Descriptor 0 is one like any other: an eventfd if standard input was closed before it was made. */
    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void anEventfdMayBeNumber0(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        assertThat(answer(wakeup(program, device, 0))).isEqualTo("EINVAL");
        program.close(0);
        assertThat(answer(wakeup(program, device, 0))).isEqualTo("EBADF");
        assertThat(program.eventfd()).isZero();
        assertThat(answer(wakeup(program, device, 0))).isEqualTo("0");
        program.kernel().advance(PAUSE);
        assertThat(answer(program.feature(device, ENTRY | SET, 8))).isEqualTo("0");
        assertThat(program.readEventfd(0)).isEqualTo("1");
    }
}
