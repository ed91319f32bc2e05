package io.github.vfio4j.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
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

    private static VfioContainer machine(KernelProfile profile) throws VfioException {
        return Vfio.using(EmulatedKernel.builder(profile)
                .pciFunction(FIRST.toString(), function -> function.group(7).memoryBar(0, 4096).withoutReset())
                .pciFunction(SECOND.toString(), function -> function.group(8).memoryBar(0, 4096))
                .pciFunction(ON_ROOT_BUS.toString(), function -> function.group(9).memoryBar(0, 4096))
                .pciFunction(BESIDE_HOST_DRIVER.toString(), function -> function.group(10))
                .pciFunction("0000:06:00.1", function -> function.group(11).driver("nvme")).build().newProcess())
                .openContainer();
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
}
