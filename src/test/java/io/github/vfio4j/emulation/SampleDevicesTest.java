package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.UUID;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** What the kernel's sample devices do with requests that are none of the common ones (semantics §B.8, §E.4). */
class SampleDevicesTest {

    private static final UUID MDEV = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    private static final int GET_INFO = 0x3b6b;
    private static final int SET_IRQS = 0x3b6e;
    private static final int RESET = 0x3b6f;
    private static final int QUERY_GFX_PLANE = 0x3b72;
    private static final int GET_GFX_DMABUF = 0x3b73;

    private static int open(Program program) {
        int group = program.readyGroupAt(program.mdevGroupPath(MDEV));
        int device = success(program.deviceFd(group, MDEV.toString()));
        program.close(group);
        return device;
    }

    /** Since Linux 6.7 its interrupts follow the rules of vfio-pci. */
    @ParameterizedTest
    @CsvSource({"5.7, false", "6.1, false", "6.12, true", "7.2, true"})
    void theInterruptsOfMttyAreKnownSince67(String kernel, boolean modelled) {
        Program program = Program.on(EmulatedKernel.builder(KernelProfile.of(kernel)).mtty(MDEV, 1));
        int device = open(program);
        // Nothing is triggered, of INTx, the first one.
        byte[] trigger = new byte[20];
        trigger[0] = 20;
        trigger[4] = 0x21;
        trigger[16] = 1;
        assertThat(answer(program.ioctlOn(device, SET_IRQS, trigger))).as("before GET_INFO").isEqualTo("EINVAL");
        byte[] info = new byte[16];
        info[0] = 16;
        success(program.ioctlOn(device, GET_INFO, info));
        if (modelled) {
            assertThat(answer(program.ioctlOn(device, SET_IRQS, trigger))).isEqualTo("EINVAL");
        } else {
            assertThatExceptionOfType(NotModelledException.class)
                    .isThrownBy(() -> program.ioctlOn(device, SET_IRQS, trigger))
                    .withMessageContaining("before Linux 6.7");
        }
    }

    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernels")
    void onlyOneOfThemHasADisplay(KernelProfile kernel) {
        Program mtty = Program.on(EmulatedKernel.builder(kernel).mtty(MDEV, 1));
        int serial = open(mtty);
        assertThat(answer(mtty.ioctl(serial, QUERY_GFX_PLANE))).isEqualTo("ENOTTY");
        assertThat(answer(mtty.ioctl(serial, GET_GFX_DMABUF))).isEqualTo("ENOTTY");
        assertThat(answer(mtty.ioctl(serial, RESET))).isEqualTo("0");
        Program mdpy = Program.on(EmulatedKernel.builder(kernel).mdpy(MDEV));
        int display = open(mdpy);
        assertThatExceptionOfType(NotModelledException.class).isThrownBy(() -> mdpy.ioctl(display, QUERY_GFX_PLANE));
        assertThat(answer(mdpy.ioctl(display, GET_GFX_DMABUF))).isEqualTo("ENOTTY");
        assertThat(answer(mdpy.ioctl(display, RESET))).isEqualTo("0");
    }
}
