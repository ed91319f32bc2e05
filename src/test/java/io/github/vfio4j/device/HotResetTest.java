package io.github.vfio4j.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommufd;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The reset of a bus with all functions on it. */
class HotResetTest {

    private static final String EVERY_KERNEL = "io.github.vfio4j.emulation.KernelProfile#all";
    private static final PciAddress FIRST = PciAddress.parse("0000:05:00.0");
    private static final PciAddress SECOND = PciAddress.parse("0000:05:00.1");
    private static final PciAddress ON_ROOT_BUS = PciAddress.parse("0000:00:05.0");
    private static final PciAddress BESIDE_HOST_DRIVER = PciAddress.parse("0000:06:00.0");
    private static final PciAddress TOGETHER = PciAddress.parse("0000:07:00.0");
    private static final int NOT_OWNED = -1;
    private static final int OWNED = 0;

    private static VfioContainer machine(KernelProfile profile) throws VfioException {
        return process(profile).openContainer();
    }

    private static Vfio process(KernelProfile profile) {
        return Vfio.using(EmulatedKernel.builder(profile)
                .pciFunction(FIRST.toString(), function -> function.group(7).memoryBar(0, 4096).withoutReset())
                .pciFunction(SECOND.toString(), function -> function.group(8).memoryBar(0, 4096))
                .pciFunction(ON_ROOT_BUS.toString(), function -> function.group(9).memoryBar(0, 4096))
                .pciFunction(BESIDE_HOST_DRIVER.toString(), function -> function.group(10))
                .pciFunction("0000:06:00.1", function -> function.group(11).driver("nvme"))
                .pciFunction(TOGETHER.toString(), function -> function.group(12).memoryBar(0, 4096))
                .pciFunction("0000:07:00.1", function -> function.group(12)).build().newProcess());
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void everyFunctionOfTheBusIsResetWithoutViews(KernelProfile profile) throws VfioException {
        try (VfioContainer container = machine(profile);
                VfioDevice first = container.openDevice(FIRST);
                VfioDevice second = container.openDevice(SECOND)) {
            assertThat(first.hotResetInfo()).isEqualTo(new HotResetInfo(false, false,
                    List.of(new DependentDevice(FIRST, 7), new DependentDevice(SECOND, 8))));
            RegionView view = first.region(0).map();
            RegionView other = second.region(0).map();
            view.put32(0, 1);
            other.put32(0, 2);
            assertThatExceptionOfType(VfioException.class).isThrownBy(first::hotReset).matches(e -> e.is(Errno.EINVAL))
                    .withMessageContaining("hotResetInfo() lists them");
            assertThat(other.get32(0)).isEqualTo(2);
            first.hotReset(second);
            assertThatIllegalStateException().isThrownBy(() -> view.get32(0)).withMessageContaining("with its bus");
            assertThatIllegalStateException().isThrownBy(() -> other.get32(0)).withMessageContaining("with its bus");
            assertThat(first.region(0).get32(0)).isZero();
            assertThat(second.region(0).get32(0)).isZero();
        }
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void theFirstBusAndAnotherDriverRefuse(KernelProfile profile) throws VfioException {
        try (VfioContainer container = machine(profile);
                VfioDevice onRoot = container.openDevice(ON_ROOT_BUS);
                VfioDevice beside = container.openDevice(BESIDE_HOST_DRIVER)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(onRoot::hotResetInfo)
                    .matches(e -> e.is(Errno.ENODEV));
            assertThatExceptionOfType(VfioException.class).isThrownBy(onRoot::hotReset)
                    .matches(e -> e.is(Errno.ENODEV));
            assertThat(beside.hotResetInfo().devices()).hasSize(2);
            assertThatExceptionOfType(VfioException.class).isThrownBy(beside::hotReset)
                    .matches(e -> e.is(Errno.EINVAL));
        }
    }

    static List<KernelProfile> withCdev() {
        return List.of(KernelProfile.LINUX_6_12.withCdev(), KernelProfile.LINUX_7_2.withCdev());
    }

    /** A device that was opened by its own file shows nothing: the kernel looks at who is bound to the same iommufd. */
    @ParameterizedTest
    @MethodSource("withCdev")
    void throughAnIommufdAllHaveToBeBoundToIt(KernelProfile profile) throws VfioException {
        Vfio vfio = process(profile);
        try (Iommufd iommufd = vfio.openIommufd(); VfioDevice first = iommufd.openDevice(FIRST)) {
            HotResetInfo alone = first.hotResetInfo();
            assertThat(alone.byDeviceId()).isTrue();
            assertThat(alone.owned()).isFalse();
            assertThat(alone.devices().getFirst().id()).isPositive();
            assertThat(alone.devices().getLast()).isEqualTo(new DependentDevice(SECOND, NOT_OWNED));
            assertThatExceptionOfType(VfioException.class).isThrownBy(first::hotReset).matches(e -> e.is(Errno.EINVAL))
                    .withMessageContaining("same Iommufd");
            try (Iommufd other = vfio.openIommufd(); VfioDevice stranger = other.openDevice(SECOND)) {
                assertThat(first.hotResetInfo()).isEqualTo(alone);
                assertThatExceptionOfType(VfioException.class).isThrownBy(() -> first.hotReset(stranger))
                        .matches(e -> e.is(Errno.EINVAL));
            }
            try (VfioDevice second = iommufd.openDevice(SECOND)) {
                HotResetInfo both = first.hotResetInfo();
                assertThat(both.owned()).isTrue();
                assertThat(both.devices()).extracting(DependentDevice::address).containsExactly(FIRST, SECOND);
                assertThat(both.devices()).extracting(DependentDevice::id).doesNotContain(OWNED, NOT_OWNED)
                        .doesNotHaveDuplicates();
                RegionView view = first.region(0).map();
                RegionView other = second.region(0).map();
                view.put32(0, 1);
                other.put32(0, 2);
                first.hotReset(second);
                assertThatIllegalStateException().isThrownBy(() -> view.get32(0));
                assertThatIllegalStateException().isThrownBy(() -> other.get32(0));
                assertThat(first.region(0).get32(0)).isZero();
                assertThat(second.region(0).get32(0)).isZero();
            }
        }
    }

    @ParameterizedTest
    @MethodSource("withCdev")
    void aFunctionOfAGroupThatIsBoundNeedsNoNumber(KernelProfile profile) throws VfioException {
        try (Iommufd iommufd = process(profile).openIommufd(); VfioDevice device = iommufd.openDevice(TOGETHER)) {
            HotResetInfo info = device.hotResetInfo();
            assertThat(info.owned()).isTrue();
            assertThat(info.devices()).hasSize(2);
            assertThat(info.devices().getLast().id()).isEqualTo(OWNED);
            device.region(0).put32(0, 1);
            device.hotReset();
            assertThat(device.region(0).get32(0)).isZero();
        }
    }

    @ParameterizedTest
    @MethodSource("withCdev")
    void anotherDriverRefusesAlsoThroughAnIommufd(KernelProfile profile) throws VfioException {
        try (Iommufd iommufd = process(profile).openIommufd();
                VfioDevice beside = iommufd.openDevice(BESIDE_HOST_DRIVER);
                VfioDevice onRoot = iommufd.openDevice(ON_ROOT_BUS)) {
            assertThat(beside.hotResetInfo().owned()).isFalse();
            assertThatExceptionOfType(VfioException.class).isThrownBy(beside::hotReset)
                    .matches(e -> e.is(Errno.EINVAL));
            assertThatExceptionOfType(VfioException.class).isThrownBy(onRoot::hotReset)
                    .matches(e -> e.is(Errno.ENODEV));
        }
    }
}
