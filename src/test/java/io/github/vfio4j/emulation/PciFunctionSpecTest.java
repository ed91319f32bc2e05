package io.github.vfio4j.emulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
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
                refused(function -> function.virtualFunction(0, -3, "vfio-pci"), "numbers from 0 on, not -3"),
                refused(function -> function.id(-1, 0), "not 0xffffffff and 0x0"),
                refused(function -> function.id(0xffff, 0), "A vendor is 0 to 0xfffe"),
                refused(function -> function.id(0, -1), "not 0x0 and 0xffffffff"),
                refused(function -> function.id(0, 0x10000), "not 0x0 and 0x10000"),
                refused(function -> function.classCode(-1, 0), "A class has 24 bits"),
                refused(function -> function.classCode(0x1000000, 0), "not 0x1000000 and 0x0"),
                refused(function -> function.classCode(0, -1), "a revision 8, not 0x0 and 0xffffffff"),
                refused(function -> function.classCode(0, 0x100), "not 0x0 and 0x100"),
                refused(function -> function.subsystem(-1, 0), "not 0xffffffff and 0x0"),
                refused(function -> function.subsystem(0x10000, 0), "not 0x10000 and 0x0"),
                refused(function -> function.subsystem(0, -1), "not 0x0 and 0xffffffff"),
                refused(function -> function.subsystem(0, 0x10000), "not 0x0 and 0x10000"),
                refused(function -> function.capability(0), "an id of 1 to 255, not 0"),
                refused(function -> function.capability(256), "not 256"),
                refused(function -> function.configSpace(new byte[63]), "64 to 4096 bytes, not 63"),
                refused(function -> function.configSpace(new byte[4097]), "not 4097"),
                refused(function -> function.msix(1, 0, 4).memoryBar(0, 4096), "it begins at a multiple of 8"),
                refused(function -> function.msix(1, 0, -8).memoryBar(0, 4096), "it begins at a multiple of 8"),
                refused(function -> function.msix(1, 0, 4088).memoryBar(0, 4096), "fits into"),
                refused(function -> function.capability(9, new byte[123]), "more capabilities than its"),
                refused(function -> function.msi(1).capability(9, new byte[95]), "more capabilities than its"),
                refused(function -> function.memoryBar(0, 16).msix(1, 0).capability(9, new byte[95]), "has room for"),
                refused(function -> function.variantDriver("vfio-pci", () -> new ScriptedModel(0)),
                        "give the variant driver a name of its own"));
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
                .pciFunction("0000:03:00.0",
                        function -> function.id(0, 0).id(0xfffe, 0xffff).classCode(0, 0).classCode(0xffffff, 0xff)
                                .subsystem(0, 0).subsystem(0xffff, 0xffff).capability(1).capability(255)
                                .configSpace(new byte[64]).configSpace(new byte[4096]).conventional().withoutReset()
                                .withoutIntx().withoutInterruptLine().driver("e1000").unbound().driver("vfio-pci")
                                .memoryBar(2, 4096).msix(1, 2, 0).msix(1, 2, 4080))
                .pciFunction("0000:04:00.0", function -> function.msi(1).capability(9, new byte[90]))
                .pciFunction("0000:05:00.0", function -> function.variantDriver("a-driver", () -> new ScriptedModel(0))
                        .capability(9, new byte[122]))
                .iommuAddressBits(57).build();
        assertThat(kernel.pciFunctions()).hasSize(6);
        assertThat(EmulatedKernel.builder(KernelProfile.LINUX_7_2).iommuAddressBits(33).build().pciFunctions())
                .isEmpty();
    }

    /** What was said of a function is what stands in its configuration space, and where its BARs are does not overlap. */
    @Test
    void aFunctionIsAsItWasDescribed() {
        Program program = Program.on(EmulatedKernel.builder(KernelProfile.LINUX_7_2).pciFunction(ADDRESS,
                function -> function.id(0x1234, 0x5678).classCode(0x010802, 0x42).subsystem(0x9abc, 0xdef0)
                        .capability(9, (byte) 4, (byte) 0x77).memoryBar(0, 4096).memoryBar(2, 65536).ioPortBar(3, 64))
                .pciFunction("0000:02:00.0", function -> function.configSpace(image()).withoutIntx()));
        int device = program.device(ADDRESS);
        assertThat(config(program, device, 0, 4)).isEqualTo(0x56781234);
        assertThat(config(program, device, 8, 4)).isEqualTo(0x01080242);
        assertThat(config(program, device, 0x2c, 4)).isEqualTo(0xdef09abc);
        int at = config(program, device, 0x34, 1);
        while (config(program, device, at, 1) != 9) {
            at = config(program, device, at + 1, 1);
        }
        assertThat(config(program, device, at, 4)).isEqualTo(0x77040009);
        int first = config(program, device, 0x10, 4);
        int second = config(program, device, 0x18, 4);
        int third = config(program, device, 0x1c, 4);
        assertThat(List.of(first & 4095, second & 65535, third & 63)).containsExactly(0, 0, 1);
        assertThat(Integer.toUnsignedLong(second)).isGreaterThanOrEqualTo(Integer.toUnsignedLong(first) + 4096);
        assertThat(third).isEqualTo((second + 65536) | 1);
        int copy = program.device("0000:02:00.0");
        assertThat(config(program, copy, 0, 4)).isEqualTo(0x03020100);
        assertThat(config(program, copy, 0x60, 4)).isEqualTo(0x63626160);
    }

    /** What was said of a function has a place in its capabilities (PCI, PCI Express and SR-IOV specifications). */
    @Test
    void aFunctionHasTheCapabilitiesOfWhatItCan() {
        Program program = Program.on(EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(ADDRESS,
                        function -> function.id(0x1234, 0x5678).memoryBar(2, 16384).msi(8).msix(5, 2, 0x1000).sriov(3)
                                .virtualFunctionsAt(4, 2))
                .pciFunction("0000:02:00.0", function -> function.withoutReset().withoutIntx())
                .pciFunction("0000:03:00.0", function -> function.conventional().msi(1)));
        int device = program.device(ADDRESS);
        assertThat(words(program, device, 0x34, 1)).containsExactly(0x40);
        assertThat(words(program, device, 0x40, 2)).as("power management").containsExactly(0x00034801, 8);
        assertThat(words(program, device, 0x48, 4)).as("MSI").containsExactly(0x00865805, 0, 0, 0);
        assertThat(words(program, device, 0x58, 3)).as("MSI-X").containsExactly(0x00046411, 0x1002, 0x1052);
        assertThat(words(program, device, 0x64, 5)).as("PCI Express").containsExactly(0x00020010, 0x10008000, 0x2810,
                0x11, 0x00110000);
        assertThat(words(program, device, 0x100, 9)).as("SR-IOV").containsExactly(0x00010010, 0, 0, 0x00030003, 0,
                0x00020004, 0x56780000, 1, 1);
        assertThat(config(program, device, 0x3d, 1)).as("INTA#").isEqualTo(1);
        int plain = program.device("0000:02:00.0");
        assertThat(words(program, plain, 0x40, 4)).containsExactly(0x00034801, 8, 0x00020010, 0x8000);
        assertThat(words(program, plain, 0x100, 1)).containsExactly(0);
        assertThat(config(program, plain, 0x3d, 1)).isZero();
        int conventional = program.device("0000:03:00.0");
        assertThat(words(program, conventional, 0x40, 4)).containsExactly(0x00034801, 8, 0x00800005, 0);
        assertThat(config(program, conventional, 6, 2)).isEqualTo(0x10);
    }

    private static List<Integer> words(Program program, int device, int from, int count) {
        return IntStream.range(0, count).mapToObj(word -> config(program, device, from + 4 * word, 4)).toList();
    }

    private static byte[] image() {
        byte[] image = new byte[256];
        for (int i = 0; i < image.length; i++) {
            image[i] = (byte) i;
        }
        // No capabilities.
        image[6] = 0;
        return image;
    }

    private static int config(Program program, int device, int offset, int size) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(Integer.BYTES);
            assertThat(program.process().pread(device, buffer.asSlice(0, size), (7L << 40) + offset)).isEqualTo(size);
            return buffer.get(ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
        }
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
