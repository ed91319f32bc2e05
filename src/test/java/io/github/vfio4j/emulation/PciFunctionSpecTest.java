package io.github.vfio4j.emulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.function.Consumer;
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
                refused(function -> function.memoryBar(0, 4095), "a power of two"));
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
}
