package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.answer;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.BusController;
import io.github.vfio4j.emulation.device.DeviceFailure;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A device on the CDX bus and feature 10 (semantics §A.5, §B.5, §B.7). */
class CdxTest {

    private static final String NAME = "cdx-00:00";
    private static final int GET = 1 << 16;
    private static final int SET = 1 << 17;
    private static final int PROBE = 1 << 18;
    private static final int BUS_MASTER = 10;

    /** Notes what it is told, and fails if it is to. */
    private static final class Controller implements BusController {

        private final List<Boolean> calls = new ArrayList<>();
        private @Nullable Errno failure;

        @Override
        public void setBusMaster(boolean enabled) throws DeviceFailure {
            calls.add(enabled);
            if (failure != null) {
                throw new DeviceFailure(failure);
            }
        }
    }

    private final Controller controller = new Controller();

    private Program program(KernelProfile kernel) {
        return Program.on(EmulatedKernel.builder(kernel).cdxDevice(NAME, () -> controller));
    }

    private static int open(Program program) {
        String link = program.link("/sys/bus/cdx/devices/" + NAME + "/iommu_group");
        int group = Program.success(program.open("/dev/vfio" + link.substring(link.lastIndexOf('/'))));
        int container = program.container();
        Program.success(program.setContainer(group, container));
        Program.success(program.setIommu(container, Program.TYPE1V2));
        program.close(container);
        assertThat(answer(program.deviceFd(group, NAME + " "))).as("its name is the whole text").isEqualTo("ENODEV");
        int device = Program.success(program.deviceFd(group, NAME));
        program.close(group);
        return device;
    }

    private static Stream<Arguments> requests() {
        // flags | argsz | data | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                10 SET       | 12 | 0        | ENOTTY | ENOTTY | 0      | 0
                10 SET       | 12 | 1        | ENOTTY | ENOTTY | 0      | 0
                10 SET       | 12 | 2        | ENOTTY | ENOTTY | EINVAL | EINVAL
                10 SET       | 12 | -1       | ENOTTY | ENOTTY | EINVAL | EINVAL
                10 SET       | 64 | 1        | ENOTTY | ENOTTY | 0      | 0
                10 SET       | 11 | 1        | ENOTTY | ENOTTY | EINVAL | EINVAL
                10 SET       | 12 | unmapped | ENOTTY | ENOTTY | EFAULT | EFAULT
                10 SET       | 7  | 1        | ENOTTY | EINVAL | EINVAL | EINVAL
                10 GET       | 12 | 1        | ENOTTY | ENOTTY | EINVAL | EINVAL
                10 GET SET   | 12 | 1        | ENOTTY | EINVAL | EINVAL | EINVAL
                10           | 12 | 1        | ENOTTY | ENOTTY | EINVAL | EINVAL
                10 PROBE     | 8  | unmapped | ENOTTY | ENOTTY | 0      | 0
                10 PROBE SET | 8  | unmapped | ENOTTY | ENOTTY | 0      | 0
                10 PROBE GET | 8  | unmapped | ENOTTY | ENOTTY | EINVAL | EINVAL
                0 PROBE      | 8  | unmapped | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                1 PROBE      | 8  | unmapped | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                3 PROBE      | 8  | unmapped | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                9 PROBE      | 8  | unmapped | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                11 PROBE     | 8  | unmapped | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                12 PROBE     | 8  | unmapped | ENOTTY | ENOTTY | ENOTTY | EINVAL
                13 PROBE     | 8  | unmapped | ENOTTY | ENOTTY | ENOTTY | ENOTTY""");
    }

    @ParameterizedTest(name = "{0}: {1}, argsz {2}, {3} is {4}")
    @MethodSource("requests")
    void requestsAreAnsweredAsInTheTable(KernelProfile kernel, String words, String argsz, String data, String answer) {
        Program program = program(kernel);
        int device = open(program);
        controller.calls.clear();
        String outcome = answer(program.feature(device, flags(words), Integer.parseInt(argsz),
                "unmapped".equals(data) ? new byte[0] : bytes(data)));
        assertThat(outcome).isEqualTo(answer);
        boolean carriedOut = answer.equals("0") && words.equals("10 SET");
        assertThat(controller.calls).isEqualTo(carriedOut ? List.of(data.equals("1")) : List.of());
    }

    private static int flags(String words) {
        return Arrays.stream(words.split(" ", -1)).mapToInt(word -> switch (word) {
            case "GET" -> GET;
            case "SET" -> SET;
            case "PROBE" -> PROBE;
            default -> Integer.parseInt(word);
        }).sum();
    }

    private static byte[] bytes(String number) {
        int value = Integer.parseInt(number);
        return new byte[]{(byte) value, (byte) (value >> 8), (byte) (value >> 16), (byte) (value >> 24)};
    }

    private static Stream<Arguments> kernelsWithFeature10() {
        return Stream.of(Arguments.of(KernelProfile.LINUX_6_12), Arguments.of(KernelProfile.LINUX_7_2));
    }

    @ParameterizedTest
    @MethodSource("kernelsWithFeature10")
    void theControllersFailureIsTheAnswer(KernelProfile kernel) {
        Program program = program(kernel);
        int device = open(program);
        assertThat(controller.calls).as("cleared at the opening").containsExactly(false);
        controller.failure = Errno.EOPNOTSUPP;
        assertThat(answer(program.feature(device, BUS_MASTER | SET, 12, bytes("1")))).isEqualTo("EOPNOTSUPP");
        assertThat(answer(program.feature(device, BUS_MASTER | PROBE, 8))).isEqualTo("0");
        assertThat(answer(program.feature(device, BUS_MASTER | SET, 12, bytes("2")))).isEqualTo("EINVAL");
    }

    @ParameterizedTest
    @MethodSource("kernelsWithFeature10")
    void aDeviceThatCouldNotBeClearedAtTheOpeningHasNoFeatureUntilTheNext(KernelProfile kernel) {
        Program program = program(kernel);
        controller.failure = Errno.EOPNOTSUPP;
        int device = open(program);
        controller.failure = null;
        assertThat(answer(program.feature(device, BUS_MASTER | PROBE, 8))).isEqualTo("ENOTTY");
        assertThat(answer(program.feature(device, BUS_MASTER | SET, 12, bytes("1")))).isEqualTo("ENOTTY");
        program.close(device);
        device = open(program);
        assertThat(answer(program.feature(device, BUS_MASTER | SET, 12, bytes("1")))).isEqualTo("0");
        assertThat(controller.calls).containsExactly(false, false, true);
    }

    @Test
    void deviceInformationIsNotModelled() {
        Program program = program(KernelProfile.LINUX_7_2);
        int device = open(program);
        for (int request = 0x3b6b; request <= 0x3b6f; request++) {
            int known = request;
            assertThatExceptionOfType(NotModelledException.class).isThrownBy(() -> program.ioctl(device, known));
        }
        assertThat(answer(program.ioctl(device, 0x3b70))).isEqualTo("ENOTTY");
    }

    @Test
    void namesAreUnique() {
        EmulatedKernel.Builder machine = EmulatedKernel.builder(KernelProfile.LINUX_7_2).cdxDevice(NAME,
                () -> controller);
        assertThatIllegalArgumentException().isThrownBy(() -> machine.cdxDevice(NAME, () -> controller))
                .withMessageContaining(NAME);
    }
}
