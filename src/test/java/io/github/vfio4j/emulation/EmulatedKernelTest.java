package io.github.vfio4j.emulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.PciAddress;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** The machine itself: its processes, its clock, what it is called. */
class EmulatedKernelTest {

    @Test
    void itKnowsItsProcessesUntilTheyEnd() {
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_6_1).build();
        EmulatedProcess first = kernel.newProcess();
        EmulatedProcess second = kernel.newUnprivilegedProcess();
        assertThat(kernel.processes()).containsExactly(first, second);
        assertThat(first.kernel()).isSameAs(kernel);
        first.open("/dev/null", 0);
        first.close();
        assertThat(kernel.processes()).containsExactly(second);
        assertThat(first.openDescriptors()).isZero();
        assertThat(kernel).hasToString("emulated Linux 6.1");
        assertThat(second).hasToString("emulated Linux 6.1");
    }

    @Test
    void itsClockStandsStillUntilItIsAdvanced() {
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2).build();
        long begin = kernel.nanoTime();
        assertThat(kernel.nanoTime()).isEqualTo(begin);
        kernel.advance(Duration.ofMillis(3));
        assertThat(kernel.nanoTime()).isEqualTo(begin + 3_000_000);
    }

    @Test
    void itCanHaveAnotherClock() {
        AtomicLong time = new AtomicLong(5);
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2).clock(time::get).build();
        time.set(9);
        assertThat(kernel.nanoTime()).isEqualTo(9);
        assertThatIllegalStateException().isThrownBy(() -> kernel.advance(Duration.ofNanos(1)))
                .withMessageContaining("advance that one");
    }

    @Test
    void onlyAFunctionOfAVfioDriverHasADevicesSide() {
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction("0000:01:00.0", function -> function.unbound())
                .pciFunction("0000:02:00.0", function -> function.memoryBar(0, 4096)).build();
        assertThat(kernel.device(PciAddress.parse("0000:02:00.0"))).isNotNull();
        for (String address : List.of("0000:01:00.0", "0000:03:00.0")) {
            assertThatIllegalArgumentException().isThrownBy(() -> kernel.device(PciAddress.parse(address)))
                    .withMessageContaining("no function at " + address + " with a VFIO driver");
        }
    }

    @Test
    void aKernelThatIsNotEmulatedIsRefused() {
        assertThat(KernelProfile.all().stream().map(KernelProfile::version)).containsExactly("5.7", "6.1", "6.12",
                "7.2");
        assertThatIllegalArgumentException().isThrownBy(() -> KernelProfile.of("6.6"))
                .withMessageContaining("Linux 6.6 is not emulated; there are [5.7, 6.1, 6.12, 7.2]");
    }

    /** Debian's kernels have none of it; what a kernel is too old for, it is not built with. */
    @Test
    void aKernelCanBeBuiltOtherwise() {
        for (KernelProfile kernel : KernelProfile.all()) {
            boolean canHaveIommufd = List.of("6.12", "7.2").contains(kernel.version());
            assertThat(kernel.hasIommufd()).isFalse();
            assertThat(kernel.hasCdev()).isFalse();
            assertThat(kernel.withIommufd().hasIommufd()).isEqualTo(canHaveIommufd);
            assertThat(kernel.withIommufd().hasCdev()).isFalse();
            assertThat(kernel.withCdev().hasIommufd()).isEqualTo(canHaveIommufd);
            assertThat(kernel.withCdev().hasCdev()).isEqualTo(canHaveIommufd);
            assertThat(kernel.withoutDmaBuf().pciFeatures()).doesNotContain(11);
            assertThat(kernel.withIommufdDriver().withCdev().version()).isEqualTo(kernel.version());
            assertThat(kernel.withIommufdDriver().bitmapSupport() != kernel.bitmapSupport()).isEqualTo(canHaveIommufd);
        }
    }
}
