package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class DemoCommandTest {

    private static final String OWNER = "0000:01:00.0";
    private static final String VIRTUAL = "0000:01:00.1";

    private static final Map<String, String> FEATURES = Map.of("5.7", "PCI_VF_TOKEN", "6.1",
            "PCI_VF_TOKEN, LOW_POWER_ENTRY, LOW_POWER_ENTRY_WITH_WAKEUP, LOW_POWER_EXIT", "6.12",
            "PCI_VF_TOKEN, LOW_POWER_ENTRY, LOW_POWER_ENTRY_WITH_WAKEUP, LOW_POWER_EXIT", "7.2",
            "PCI_VF_TOKEN, LOW_POWER_ENTRY, LOW_POWER_ENTRY_WITH_WAKEUP, LOW_POWER_EXIT, DMA_BUF");

    static Stream<String> kernels() {
        return KernelProfile.all().stream().map(KernelProfile::version);
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void theScenarioIsShownStepByStep(String kernel) {
        List<String> lines = CommandRun.withoutKernel("", "demo", "--kernel", kernel).assertDone().out().lines()
                .toList();
        String[] features = FEATURES.getOrDefault(kernel, "").split(", ", -1);
        assertThat(lines).hasSize(10);
        assertThat(lines.get(0)).isEqualTo("VF token demo on emulated Linux " + kernel + " (no hardware involved)");
        assertThat(lines.get(1)).containsSubsequence("1. open physical function 0000:01:00.0", "open, IOMMU group 4");
        assertThat(lines.get(2)).containsSubsequence("2. probe its 13 features", FEATURES.get(kernel));
        assertThat(lines.get(3)).containsSubsequence("3. set a random VF token", "set");
        assertThat(lines.get(4)).containsSubsequence("4. enable a virtual function", VIRTUAL, "IOMMU group");
        assertThat(lines.get(5)).containsSubsequence("5. open it without a token",
                "refused: EACCES (permission denied)");
        assertThat(lines.get(6)).containsSubsequence("6. open it with a wrong token",
                "refused: EACCES (permission denied)");
        assertThat(lines.get(7)).containsSubsequence("7. open it with the right token",
                "open, " + (features.length - 1) + " features");
        assertThat(lines.get(8)).containsSubsequence("8. remove the virtual function", "removed");
        assertThat(lines.get(9)).isEqualTo("Done: everything is closed again.");
    }

    @Test
    void withoutOptionsTheNewestKernelIsEmulated() {
        assertThat(CommandRun.withoutKernel("", "demo").assertDone().out())
                .startsWith("VF token demo on emulated Linux 7.2 (no hardware involved)\n")
                .isEqualTo(CommandRun.withoutKernel("", "demo", "--kernel", "7.2").out());
    }

    private static EmulatedProcess machine() {
        return EmulatedKernel.builder(KernelProfile.LINUX_6_12)
                .pciFunction(OWNER, function -> function.group(9).sriov(2))
                .pciFunction("0000:02:00.0", function -> function.group(10)).build().newProcess();
    }

    @Test
    void onTheRealKernelItLeavesNothingBehind() throws VfioException {
        EmulatedProcess process = machine();
        CommandRun run = CommandRun.on(() -> process, "", "demo", "--native", "--pf", OWNER).assertDone();
        assertThat(run.out()).doesNotContain("no hardware involved").contains("enable a virtual function",
                "remove the virtual function");
        assertThat(Vfio.using(process).pciDevice(PciAddress.parse(OWNER)).sriovNumVfs()).isZero();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aVirtualFunctionThatIsThereIsUsedAndLeftThere() throws VfioException {
        EmulatedProcess process = machine();
        Vfio.using(process).pciDevice(PciAddress.parse(OWNER)).setSriovNumVfs(2);
        CommandRun run = CommandRun.on(() -> process, "", "demo", "--native", "--pf", OWNER, "--vf", "01:00.2")
                .assertDone();
        assertThat(run.out()).contains("use an existing virtual function", "0000:01:00.2, IOMMU group")
                .doesNotContain("remove");
        assertThat(Vfio.using(process).pciDevice(PciAddress.parse(OWNER)).sriovNumVfs()).isEqualTo(2);
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aFunctionThatIsNoVirtualOneOfTheOwnerIsRefused() throws VfioException {
        EmulatedProcess process = machine();
        for (String other : List.of("0000:02:00.0", "0000:0f:00.0", OWNER)) {
            CommandRun.on(() -> process, "", "demo", "--native", "--pf", OWNER, "--vf", other).assertFailed(3,
                    "use " + other, "It is not a virtual function of 0000:01:00.0, as 0000:01:00.1 is",
                    "leave --vf out");
            assertThat(Vfio.using(process).pciDevice(PciAddress.parse(OWNER)).sriovNumVfs()).isZero();
            assertThat(process.openDescriptors()).isEqualTo(3);
        }
    }

    @Test
    void aFunctionWithoutSriovIsRefused() {
        EmulatedProcess process = machine();
        CommandRun.on(() -> process, "", "demo", "--native", "--pf", "0000:02:00.0").assertFailed(3,
                "set the VF token of 0000:02:00.0", "not an SR-IOV physical function");
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void withoutTheRightToItIsNoPermission() {
        EmulatedProcess process = machine().kernel().newUnprivilegedProcess();
        CommandRun.on(() -> process, "", "demo", "--native", "--pf", OWNER).assertFailed(4, "open /dev/vfio/9: EACCES");
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aDeviceThisMachineDoesNotHaveIsUnavailable() {
        CommandRun.of("demo", "--native", "--pf", "ffffffff:ff:1f.7").assertFailedForWantOfTheDevice();
    }

    @Test
    void optionsThatDoNotGoTogetherAreBadUsage() {
        CommandRun.withoutKernel("", "demo", "--native").assertFailed(2, "--pf").assertNoOutput();
        CommandRun.withoutKernel("", "demo", "--pf", OWNER).assertFailed(2, "--native").assertNoOutput();
        CommandRun.withoutKernel("", "demo", "--native", "--pf", OWNER, "--kernel", "6.1")
                .assertFailed(2, "leave --native out").assertNoOutput();
        CommandRun.withoutKernel("", "demo", "--native", "--pf", "01").assertFailed(2, "is not a PCI address")
                .assertNoOutput();
        CommandRun.withoutKernel("", "demo", "--kernel", "4.19").assertFailed(2, "Linux 4.19 is not emulated")
                .assertNoOutput();
        CommandRun.withoutKernel("", "demo", OWNER).assertFailed(2, "There is an argument too many").assertNoOutput();
        CommandRun.withoutKernel("", "demo", "--json").assertFailed(2, "There is no option --json").assertNoOutput();
    }

    @Test
    void helpSaysWhatItDoesToRealHardware() {
        assertThat(CommandRun.of("demo", "--help").assertDone().out()).contains("Usage: vfio4j demo", "--native",
                "--pf", "--vf", "resets the physical function");
    }
}
