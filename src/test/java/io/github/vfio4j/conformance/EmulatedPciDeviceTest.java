package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The kernel's scenarios on each emulated kernel, however it may be built. */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
@SuppressWarnings("NullAway.Init") // set before each test
class EmulatedPciDeviceTest extends PciDeviceContract {

    private static final int STANDARD_DESCRIPTORS = 3;

    @Parameter
    private KernelProfile profile;

    private EmulatedMachine machine;

    static List<KernelProfile> profiles() {
        return EmulatedIommuTest.profiles();
    }

    @Override
    Machine machine() {
        return machine;
    }

    /** One with MSI-X that can be reset, and one with MSI that can't. */
    @BeforeEach
    @Override
    void begin() {
        EmulatedKernel kernel = EmulatedKernel.builder(profile)
                .pciFunction("0000:01:00.0",
                        function -> function.sriov(2).memoryBar(0, 16384).memoryBar(2, 1 << 20).msix(20, 0, 0x2000))
                .pciFunction("0000:02:00.0",
                        function -> function.conventional().withoutReset().memoryBar(0, 1 << 20).msi(8))
                .build();
        machine = new EmulatedMachine(kernel, kernel.newProcess());
        super.begin();
    }

    @AfterEach
    void nothingIsLeftOpen() {
        assertThat(machine.openDescriptors()).as("descriptors left open").isEqualTo(STANDARD_DESCRIPTORS);
    }
}
