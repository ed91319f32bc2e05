package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TYPE1V2;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.VF2;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.uapi.vfio_h;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Groups whose members come and go, and containers whose groups do. */
class VirtualFunctionGroupsTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";

    /** A group lives as long as it has a member. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aGroupOutlivesAVirtualFunctionThatSharesIt(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel)
                .pciFunction(PF,
                        function -> function.group(3).sriov(2).virtualFunctions(2, "vfio-pci")
                                .virtualFunction(0, 7, "vfio-pci").virtualFunction(1, 8, "vfio-pci"))
                .pciFunction(PLAIN, function -> function.group(7)));
        assertThat(program.groupPath(VF)).isEqualTo("/dev/vfio/7");
        assertThat(program.groupPath(VF2)).isEqualTo("/dev/vfio/8");
        assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
        assertThat(program.link("/sys/bus/pci/devices/" + VF)).isEqualTo("ENOENT");
        assertThat(opened(program.open("/dev/vfio/7"))).as("of the other member").isEqualTo("fd");
        assertThat(opened(program.open("/dev/vfio/8"))).as("of nobody").isEqualTo("ENOENT");
        success(program.deviceFd(program.readyGroup(PF), PF));
    }

    /** Only one that is open is waited for: those of other drivers, or of none, are just removed. */
    @ParameterizedTest
    @ValueSource(strings = {"nvme", "none"})
    void virtualFunctionsThatVfioDoesNotHaveAreRemoved(String driver) {
        for (KernelProfile kernel : KernelProfile.all()) {
            Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PF,
                    function -> function.sriov(2).virtualFunctions(2, driver.equals("none") ? null : driver)));
            assertThat(program.link("/sys/bus/pci/devices/" + VF2)).isNotEqualTo("ENOENT");
            assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
            assertThat(program.link("/sys/bus/pci/devices/" + VF2)).isEqualTo("ENOENT");
            assertThat(program.read("/sys/bus/pci/devices/" + PF + "/sriov_numvfs")).isEqualTo("0\n");
        }
    }

    /** A group may leave before the container has an IOMMU; those that stay can have one. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aGroupLeavesAContainerWithoutAnIommu(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        int leaving = program.group(PF);
        int staying = program.group(PLAIN);
        success(program.setContainer(leaving, container));
        success(program.setContainer(staying, container));
        assertThat(answer(program.ioctl(leaving, vfio_h.VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("0");
        assertThat(answer(program.setIommu(container, TYPE1V2))).isEqualTo("0");
        success(program.deviceFd(staying, PLAIN));
        assertThat(answer(program.deviceFd(leaving, PF))).isEqualTo("EINVAL");
    }

    /** What is common to devices of other buses is not known of this one; what is not common it does not have. */
    @ParameterizedTest
    @ValueSource(strings = {"0x3b6b", "0x3b6c", "0x3b6d", "0x3b6e", "0x3b6f"})
    void theCommonRequestsOfACdxDeviceAreNotModelled(String request) {
        Program program = Program
                .on(EmulatedKernel.builder(KernelProfile.LINUX_6_12).cdxDevice("cdx-00:00", () -> enabled -> {
                }));
        int device = success(program.deviceFd(program.readyGroupAt("/dev/vfio/0"), "cdx-00:00"));
        assertThatExceptionOfType(NotModelledException.class)
                .isThrownBy(() -> program.ioctl(device, Integer.decode(request))).withMessageContaining(request);
        assertThat(answer(program.ioctl(device, 0x3b6a))).isEqualTo("ENOTTY");
        assertThat(answer(program.ioctl(device, 0x3b70))).isEqualTo("ENOTTY");
    }
}
