package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The program that the kernel lane compares kernels by runs on the emulated ones alone. */
class HotResetCallsTest {

    private static List<KernelProfile> kernels() {
        return KernelProfile.all();
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void runsOnEveryKernelAndClosesWhatItOpens(KernelProfile kernel) {
        EmulatedMachine machine = new EmulatedMachine(kernel);
        HotResetCalls.run(machine, Runnable::run);
        assertThat(machine.openDescriptors()).isEqualTo(3);
    }
}
