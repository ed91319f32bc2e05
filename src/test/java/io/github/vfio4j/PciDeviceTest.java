package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class PciDeviceTest {

    private final EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
            .pciFunction("0000:01:00.0", function -> function.group(7).sriov(3))
            .pciFunction("0000:02:00.0", function -> function.driver("nvme"))
            .pciFunction("0000:03:00.0", function -> function.unbound().sriov(1)).build();
    private final EmulatedProcess process = kernel.newProcess();

    @AfterEach
    void nothingIsLeftOpen() throws VfioException {
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    private PciDevice function(String address) {
        return Vfio.using(process).pciDevice(PciAddress.parse(address));
    }

    @Test
    void aFunctionIsShownAsItIs() throws VfioException {
        PciDevice device = function("01:00.0");
        assertThat(device.address()).isEqualTo(PciAddress.parse("0000:01:00.0"));
        assertThat(device).hasToString("0000:01:00.0");
        assertThat(device.exists()).isTrue();
        assertThat(device.driver()).contains("vfio-pci");
        assertThat(device.iommuGroup()).hasValue(7);
        assertThat(device.physicalFunction()).isEmpty();
        assertThat(device.virtualFunction(0)).isEmpty();
        assertThat(device.sriovNumVfs()).isZero();
    }

    @Test
    void aFunctionThatDoesNotExistHasNothing() throws VfioException {
        PciDevice device = function("0000:0f:00.0");
        assertThat(device.exists()).isFalse();
        assertThat(device.driver()).isEmpty();
        assertThat(device.iommuGroup()).isEmpty();
        assertThat(device.physicalFunction()).isEmpty();
        assertThat(device.virtualFunction(0)).isEmpty();
        assertThatExceptionOfType(VfioException.class).isThrownBy(device::sriovNumVfs).matches(e -> e.is(Errno.ENOENT));
    }

    @Test
    void theDriverIsTheOneThatIsBound() throws VfioException {
        assertThat(function("0000:02:00.0").driver()).contains("nvme");
        assertThat(function("0000:03:00.0").driver()).isEmpty();
    }

    @Test
    void virtualFunctionsComeAndGo() throws VfioException {
        PciDevice owner = function("0000:01:00.0");
        owner.setSriovNumVfs(3);
        assertThat(owner.sriovNumVfs()).isEqualTo(3);
        assertThat(owner.virtualFunction(0)).contains(PciAddress.parse("0000:01:00.1"));
        assertThat(owner.virtualFunction(2)).contains(PciAddress.parse("0000:01:00.3"));
        assertThat(owner.virtualFunction(3)).isEmpty();
        PciDevice virtual = function("0000:01:00.1");
        assertThat(virtual.exists()).isTrue();
        assertThat(virtual.driver()).contains("vfio-pci");
        assertThat(virtual.physicalFunction()).contains(PciAddress.parse("0000:01:00.0"));
        assertThat(virtual.iommuGroup()).isPresent();
        owner.setSriovNumVfs(0);
        assertThat(virtual.exists()).isFalse();
    }

    @Test
    void anotherNumberOfVirtualFunctionsGoesThroughZero() throws VfioException {
        PciDevice owner = function("0000:01:00.0");
        owner.setSriovNumVfs(1);
        owner.setSriovNumVfs(1);
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> owner.setSriovNumVfs(2))
                .withMessage("write 2 to /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs: EBUSY (device or resource"
                        + " busy). There are virtual functions already: write 0 first");
    }

    @Test
    void moreThanTheHardwareHasIsRefusedWithWhereToLook() throws VfioException {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> function("0000:01:00.0").setSriovNumVfs(4))
                .matches(e -> e.is(Errno.ERANGE))
                .withMessageContaining("see /sys/bus/pci/devices/0000:01:00.0/sriov_totalvfs");
    }

    @ParameterizedTest
    @ValueSource(strings = {"0000:02:00.0", "0000:03:00.0", "0000:0f:00.0"})
    void withoutSriovOrADriverTheRemedySaysSo(String address) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> function(address).setSriovNumVfs(1))
                .matches(e -> e.is(Errno.ENOENT)).withMessageContaining("no SR-IOV capability or no driver");
    }

    @Test
    void withSriovTurnedOffInVfioPciTheRemedyIsItsParameter() throws VfioException {
        int fd = process.open("/sys/module/vfio_pci/parameters/enable_sriov", Fcntl.O_WRONLY);
        try (Arena arena = Arena.ofConfined()) {
            assertThat(process.write(fd, arena.allocateFrom("N").asSlice(0, 1))).isEqualTo(1);
        } finally {
            assertThat(process.close(fd)).isZero();
        }
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> function("0000:01:00.0").setSriovNumVfs(1))
                .matches(e -> e.is(Errno.ENOENT))
                .withMessageContaining("echo 1 > /sys/module/vfio_pci/parameters/enable_sriov");
    }

    @Test
    void onlyRootCreatesVirtualFunctionsAndEverybodyMayLook() throws VfioException {
        EmulatedProcess unprivileged = kernel.newUnprivilegedProcess();
        PciDevice owner = Vfio.using(unprivileged).pciDevice(PciAddress.parse("0000:01:00.0"));
        assertThat(owner.sriovNumVfs()).isZero();
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> owner.setSriovNumVfs(1))
                .matches(e -> e.is(Errno.EACCES)).withMessageContaining("Only root may create virtual functions");
        assertThat(unprivileged.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aFailingAttributeIsClosedAgain() throws VfioException {
        for (int n = 2; n <= 3; n++) {
            FaultInjectingBackend faults = new FaultInjectingBackend(process);
            faults.inject(Fault.onAnyCall().nth(n).fails(Errno.EIO));
            Vfio vfio = Vfio.using(faults);
            // The third call is the close, whose error tells nothing about what was read.
            PciDevice owner = vfio.pciDevice(PciAddress.parse("0000:01:00.0"));
            if (n == 2) {
                assertThatExceptionOfType(VfioException.class).isThrownBy(owner::sriovNumVfs)
                        .withMessage("read /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs: EIO (input/output error)");
            }
            assertThat(process.openDescriptors()).isEqualTo(3);
        }
    }
}
