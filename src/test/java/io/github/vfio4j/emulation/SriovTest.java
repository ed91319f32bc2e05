package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.ENABLE_SRIOV;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.VF2;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** How virtual functions come and go, as sysfs has it (semantics §D.2). */
class SriovTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final String DEVICES = "/sys/bus/pci/devices/";
    private static final int TOTAL = 4;

    private static Stream<Arguments> writes() {
        // virtual functions before | enable_sriov | text written | answer | virtual functions afterwards
        return Tables.onEveryKernel("""
                0 | Y | 1       | 1      | 1
                0 | Y | 4       | 1      | 4
                0 | Y | 0       | 1      | 0
                0 | Y | 5       | ERANGE | 0
                0 | Y | 65535   | ERANGE | 0
                2 | Y | 2       | 1      | 2
                2 | Y | 1       | EBUSY  | 2
                2 | Y | 3       | EBUSY  | 2
                2 | Y | 4       | EBUSY  | 2
                2 | Y | 5       | ERANGE | 2
                2 | Y | 0       | 1      | 0
                0 | N | 1       | ENOENT | 0
                0 | N | 0       | 1      | 0
                0 | N | 5       | ERANGE | 0
                2 | N | 0       | ENOENT | 2
                2 | N | 2       | 1      | 2
                2 | N | 5       | ERANGE | 2
                0 | Y | '2\\n'  | 2      | 2
                0 | Y | 0x3     | 3      | 3
                0 | Y | 03      | 2      | 3
                0 | Y | +2      | 2      | 2
                0 | Y | '2\\n\\n' | EINVAL | 0
                0 | Y | ' 2'    | EINVAL | 0
                0 | Y | '2 '    | EINVAL | 0
                0 | Y | -1      | EINVAL | 0
                0 | Y | ''      | 0      | 0
                0 | Y | '\\n'   | EINVAL | 0
                0 | Y | x       | EINVAL | 0
                0 | Y | 1x      | EINVAL | 0
                0 | Y | '1 1'   | EINVAL | 0
                0 | Y | 0x      | EINVAL | 0
                0 | Y | 08      | EINVAL | 0
                0 | Y | 1.0     | EINVAL | 0
                0 | N | x       | EINVAL | 0
                """);
    }

    @ParameterizedTest(name = "{0}: {1} virtual functions, enable_sriov {2}, ''{3}'': {4}")
    @MethodSource("writes")
    void theNumberIsWritten(KernelProfile kernel, int before, String parameter, String text, String answer, int after) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PF, function -> function.sriov(TOTAL)));
        success((int) program.write(ENABLE_SRIOV, "Y"));
        success((int) program.setNumVfs(PF, Integer.toString(before)));
        success((int) program.write(ENABLE_SRIOV, parameter));
        assertThat(answer(program.setNumVfs(PF, text))).isEqualTo(answer);
        assertThat(program.read(DEVICES + PF + "/sriov_numvfs")).isEqualTo(after + "\n");
        assertThat(program.read(DEVICES + PF + "/sriov_totalvfs")).isEqualTo(TOTAL + "\n");
        assertThat(program.kernel().pciFunctions()).hasSize(1 + after);
        for (int i = 0; i < TOTAL; i++) {
            String virtualFunction = "0000:01:00." + (i + 1);
            assertThat(program.link(DEVICES + PF + "/virtfn" + i))
                    .isEqualTo(i < after ? "../" + virtualFunction : "ENOENT");
            assertThat(program.link(DEVICES + virtualFunction + "/physfn"))
                    .isEqualTo(i < after ? "../" + PF : "ENOENT");
        }
    }

    private static Stream<Arguments> largeNumbers() {
        // A number beyond 16 bits is out of range; since Linux 5.16 sysfs says that it is no number at all.
        return Tables.byKernel("""
                65536               | ERANGE | EINVAL | EINVAL | EINVAL
                4294967297          | ERANGE | EINVAL | EINVAL | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("largeNumbers")
    void theNumberHas16Bits(KernelProfile kernel, String text, String answer) {
        Program program = Program.on(kernel);
        program.createVirtualFunctions(1);
        assertThat(answer(program.setNumVfs(PF, text))).isEqualTo(answer);
        assertThat(program.kernel().pciFunctions()).hasSize(3);
    }

    private static Stream<Arguments> parameters() {
        // text written | answer | whether SR-IOV is enabled then; it was not before
        return Tables.onEveryKernel("""
                1      | 1      | yes
                Y      | 1      | yes
                y      | 1      | yes
                1x     | 2      | yes
                on     | 2      | yes
                oN     | 2      | yes
                On     | 2      | yes
                '1\\n' | 2      | yes
                '0'    | 1      | no
                N      | 1      | no
                n      | 1      | no
                off    | 3      | no
                of     | 2      | no
                ''     | 0      | no
                ' 1'   | EINVAL | no
                x      | EINVAL | no
                2      | EINVAL | no
                o      | EINVAL | no
                '\\n'  | EINVAL | no
                """);
    }

    @ParameterizedTest(name = "{0}: ''{1}'': {2}, enabled: {3}")
    @MethodSource("parameters")
    void theParameterCountsAtTheMomentOfTheWrite(KernelProfile kernel, String text, String answer, String enabled) {
        Program program = Program.on(kernel);
        success((int) program.write(ENABLE_SRIOV, "N"));
        assertThat(program.read(ENABLE_SRIOV)).isEqualTo("N\n");
        assertThat(answer(program.setNumVfs(PF, "1"))).isEqualTo("ENOENT");
        assertThat(answer(program.write(ENABLE_SRIOV, text))).isEqualTo(answer);
        assertThat(program.read(ENABLE_SRIOV)).isEqualTo(enabled.equals("yes") ? "Y\n" : "N\n");
        assertThat(answer(program.setNumVfs(PF, "1"))).isEqualTo(enabled.equals("yes") ? "1" : "ENOENT");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theParameterIsOfVfioPciAlone(KernelProfile kernel) {
        Program program = Program
                .on(EmulatedKernel.builder(kernel).pciFunction(PF, function -> function.sriov(2).driver("nvme"))
                        .pciFunction("0000:03:00.0", function -> function.sriov(2).unbound()));
        success((int) program.write(ENABLE_SRIOV, "N"));
        assertThat(answer(program.setNumVfs(PF, "2"))).isEqualTo("1");
        // Without a driver nothing can be changed.
        assertThat(answer(program.setNumVfs("0000:03:00.0", "1"))).isEqualTo("ENOENT");
        assertThat(answer(program.setNumVfs("0000:03:00.0", "3"))).isEqualTo("ERANGE");
        assertThat(answer(program.setNumVfs("0000:03:00.0", "0"))).isEqualTo("1");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void virtualFunctionsOfVfioPciBelongToVfioPci(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        assertThat(program.kernel().pciFunctions().stream().map(PciAddress::toString)).containsExactly(PF, VF, VF2,
                PLAIN);
        for (String function : List.of(PF, VF, VF2, PLAIN)) {
            assertThat(program.link(DEVICES + function + "/driver")).endsWith("/bus/pci/drivers/vfio-pci");
        }
        assertThat(program.groupPath(VF)).isNotIn(program.groupPath(PF), program.groupPath(VF2),
                program.groupPath(PLAIN));
        assertThat(opened(program.device(VF + " vf_token=" + TOKEN))).isEqualTo("fd");
        assertThat(opened(program.device(VF2))).isEqualTo("EACCES");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void virtualFunctionsOfAHostDriverHaveNone(KernelProfile kernel) {
        Program program = Program
                .on(EmulatedKernel.builder(kernel).pciFunction(PF, function -> function.sriov(2).driver("nvme")));
        assertThat(answer(program.setNumVfs(PF, "1"))).isEqualTo("1");
        assertThat(program.link(DEVICES + PF + "/driver")).endsWith("/nvme");
        assertThat(program.link(DEVICES + VF + "/driver")).isEqualTo("ENOENT");
        assertThat(opened(program.open(program.groupPath(VF)))).isEqualTo("ENOENT");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void removedFunctionsLeaveNothing(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        String group = program.groupPath(VF);
        assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
        assertThat(program.kernel().pciFunctions().stream().map(PciAddress::toString)).containsExactly(PF, PLAIN);
        assertThat(opened(program.open(group))).isEqualTo("ENOENT");
        for (String name : List.of("", "/iommu_group", "/physfn", "/driver")) {
            assertThat(program.link(DEVICES + VF + name)).as(name).isEqualTo("ENOENT");
        }
        assertThat(answer(program.setNumVfs(PF, "1"))).isEqualTo("1");
        assertThat(opened(program.device(VF + " vf_token=" + TOKEN))).isEqualTo("fd");
        assertThat(program.link(DEVICES + VF2)).isEqualTo("ENOENT");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void onlyPhysicalFunctionsHaveTheFiles(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        for (String function : List.of(VF, PLAIN, "0000:07:00.0")) {
            for (String name : List.of("/sriov_numvfs", "/sriov_totalvfs")) {
                assertThat(program.read(DEVICES + function + name)).as(function + name).isEqualTo("ENOENT");
            }
            assertThat(answer(program.setNumVfs(function, "0"))).isEqualTo("ENOENT");
        }
        assertThat(program.link(DEVICES + PF + "/physfn")).isEqualTo("ENOENT");
        assertThat(program.link(DEVICES + PLAIN + "/physfn")).isEqualTo("ENOENT");
        assertThat(program.link(DEVICES + PLAIN + "/virtfn0")).isEqualTo("ENOENT");
        assertThat(program.link(DEVICES + VF + "/virtfn0")).isEqualTo("ENOENT");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void linksEndInTheNameOfWhatTheyPointTo(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PF, function -> function.group(42))
                .pciFunction("0000:02:00.0", function -> function.group(43).unbound()));
        assertThat(program.link(DEVICES + PF)).startsWith("../../../devices/pci").endsWith("/" + PF);
        assertThat(program.link(DEVICES + PF + "/iommu_group")).endsWith("/kernel/iommu_groups/42");
        assertThat(program.link(DEVICES + "0000:02:00.0/iommu_group")).endsWith("/kernel/iommu_groups/43");
        assertThat(program.link(DEVICES + PF + "/driver")).endsWith("/bus/pci/drivers/vfio-pci");
        assertThat(program.link(DEVICES + "0000:02:00.0/driver")).isEqualTo("ENOENT");
        assertThat(program.link(DEVICES + PF + "/nothing")).isEqualTo("ENOENT");
        assertThat(program.link(DEVICES + "0000:09:00.0")).isEqualTo("ENOENT");
        assertThat(program.link("/dev/vfio/vfio")).isEqualTo("EINVAL");
        assertThat(program.link(ENABLE_SRIOV)).isEqualTo("EINVAL");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theHighestFunctionsAreOnTheNextDevices(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction("0000:01:1f.0",
                function -> function.sriov(256).driver("nvme")));
        assertThat(answer(program.setNumVfs("0000:01:1f.0", "9"))).isEqualTo("1");
        assertThat(program.link(DEVICES + "0000:01:1f.0/virtfn6")).isEqualTo("../0000:01:1f.7");
        assertThat(program.link(DEVICES + "0000:01:1f.0/virtfn7")).isEqualTo("../0000:02:00.0");
        assertThat(program.link(DEVICES + "0000:02:00.1/physfn")).isEqualTo("../0000:01:1f.0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void sysfsIsWrittenByRoot(KernelProfile kernel) {
        EmulatedKernel machine = Program.machine(kernel).build();
        Program program = new Program(machine, machine.newUnprivilegedProcess());
        assertThat(answer(program.setNumVfs(PF, "1"))).isEqualTo("EACCES");
        assertThat(answer(program.write(ENABLE_SRIOV, "1"))).isEqualTo("EACCES");
        assertThat(program.read(DEVICES + PF + "/sriov_numvfs")).isEqualTo("0\n");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theTotalIsReadOnly(KernelProfile kernel) {
        Program program = Program.on(kernel);
        assertThat(answer(program.write(DEVICES + PF + "/sriov_totalvfs", "1"))).isEqualTo("EACCES");
        assertThat(program.read(DEVICES + PF + "/sriov_totalvfs")).isEqualTo("2\n");
    }
}
