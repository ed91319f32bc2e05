package io.github.vfio4j.emulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Functions that cannot be are refused, in words that say what to change. */
class PciFunctionSpecTest {

    private static final String ADDRESS = "0000:01:00.0";

    private static Arguments refused(Consumer<PciFunctionSpec> spec, String because) {
        return Arguments.of(spec, because);
    }

    private static Stream<Arguments> impossible() {
        return Stream.of(
                refused(function -> function.virtualFunctions(1, "vfio-pci"), ADDRESS + " cannot have 1 virtual"),
                refused(function -> function.virtualFunctions(3, "vfio-pci").sriov(2), "3 virtual functions: it can"),
                refused(function -> function.sriov(2).virtualFunctions(-1, "vfio-pci"), "it can have 0 to 2"),
                refused(function -> function.msix(4, 0), "no memory BAR 0 that its MSI-X table of 4 entries"),
                refused(function -> function.ioPortBar(0, 4096).msix(4, 0), "no memory BAR 0"),
                refused(function -> function.memoryBar(0, 4096).msix(257, 0), "fits into"),
                refused(function -> function.msix(0, 0), "it has 1 to 2048"),
                refused(function -> function.msix(2049, 0), "it has 1 to 2048"),
                refused(function -> function.msix(1, 6), "the BAR is 0 to 5"),
                refused(function -> function.msi(3), "1, 2, 4, 8, 16 or 32 vectors, not 3"),
                refused(function -> function.msi(64), "not 64"), refused(function -> function.msi(0), "not 0"),
                refused(function -> function.rom(1024), "at least 2048, not 1024"),
                refused(function -> function.memoryBar(0, 4096).ioPortBar(0, 32), "two BARs 0"),
                refused(function -> function.memoryBar(6, 4096), "the index is 0 to 5"),
                refused(function -> function.memoryBar(0, 4095), "a power of two"),
                refused(function -> function.memoryBar(-1, 4096), "the index is 0 to 5"),
                refused(function -> function.memoryBar(0, 8), "at least 16"),
                refused(function -> function.ioPortBar(0, 2), "at least 4"),
                refused(function -> function.rom(6144), "at least 2048, not 6144"),
                refused(function -> function.msi(Integer.MIN_VALUE), "not -2147483648"),
                refused(function -> function.msix(1, -1), "the BAR is 0 to 5"),
                refused(function -> function.group(-1), "a number from 0 on, not -1"),
                refused(function -> function.sriov(0), "1 to 65535 virtual functions, not 0"),
                refused(function -> function.sriov(65536), "not 65536"),
                refused(function -> function.virtualFunctionsAt(0, 1), "at least 1 after the one before, not 0"),
                refused(function -> function.virtualFunctionsAt(1, -2), "not -2"),
                refused(function -> function.virtualFunction(-1, 1, "vfio-pci"), "numbers from 0 on, not -1"),
                refused(function -> function.virtualFunction(0, -3, "vfio-pci"), "numbers from 0 on, not -3"));
    }

    @ParameterizedTest(name = "{1}")
    @MethodSource("impossible")
    void aFunctionThatCannotBeIsRefused(Consumer<PciFunctionSpec> spec, String because) {
        assertThatThrownBy(() -> EmulatedKernel.builder(KernelProfile.LINUX_7_2).pciFunction(ADDRESS, spec).build())
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining(because);
    }

    @Test
    void virtualFunctionsMayBeAllThereAreFromTheStart() {
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(ADDRESS, function -> function.virtualFunctions(2, "vfio-pci").sriov(2)).build();
        assertThat(kernel.pciFunctions()).hasSize(3);
    }

    @Test
    void whatJustAboutCanBeIsAccepted() {
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(ADDRESS,
                        function -> function.group(0).sriov(1).virtualFunctionsAt(1, 1)
                                .virtualFunction(0, 0, "vfio-pci").virtualFunctions(1, "vfio-pci").memoryBar(0, 32768)
                                .msix(2048, 0).ioPortBar(5, 4).memoryBar(1, 16).rom(2048).msi(32))
                .pciFunction("0000:02:00.0", function -> function.sriov(65535).msi(1).msix(1, 0).memoryBar(0, 16))
                .iommuAddressBits(57).build();
        assertThat(kernel.pciFunctions()).hasSize(3);
        assertThat(EmulatedKernel.builder(KernelProfile.LINUX_7_2).iommuAddressBits(33).build().pciFunctions())
                .isEmpty();
    }

    private static Arguments refusedMachine(UnaryOperator<EmulatedKernel.Builder> machine, String because) {
        return Arguments.of(machine, because);
    }

    private static Stream<Arguments> impossibleMachines() {
        UUID name = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
        return Stream.of(refusedMachine(machine -> machine.mtty(name, 0), "1 port or 2, not 0"),
                refusedMachine(machine -> machine.mtty(name, 3), "not 3"),
                refusedMachine(machine -> machine.mtty(name, 1).mdpy(name), "two mediated devices " + name),
                refusedMachine(machine -> machine.iommuAddressBits(32), "33 to 57 bits, not 32"),
                refusedMachine(machine -> machine.iommuAddressBits(58), "not 58"),
                refusedMachine(machine -> machine.cdxDevice("cdx-00:00", () -> enabled -> {
                }), "use a profile without"));
    }

    @ParameterizedTest(name = "{1}")
    @MethodSource("impossibleMachines")
    void aMachineThatCannotBeIsRefused(UnaryOperator<EmulatedKernel.Builder> machine, String because) {
        EmulatedKernel.Builder builder = EmulatedKernel.builder(KernelProfile.LINUX_7_2.withIommufd());
        assertThatThrownBy(() -> machine.apply(builder)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(because);
    }
}
