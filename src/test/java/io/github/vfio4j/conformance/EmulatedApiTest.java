package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The public API on each emulated kernel. */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
class EmulatedApiTest extends VfioApiContract {

    private static final int STANDARD_DESCRIPTORS = 3;

    @Parameter
    private KernelProfile profile;

    private EmulatedMachine machine;

    static List<KernelProfile> profiles() {
        return KernelProfile.all();
    }

    @Override
    Machine machine() {
        return machine;
    }

    @BeforeEach
    @Override
    void openContainer() throws io.github.vfio4j.VfioException {
        machine = new EmulatedMachine(profile);
        super.openContainer();
    }

    @AfterEach
    @Override
    void closeAll() throws io.github.vfio4j.VfioException {
        super.closeAll();
        assertThat(machine.openDescriptors()).as("descriptors left open").isEqualTo(STANDARD_DESCRIPTORS);
    }
}
