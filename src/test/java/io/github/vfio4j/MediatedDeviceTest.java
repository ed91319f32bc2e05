package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.MethodSource;

/** Mediated devices by their UUID, others by their name, and the reset of a device. */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
@SuppressWarnings("NullAway.Init") // JUnit injects and opens
class MediatedDeviceTest {

    private static final UUID ONE = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final UUID TWO = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1002");
    private static final UUID NONE = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1003");
    private static final PciAddress PCI = PciAddress.parse("0000:01:00.0");

    @Parameter
    private KernelProfile profile;

    private EmulatedProcess process;
    private Vfio vfio;

    static List<KernelProfile> profiles() {
        return KernelProfile.all();
    }

    @BeforeEach
    void boot() {
        process = EmulatedKernel.builder(profile).pciFunction(PCI.toString(), function -> function.memoryBar(0, 4096))
                .mtty(ONE, 1).mdpy(TWO).build().newProcess();
        vfio = Vfio.using(process);
    }

    @AfterEach
    void nothingIsLeftOpen() {
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aContainerTakesMediatedDevicesAloneOrWithOthers() throws VfioException {
        try (VfioContainer container = vfio.openContainer(); VfioDevice mtty = container.openMediatedDevice(ONE)) {
            assertThat(mtty).hasToString("device " + ONE);
            try (VfioDevice function = container.openDevice(PCI); VfioDevice mdpy = container.openMediatedDevice(TWO)) {
                assertThat(function.vfToken()).isEmpty();
                assertThat(mdpy.migration()).isEmpty();
                mtty.reset();
                mdpy.reset();
            }
            assertThat(process.openDescriptors()).as("container, group and device").isEqualTo(3 + 3);
        }
    }

    @Test
    void aNameThatNoDeviceHasIsTold() throws VfioException {
        try (VfioContainer container = vfio.openContainer()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openMediatedDevice(NONE))
                    .matches(e -> e.is(Errno.ENODEV)).withMessageContaining(NONE.toString())
                    .withMessageContaining("/sys/bus/mdev/devices");
            assertThat(process.openDescriptors()).isEqualTo(3 + 1);
        }
    }

    @Test
    void aGroupInUseIsTold() throws VfioException {
        try (VfioContainer container = vfio.openContainer();
                VfioContainer other = vfio.openContainer();
                VfioDevice device = container.openMediatedDevice(ONE)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> other.openMediatedDevice(ONE))
                    .matches(e -> e.is(Errno.EBUSY));
            assertThat(device.probeAll()).hasSize(13);
        }
    }

    @Test
    void aDeviceOfAnyBusIsOpenedByItsNameAlone() throws VfioException {
        int number = vfio.pciDevice(PCI).iommuGroup().orElseThrow();
        try (VfioContainer container = vfio.openContainer(); VfioGroup group = container.openGroup(number)) {
            try (VfioDevice device = group.openDevice(PCI.toString())) {
                assertThat(device).hasToString("device " + PCI);
            }
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> group.openDevice("cdx-00:00"))
                    .matches(e -> e.is(Errno.ENODEV))
                    .withMessageContaining("/sys/kernel/iommu_groups/" + number + "/devices");
            for (String name : List.of("", PCI + " vf_token=" + ONE, PCI + "\n", "\0", "é")) {
                assertThatIllegalArgumentException().isThrownBy(() -> group.openDevice(name))
                        .withMessageNotContaining(ONE.toString());
            }
        }
    }

    @Test
    void aSecondOpeningUsesTheGroupThatIsOpen() throws VfioException {
        try (VfioContainer container = vfio.openContainer(); VfioDevice first = container.openMediatedDevice(ONE)) {
            int open = process.openDescriptors();
            try (VfioDevice second = container.openMediatedDevice(ONE)) {
                assertThat(process.openDescriptors()).isEqualTo(open + 1);
                assertThat(second).hasToString(first.toString());
            }
            assertThat(first.probeAll()).as("still open").hasSize(13);
        }
    }
}
