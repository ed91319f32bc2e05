package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.examples.edu.EduModel;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** The driver on a model of the educational device, on each emulated kernel, however it may be built. */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
@SuppressWarnings("NullAway.Init") // set before each test
class EmulatedEduTest extends EduContract {

    private static final PciAddress EDU = PciAddress.parse("0000:02:00.0");

    @Parameter
    private KernelProfile profile;

    private final EduModel model = new EduModel();
    private EmulatedProcess process;

    static List<KernelProfile> profiles() {
        return KernelProfile.all().stream().flatMap(kernel -> Stream.of(kernel, kernel.withCdev()).distinct()).toList();
    }

    @BeforeEach
    void boot() {
        process = EmulatedKernel.builder(profile)
                .pciFunction(EDU.toString(),
                        function -> function.conventional().id(0x1234, 0x11e8).classCode(0x00ff00, 0x10)
                                .memoryBar(0, 1 << 20).msi(1).variantDriver("edu-vfio-pci", () -> model))
                .build().newProcess();
    }

    @AfterEach
    void nothingIsLeft() {
        assertThat(process.openFiles()).isEmpty();
        assertThat(process.lockedMemory()).isZero();
        assertThat(model.faults).isEmpty();
    }

    @Override
    Vfio vfio() {
        return Vfio.using(process);
    }

    @Override
    PciAddress address() {
        return EDU;
    }

    @Override
    KernelProfile kernel() {
        return profile;
    }
}
