package io.github.vfio4j.emulation;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
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
}
