package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Vfio;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** DMA mappings on each emulated kernel, however it may be built. */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
class EmulatedDmaTest extends DmaContract {

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

    @Override
    Vfio uncompared() {
        return Vfio.using(machine.backend());
    }

    @BeforeEach
    @Override
    void begin() {
        machine = new EmulatedMachine(profile);
        super.begin();
    }

    @AfterEach
    void nothingIsLeftOpen() {
        assertThat(machine.openDescriptors()).as("descriptors left open").isEqualTo(STANDARD_DESCRIPTORS);
    }
}
