package io.github.vfio4j.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What the kernel tells of a device, also when it tells nonsense. */
class InformationTest {

    private static final String EVERY_KERNEL = "io.github.vfio4j.emulation.KernelProfile#all";
    private static final PciAddress ADDRESS = PciAddress.parse("0000:02:00.0");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    private static EmulatedKernel kernel(KernelProfile profile) {
        return EmulatedKernel.builder(profile)
                .pciFunction(ADDRESS.toString(), function -> function.memoryBar(0, 1 << 14).memoryBar(2, 16).msix(8, 0))
                .mtty(MTTY, 1).build();
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void deviceRegionsAndInterruptsAreTold(KernelProfile profile) throws VfioException {
        try (VfioContainer container = Vfio.using(kernel(profile).newProcess()).openContainer();
                VfioDevice device = container.openDevice(ADDRESS)) {
            DeviceInfo info = device.info();
            assertThat(info.isPci()).isTrue();
            assertThat(info.canReset()).isTrue();
            assertThat(info.regionCount()).isEqualTo(9);
            assertThat(info.irqCount()).isEqualTo(5);
            assertThat(info.capabilities()).isEmpty();
            assertThat(device.regions()).extracting(DeviceRegion::toString).containsExactly(
                    "BAR 0 of device 0000:02:00.0", "BAR 2 of device 0000:02:00.0",
                    "the configuration space of device 0000:02:00.0");
            RegionInfo bar = device.region(0).info();
            assertThat(bar.size()).isEqualTo(1 << 14);
            assertThat(bar.isReadable() && bar.isWritable() && bar.isMappable()).isTrue();
            assertThat(bar.msixMappable()).isTrue();
            assertThat(bar.capabilities()).extracting(InfoCapability::id)
                    .containsExactly(vfio_h.VFIO_REGION_INFO_CAP_MSIX_MAPPABLE());
            IrqInfo intx = device.interrupts(PciIrq.INTX).info();
            assertThat(intx.isMaskable() && intx.isAutomasked() && intx.hasEventFds()).isTrue();
            assertThat(intx.count()).isEqualTo(1);
            assertThat(device.interrupts(PciIrq.MSI).info().count()).isZero();
        }
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void aMediatedDeviceHasTheSame(KernelProfile profile) throws VfioException {
        try (VfioContainer container = Vfio.using(kernel(profile).newProcess()).openContainer();
                VfioDevice device = container.openMediatedDevice(MTTY)) {
            assertThat(device.info().canReset()).isFalse();
            assertThat(device.region(0).size()).isEqualTo(8);
        }
    }

    /** Whatever stands where capabilities should, it is read within its bounds, to an end, or refused. */
    @Property(tries = 300)
    void aHostileChainIsReadToAnEndOrRefused(
            @ForAll @Size(min = 0, max = 24) List<@IntRange(min = 0, max = 120) Integer> words,
            @ForAll @IntRange(min = 0, max = 120) int first, @ForAll @IntRange(min = 0, max = 120) int argsz)
            throws VfioException {
        ForwardingBackend hostile = new ForwardingBackend(kernel(KernelProfile.LINUX_7_2).newProcess()) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                int result = super.ioctl(fd, request, argument, pointees);
                boolean isInfo = request == vfio_h.VFIO_DEVICE_GET_INFO();
                if (isInfo || request == vfio_h.VFIO_DEVICE_GET_REGION_INFO()) {
                    argument.set(ValueLayout.JAVA_INT, 0, argsz);
                    argument.set(ValueLayout.JAVA_INT, 4, argument.get(ValueLayout.JAVA_INT, 4) | (isInfo ? 0x80 : 8));
                    argument.set(ValueLayout.JAVA_INT, isInfo ? 16 : 12, first);
                    long at = isInfo ? 24 : 32;
                    for (int word : words) {
                        if (at + Integer.BYTES <= argument.byteSize()) {
                            argument.set(ValueLayout.JAVA_INT, at, word);
                            at += Integer.BYTES;
                        }
                    }
                }
                return result;
            }
        };
        try (VfioContainer container = Vfio.using(hostile).openContainer();
                VfioDevice device = container.openDevice(ADDRESS)) {
            for (int request = 0; request < 2; request++) {
                try {
                    List<InfoCapability> chain = request == 0
                            ? device.info().capabilities()
                            : device.region(0).info().capabilities();
                    assertThat(chain.size()).isLessThanOrEqualTo(15);
                } catch (VfioException e) {
                    assertThat(e).hasMessageContaining("The kernel's answer is malformed");
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void aSizeThatNobodyHasIsNotAllocated(KernelProfile profile) throws VfioException {
        ForwardingBackend hostile = new ForwardingBackend(kernel(profile).newProcess()) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                int result = super.ioctl(fd, request, argument, pointees);
                if (request == vfio_h.VFIO_DEVICE_GET_INFO()) {
                    argument.set(ValueLayout.JAVA_INT, 0, -1);
                }
                return result;
            }
        };
        try (VfioContainer container = Vfio.using(hostile).openContainer();
                VfioDevice device = container.openDevice(ADDRESS)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(device::info)
                    .withMessageContaining("4294967295 bytes");
        }
    }
}
