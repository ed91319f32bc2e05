package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

/**
 * The calls for the kernel lane on the emulated kernel alone, which refuses those that a real one would not survive.
 */
class MediatedDeviceCallsTest {

    private static final int STANDARD_DESCRIPTORS = 3;

    @Test
    void theCallsAreHarmlessAndLeaveNothingOpen() throws VfioException {
        UUID mtty = new UUID(1, 1);
        UUID mttyWithTwoPorts = new UUID(1, 2);
        UUID mdpy = new UUID(1, 3);
        EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2.withIommufdDriver()).mtty(mtty, 1)
                .mtty(mttyWithTwoPorts, 2).mdpy(mdpy).build().newProcess();
        MediatedDeviceCalls calls = new MediatedDeviceCalls(mtty, mttyWithTwoPorts, mdpy);
        calls.run(process);
        calls.runWithoutDescriptors(process, List.of(process));
        assertThat(process.openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS);
    }
}
