package io.github.vfio4j.emulation;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.vfio4j.backend.Fcntl;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Paths in sysfs. */
class FileTreeTest {

    @ParameterizedTest
    @ValueSource(strings = {"0000", "ffff", "10000", "ffffffff"})
    void aFunctionIsALinkBelowItsRootBus(String domain) {
        String function = domain + ":3a:1f.7";
        Program program = Program
                .on(EmulatedKernel.builder(KernelProfile.LINUX_7_2).pciFunction(function, spec -> spec.group(5)));
        assertThat(program.link("/sys/bus/pci/devices/" + function))
                .isEqualTo("../../../devices/pci" + domain + ":3a/" + function);
        assertThat(List.of(program.link("/sys/bus/pci/devices/" + function + "/iommu_group"),
                program.link("/sys/bus/pci/devices/" + function + "/driver")))
                .containsExactly("../../../kernel/iommu_groups/5", "../../../bus/pci/drivers/vfio-pci");
    }

    /** A directory is no link (EINVAL), which tells it from nothing (ENOENT). */
    @Test
    void aVfioDeviceShowsItsNumber() {
        String directory = "/sys/bus/pci/devices/" + Program.PF + "/vfio-dev";
        for (KernelProfile kernel : KernelProfile.all()) {
            Program program = Program
                    .on(Program.machine(kernel).pciFunction("0000:00:05.0", function -> function.unbound()));
            String there = kernel.version().equals("5.7") ? "ENOENT" : "EINVAL";
            assertThat(program.link(directory)).as(kernel.version()).isEqualTo(there);
            assertThat(program.link(directory + "/vfio0")).as(kernel.version()).isEqualTo(there);
            assertThat(program.link(directory + "/vfio1")).isEqualTo("ENOENT");
            assertThat(program.link(directory + "/vfio0/vfio0")).isEqualTo("ENOENT");
            assertThat(program.link(directory + "/vfio0/dev")).isEqualTo("ENOENT");
            assertThat(program.link("/sys/bus/pci/devices/0000:00:05.0/vfio-dev")).isEqualTo("ENOENT");
            assertThat(program.link("/dev/vfio/devices")).isEqualTo("ENOENT");
        }
        Program program = Program.on(KernelProfile.LINUX_7_2.withCdev());
        assertThat(program.link(directory + "/vfio0/dev")).isEqualTo("EINVAL");
        assertThat(program.link("/dev/vfio/devices")).isEqualTo("EINVAL");
        assertThat(Program.answer(program.open(directory))).isEqualTo("errno 21");
        assertThatThrownBy(() -> program.process().open(directory, Fcntl.O_RDONLY))
                .isInstanceOf(NotModelledException.class).hasMessageContaining(directory);
        assertThat(program.process().openDescriptors()).isEqualTo(3);
        Program none = Program.on(EmulatedKernel.builder(KernelProfile.LINUX_7_2.withCdev()));
        assertThat(none.link("/dev/vfio/devices")).isEqualTo("ENOENT");
    }

    /** By these a program finds out whether there is anything to be had here, and what it may have of it. */
    @ParameterizedTest
    @ValueSource(strings = {"5.7", "6.1", "6.12", "7.2"})
    void aMachineShowsThatItHasVfio(String version) {
        Program program = Program.on(KernelProfile.of(version));
        assertThat(program.link("/sys/class/iommu/dmar0")).isEqualTo("../../devices/virtual/iommu/dmar0");
        assertThat(List.of("/sys/module/vfio_pci", "/sys/module/vfio_iommu_type1", "/sys/bus/pci/drivers/vfio-pci",
                "/proc/sys/kernel/osrelease", "/proc/self/status", "/proc/self/limits"))
                .allSatisfy(path -> assertThat(program.link(path)).isEqualTo("EINVAL"));
        assertThat(program.link("/sys/module/vfio")).isEqualTo("ENOENT");
        assertThat(program.read("/proc/sys/kernel/osrelease")).isEqualTo(version + "\n");
        assertThat(Program.answer(program.process().open("/proc/sys/kernel/osrelease", Fcntl.O_RDWR)))
                .isEqualTo("EACCES");
    }

    @Test
    void aProcessShowsWhoItIsAndWhatItMay() {
        Program program = Program.on(KernelProfile.LINUX_7_2);
        String status = "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nCapEff:\t0000000000004000\n";
        assertThat(program.read("/proc/self/status")).isEqualTo(status);
        program.process().withoutIpcLock();
        assertThat(program.read("/proc/self/status")).isEqualTo(status.replace("4000", "0000"));
        assertThat(Program.answer(program.process().open("/proc/self/status", Fcntl.O_RDWR))).isEqualTo("EACCES");
    }
}
