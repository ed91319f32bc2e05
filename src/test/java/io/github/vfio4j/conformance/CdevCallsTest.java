package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The program that the kernel lane compares kernels by runs on the emulated ones alone. */
class CdevCallsTest {

    private static Stream<KernelProfile> kernels() {
        return KernelProfile.all().stream().flatMap(kernel -> Stream.of(kernel, kernel.withCdev()));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void runsOnEveryKernelAndClosesWhatItOpens(KernelProfile kernel) {
        EmulatedMachine machine = new EmulatedMachine(kernel);
        CdevCalls.run(machine, Runnable::run, List.of());
        assertThat(machine.openDescriptors()).isEqualTo(3);
    }
}
