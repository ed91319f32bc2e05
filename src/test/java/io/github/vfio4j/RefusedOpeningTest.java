package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** Each reason for which a device can't be opened is told, on one line, with what to do; and nothing stays open. */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
class RefusedOpeningTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final PciAddress VIRTUAL = PciAddress.parse("0000:01:00.1");
    private static final PciAddress PLAIN = PciAddress.parse("0000:02:00.0");
    private static final PciAddress ON_HOST_DRIVER = PciAddress.parse("0000:03:00.0");
    private static final PciAddress BESIDE_HOST_DRIVER = PciAddress.parse("0000:04:00.0");
    private static final PciAddress UNBOUND = PciAddress.parse("0000:05:00.0");
    private static final PciAddress UNBOUND_NEIGHBOUR = PciAddress.parse("0000:02:00.1");
    private static final PciAddress NOWHERE = PciAddress.parse("0000:0f:00.0");

    static List<KernelProfile> profiles() {
        return KernelProfile.all();
    }

    @Parameter
    @SuppressWarnings("NullAway.Init") // JUnit injects it
    private KernelProfile profile;

    @SuppressWarnings("NullAway.Init")
    private EmulatedKernel kernel;
    @SuppressWarnings("NullAway.Init")
    private EmulatedProcess process;
    @SuppressWarnings("NullAway.Init")
    private VfioContainer container;

    @BeforeEach
    void boot() throws VfioException {
        kernel = EmulatedKernel.builder(profile).pciFunction(OWNER.toString(), function -> function.group(1).sriov(1))
                .pciFunction(PLAIN.toString(), function -> function.group(2))
                .pciFunction(UNBOUND_NEIGHBOUR.toString(), function -> function.group(2).unbound())
                .pciFunction(ON_HOST_DRIVER.toString(), function -> function.group(3).driver("nvme"))
                .pciFunction(BESIDE_HOST_DRIVER.toString(), function -> function.group(4))
                .pciFunction("0000:04:00.1", function -> function.group(4).driver("ixgbe"))
                .pciFunction(UNBOUND.toString(), function -> function.group(5).unbound()).build();
        process = kernel.newProcess();
        container = Vfio.using(process).openContainer();
    }

    @AfterEach
    void nothingIsLeftOpen() throws VfioException {
        assertThat(process.openDescriptors()).as("only the container is open").isEqualTo(4);
        container.close();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    private void assertRefused(PciAddress address, @Nullable VfToken token, @Nullable Errno errno, String message) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(
                () -> (token == null ? container.openDevice(address) : container.openDevice(address, token)).close())
                .withMessage(message).satisfies(e -> {
                    assertThat(e.errno().orElse(null)).isEqualTo(errno);
                    assertThat(e.remedy()).isPresent();
                    assertThat(message).doesNotContain("\n");
                });
    }

    @Test
    void aFunctionThatDoesNotExist() {
        assertRefused(NOWHERE, null, Errno.ENODEV, "open 0000:0f:00.0: ENODEV (no such device). There is no PCI"
                + " function at this address; 'lspci -D' lists those there are");
    }

    @Test
    void aFunctionOnAHostDriver() {
        assertRefused(ON_HOST_DRIVER, null, Errno.ENOENT, "open /dev/vfio/3: ENOENT (no such file or directory)."
                + " 0000:03:00.0 is bound to nvme, not to vfio-pci. As root: echo vfio-pci >"
                + " /sys/bus/pci/devices/0000:03:00.0/driver_override; echo 0000:03:00.0 >"
                + " /sys/bus/pci/devices/0000:03:00.0/driver/unbind; echo 0000:03:00.0 > /sys/bus/pci/drivers_probe");
    }

    @Test
    void aFunctionWithoutADriver() {
        assertRefused(UNBOUND, null, Errno.ENOENT, "open /dev/vfio/5: ENOENT (no such file or directory)."
                + " 0000:05:00.0 is bound to no driver. As root: echo vfio-pci >"
                + " /sys/bus/pci/devices/0000:05:00.0/driver_override; echo 0000:05:00.0 > /sys/bus/pci/drivers_probe");
    }

    @Test
    void aFunctionWithoutADriverBesideOneOnVfioPci() {
        assertRefused(UNBOUND_NEIGHBOUR, null, Errno.ENODEV, "VFIO_GROUP_GET_DEVICE_FD 0000:02:00.1: ENODEV (no such"
                + " device). 0000:02:00.1 is bound to no driver. As root: echo vfio-pci >"
                + " /sys/bus/pci/devices/0000:02:00.1/driver_override; echo 0000:02:00.1 > /sys/bus/pci/drivers_probe");
    }

    @Test
    void aGroupThatIsNotViable() {
        assertRefused(BESIDE_HOST_DRIVER, null, null, "use group 4. The group is not viable: a host driver holds one of"
                + " its devices. Bind every function in /sys/kernel/iommu_groups/4/devices to vfio-pci or to no driver");
    }

    @Test
    void aGroupThatAnotherProcessHas() throws VfioException {
        try (VfioContainer other = Vfio.using(kernel.newProcess()).openContainer();
                VfioDevice device = other.openDevice(PLAIN)) {
            assertRefused(PLAIN, null, Errno.EBUSY, "open /dev/vfio/2: EBUSY (device or resource busy). The group is in"
                    + " use: one process at a time can have it open ('fuser -v /dev/vfio/2' shows which)");
            assertThat(device.probeAll()).hasSize(13);
        }
    }

    @Test
    void aGroupThatIsClosedToTheUser() throws VfioException {
        EmulatedProcess unprivileged = kernel.newUnprivilegedProcess();
        try (VfioContainer own = Vfio.using(unprivileged).openContainer()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> own.openDevice(PLAIN))
                    .withMessage("open /dev/vfio/2: EACCES (permission denied). This user may not open the group:"
                            + " 'chown $USER /dev/vfio/2' as root gives it to you")
                    .matches(e -> e.is(Errno.EACCES));
            assertThat(unprivileged.openDescriptors()).isEqualTo(4);
        }
        assertThat(unprivileged.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aVirtualFunctionWithoutAndWithAWrongToken() throws VfioException {
        VfToken wrong = VfToken.parse("11111111-2222-3333-4444-555555555555");
        Vfio.using(process).pciDevice(OWNER).setSriovNumVfs(1);
        assertRefused(VIRTUAL, null, Errno.EACCES, "VFIO_GROUP_GET_DEVICE_FD 0000:01:00.1: EACCES (permission denied)."
                + " The function needs the VF token of its physical function 0000:01:00.0, which its owner sets: open it"
                + " with that token");
        assertRefused(VIRTUAL, wrong, Errno.EACCES, "VFIO_GROUP_GET_DEVICE_FD 0000:01:00.1: EACCES (permission denied)."
                + " The VF token is not that of its physical function 0000:01:00.0: ask its owner for the right one");
    }

    @Test
    void anOwnerWithoutTheTokenWhileItsVirtualFunctionIsInUse() throws VfioException {
        VfToken token = VfToken.random();
        EmulatedProcess user = kernel.newProcess();
        container.openDevice(OWNER, token).close();
        Vfio.using(process).pciDevice(OWNER).setSriovNumVfs(1);
        try (VfioContainer other = Vfio.using(user).openContainer();
                VfioDevice virtual = other.openDevice(VIRTUAL, token)) {
            assertRefused(OWNER, null, Errno.EACCES, "VFIO_GROUP_GET_DEVICE_FD 0000:01:00.0: EACCES (permission"
                    + " denied). Virtual functions of it are in use: open it with the present VF token");
            assertRefused(OWNER, VfToken.random(), Errno.EACCES, "VFIO_GROUP_GET_DEVICE_FD 0000:01:00.0: EACCES"
                    + " (permission denied). The VF token is not the present one, and virtual functions of it are in use:"
                    + " ask its owner for the right one");
            container.openDevice(OWNER, token).close();
            assertThat(virtual.vfToken()).isEmpty();
        }
        assertThat(user.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aTokenForAFunctionThatTakesNone() {
        assertRefused(PLAIN, VfToken.random(), Errno.EINVAL, "VFIO_GROUP_GET_DEVICE_FD 0000:02:00.0: EINVAL (invalid"
                + " argument). The function takes no VF token: it is no SR-IOV function with its physical function on"
                + " vfio-pci. Open it without one");
    }

    @Test
    void aGroupByNumberWithoutAVfioDevice() {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openGroup(3))
                .withMessage("open /dev/vfio/3: ENOENT (no such file or directory). None of the group's functions is"
                        + " bound to vfio-pci");
    }

    @Test
    void aFunctionWithoutAnIommu() throws VfioException {
        FaultInjectingBackend withoutIommu = new FaultInjectingBackend(process);
        withoutIommu.inject(Fault.onPath("/sys/bus/pci/devices/0000:02:00.0/iommu_group").from(1).fails(Errno.ENOENT));
        try (VfioContainer own = Vfio.using(withoutIommu).openContainer()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> own.openDevice(PLAIN))
                    .withMessage("open 0000:02:00.0. The function is in no IOMMU group: turn the IOMMU on in the"
                            + " firmware and boot with intel_iommu=on or amd_iommu=on");
        }
    }

    @Test
    void aGroupWhoseFileWasNotHandedToTheContainer() throws VfioException {
        FaultInjectingBackend withoutGroupFile = new FaultInjectingBackend(process);
        withoutGroupFile.inject(Fault.onPath("/dev/vfio/2").fails(Errno.ENOENT));
        try (VfioContainer own = Vfio.using(withoutGroupFile).openContainer()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> own.openDevice(PLAIN))
                    .withMessageContaining("0000:02:00.0 is bound to vfio-pci, but its group's file is not here")
                    .withMessageContaining("--device /dev/vfio/2");
        }
    }
}
