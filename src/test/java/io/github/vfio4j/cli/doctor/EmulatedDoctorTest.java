package io.github.vfio4j.cli.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Processes of emulated kernels: what they may, who has a device, and that nothing is left behind. */
class EmulatedDoctorTest {

    private static final PciAddress PF = PciAddress.parse("0000:01:00.0");
    private static final PciAddress VF = PciAddress.parse("0000:01:00.1");
    private static final PciAddress SHARED = PciAddress.parse("0000:02:00.0");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    static List<KernelProfile> kernels() {
        return List.of(KernelProfile.LINUX_5_7, KernelProfile.LINUX_6_1, KernelProfile.LINUX_6_12,
                KernelProfile.LINUX_7_2, KernelProfile.LINUX_7_2.withCdev());
    }

    private static EmulatedKernel machine(KernelProfile kernel) {
        return EmulatedKernel.builder(kernel).lockedMemoryLimit(65536)
                .pciFunction(PF.toString(), function -> function.sriov(2).group(4))
                .pciFunction(SHARED.toString(), function -> function.group(5))
                .pciFunction("0000:02:00.1", function -> function.driver("snd_hda_intel").group(5)).mtty(MTTY, 1, 6)
                .build();
    }

    private static Finding next(EmulatedProcess process, PciAddress function) throws VfioException {
        return Doctor.examine(Machine.emulated(process), function).next().orElseThrow();
    }

    private static void assertNothing(EmulatedProcess process, PciAddress function) throws VfioException {
        assertThat(Doctor.examine(Machine.emulated(process), function).next()).isEmpty();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void whatStandsInTheWay(KernelProfile profile) throws VfioException {
        EmulatedKernel kernel = machine(profile);
        EmulatedProcess root = kernel.newProcess();
        assertNothing(root, PF);
        assertThat(Doctor.examine(Machine.emulated(root), MTTY).next()).isEmpty();
        assertThat(next(root, SHARED)).satisfies(finding -> {
            assertThat(finding.check()).isEqualTo("group");
            assertThat(finding.message())
                    .startsWith("Group 5 is not viable: drivers of the host have 0000:02:00.1 (snd_hda_intel) of it");
        });
        assertThat(next(kernel.newUnprivilegedProcess(), PF).fix().commands()).contains("chown 65534 /dev/vfio/4");
        assertThat(next(kernel.newProcess().withoutIpcLock(), PF)).extracting(Finding::check).isEqualTo("memlock");
        try (VfioContainer container = Vfio.using(kernel.newProcess()).openContainer()) {
            container.openDevice(PF);
            assertThat(next(root, PF).message()).isEqualTo(
                    "Somebody whom root may not look at has /dev/vfio/4 open, and one at a time can: this shows"
                            + " who");
        }
        assertNothing(root, PF);
    }

    @Test
    void aVirtualFunctionThatTakesAToken() throws VfioException {
        EmulatedKernel kernel = machine(KernelProfile.LINUX_7_2);
        EmulatedProcess root = kernel.newProcess();
        try (VfioContainer container = Vfio.using(root).openContainer()) {
            container.openDevice(PF);
            Vfio.using(root).pciDevice(PF).setSriovNumVfs(1);
            Report report = Doctor.examine(Machine.emulated(kernel.newProcess()), VF);
            assertThat(report.next()).isEmpty();
            assertThat(report.findings()).filteredOn(finding -> finding.check().equals("sriov")).first()
                    .extracting(Finding::outcome).isEqualTo(Outcome.UNKNOWN);
        }
    }
}
