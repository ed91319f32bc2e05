package io.github.vfio4j.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Views of device memory: that they show it, and that they are gone before it is. */
@SuppressWarnings("NullAway.Init") // each test begins with open()
class MappedRegionsTest {

    private static final String EVERY_KERNEL = "io.github.vfio4j.emulation.KernelProfile#all";
    private static final PciAddress ADDRESS = PciAddress.parse("0000:02:00.0");
    private static final int TABLE = 0x2000;

    private EmulatedKernel kernel;
    private EmulatedProcess process;
    private VfioContainer container;
    private VfioDevice device;

    private void open(KernelProfile profile) throws VfioException {
        open(profile, backend -> backend);
    }

    private void open(KernelProfile profile, UnaryOperator<IoctlBackend> before) throws VfioException {
        kernel = EmulatedKernel.builder(profile).pciFunction(ADDRESS.toString(),
                function -> function.memoryBar(0, 1 << 14).memoryBar(2, 1 << 12).ioPortBar(4, 32).msix(64, 0, TABLE))
                .build();
        process = kernel.newProcess();
        container = Vfio.using(before.apply(process)).openContainer();
        device = container.openDevice(ADDRESS);
    }

    @AfterEach
    void nothingIsLeftOpen() throws VfioException {
        device.close();
        container.close();
        assertThat(process.openFiles()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void aViewIsTheMemoryThatIsReadAndWritten(KernelProfile profile) throws VfioException {
        open(profile);
        DeviceRegion region = device.region(2);
        region.put64(8, 0x1122334455667788L);
        try (RegionView view = region.map(); RegionView part = region.map(0x100, 0x10)) {
            assertThat(view.size()).isEqualTo(4096);
            assertThat(view.get64(8)).isEqualTo(0x1122334455667788L);
            assertThat(view.get32(8)).isEqualTo(0x55667788);
            assertThat(view.get16(14)).isEqualTo((short) 0x1122);
            assertThat(view.get8(8)).isEqualTo((byte) 0x88);
            view.put32Release(0x100, 0xcafe);
            view.put8(0x104, (byte) 1);
            view.put16(0x106, (short) 0x203);
            view.put64Release(0x108, -2);
            assertThat(part.get64Acquire(0)).isEqualTo(0x0203_0001_0000_cafeL);
            assertThat(region.get64(0x108)).isEqualTo(-2);
            assertThat(kernel.device(ADDRESS).memory(2).get(ValueLayout.JAVA_INT, 0x100)).isEqualTo(0xcafe);
            kernel.device(ADDRESS).memory(2).set(ValueLayout.JAVA_INT, 0x10c, 7);
            assertThat(part.get32Acquire(12)).isEqualTo(7);
            view.put8Release(0x105, (byte) 4);
            view.put16Release(0x106, (short) 0x506);
            assertThat(part.get8Acquire(5)).isEqualTo((byte) 4);
            assertThat(part.get16Acquire(6)).isEqualTo((short) 0x506);
            assertThat(region.get32(0x104)).isEqualTo(0x0506_0401);
            assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> part.get32(16))
                    .withMessage("4 bytes at 0x10 are not in BAR 2 of device 0000:02:00.0 of 16 bytes");
        }
        assertThat(region.registers()).isInstanceOf(RegionView.class);
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void aClosedViewIsAnExceptionAndTheOthersGoOn(KernelProfile profile) throws VfioException {
        open(profile);
        RegionView first = device.region(2).map();
        RegionView second = device.region(2).map();
        MemorySegment memory = first.segment();
        first.close();
        first.close();
        assertThat(first.isOpen()).isFalse();
        assertThatIllegalStateException().isThrownBy(() -> first.get32(0))
                .withMessage("The view of BAR 2 of device 0000:02:00.0 is closed: close() was called; map it again");
        assertThatIllegalStateException().isThrownBy(() -> memory.get(ValueLayout.JAVA_INT, 0));
        second.put32(0, 1);
        device.close();
        assertThatIllegalStateException().isThrownBy(() -> second.put32(0, 1))
                .withMessageContaining("the device was closed");
    }

    private interface Ending {
        void end(VfioDevice device) throws VfioException;
    }

    /** Ends views, and afterwards there can be new ones. */
    private void endsViews(String reason, Ending ending, Ending again) throws VfioException {
        RegionView view = device.region(2).map();
        ending.end(device);
        assertThatIllegalStateException().as(reason).isThrownBy(() -> view.get32(0)).withMessageContaining(reason);
        again.end(device);
        try (RegionView next = device.region(2).map()) {
            next.get32(0);
        }
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void whatMakesMemorySilentEndsTheViewsFirst(KernelProfile profile) throws VfioException {
        open(profile);
        Ending nothing = device -> {
        };
        endsViews("reset", VfioDevice::reset, nothing);
        endsViews("memory decoding was switched off", device -> device.config().setMemoryEnabled(false), device -> {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.region(2).map())
                    .withMessageContaining("setMemoryEnabled(true)");
            device.config().setMemoryEnabled(true);
        });
        int pm = device.config().capability(PciCapability.POWER_MANAGEMENT).orElseThrow().offset();
        endsViews("D3hot", device -> device.region(DeviceRegion.CONFIG).write(pm + 4, (byte) 3, (byte) 0), device -> {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.region(2).map())
                    .withMessageContaining("D3hot");
            device.config().put16(pm + 4, (short) 0);
        });
        int express = device.config().capability(PciCapability.EXPRESS).orElseThrow().offset();
        endsViews("PCI Express", device -> device.config().put16(express + 8, (short) 0x8000), nothing);
        device.config().setBusMaster(true);
        if (profile.pciFeatures().contains(vfio_h.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY())) {
            endsViews("low power", device -> device.lowPower().orElseThrow().enter(), device -> {
                assertThatIllegalStateException().isThrownBy(() -> device.region(2).map())
                        .withMessageContaining("LowPowerFeature.exit()");
                device.lowPower().orElseThrow().exit();
            });
        }
    }

    /** Whether it is in the middle of an access or between two of them, it gets an exception. */
    @Test
    void aThreadThatUsesAViewGetsAnException() throws Exception {
        open(KernelProfile.LINUX_7_2);
        RegionView view = device.region(2).map();
        AtomicReference<Throwable> end = new AtomicReference<>();
        CountDownLatch running = new CountDownLatch(1);
        Thread user = Thread.ofPlatform().start(() -> {
            try {
                while (true) {
                    view.put32(0, view.get32(0) + 1);
                    running.countDown();
                }
            } catch (Throwable e) {
                end.set(e);
            }
        });
        running.await();
        device.reset();
        user.join();
        assertThat(end.get()).isInstanceOf(IllegalStateException.class).hasMessageContaining("the device was reset");
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void onlyMemoryIsMapped(KernelProfile profile) throws VfioException {
        open(profile);
        assertThat(device.region(4).mappableAreas()).isEmpty();
        assertThat(device.region(1).size()).isZero();
        for (int region : new int[]{4, DeviceRegion.CONFIG}) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.region(region).map())
                    .withMessageContaining("can't be mapped");
        }
        assertThat(device.region(0).info().msixMappable()).isTrue();
        assertThat(device.region(0).mappableAreas()).containsExactly(new RegionArea(0, 1 << 14));
    }

    /** Replaces the answer to VFIO_DEVICE_GET_REGION_INFO. */
    private static IoctlBackend regionInfo(IoctlBackend next, java.util.function.Consumer<MemorySegment> change) {
        return new ForwardingBackend(next) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                int result = super.ioctl(fd, request, argument, pointees);
                if (request == vfio_h.VFIO_DEVICE_GET_REGION_INFO() && argument.get(ValueLayout.JAVA_INT, 8) == 0) {
                    change.accept(argument);
                }
                return result;
            }
        };
    }

    @Test
    void withoutTheKernelsWordTheTableOfMsixIsLeftOut() throws VfioException {
        open(KernelProfile.LINUX_5_7, backend -> regionInfo(backend, info -> {
            info.set(ValueLayout.JAVA_INT, 0, 32);
            info.set(ValueLayout.JAVA_INT, 4, info.get(ValueLayout.JAVA_INT, 4) & ~8);
        }));
        DeviceRegion region = device.region(0);
        assertThat(region.info().msixMappable()).isFalse();
        assertThat(region.mappableAreas()).containsExactly(new RegionArea(0, TABLE),
                new RegionArea(TABLE + 0x1000, 0x1000));
        assertThatExceptionOfType(VfioException.class).isThrownBy(region::map)
                .withMessageContaining("only [0x0..0x1fff, 0x3000..0x3fff] can be mapped");
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> region.map(TABLE - 4, 8));
        try (RegionView view = region.map(0x3004, 0x10)) {
            view.put32(0, 42);
        }
        assertThat(region.get32(0x3004)).isEqualTo(42);
        assertThat(region.registers()).isSameAs(region);
    }

    @Test
    void sparseAreasAreKept() throws VfioException {
        open(KernelProfile.LINUX_7_2, backend -> regionInfo(backend, info -> {
            info.set(ValueLayout.JAVA_INT, 0, 32 + 8 + 8 + 3 * 16);
            if (info.byteSize() >= 96) {
                info.set(ValueLayout.JAVA_INT, 4, 15);
                info.set(ValueLayout.JAVA_INT, 12, 32);
                MemorySegment capability = info.asSlice(32);
                capability.set(ValueLayout.JAVA_SHORT, 0, (short) vfio_h.VFIO_REGION_INFO_CAP_SPARSE_MMAP());
                capability.set(ValueLayout.JAVA_SHORT, 2, (short) 1);
                capability.set(ValueLayout.JAVA_INT, 4, 0);
                capability.set(ValueLayout.JAVA_INT, 8, 3);
                long[] areas = {0x3000, 0x1000, 0, 0x1000, 0x1000, 0x1000};
                MemorySegment.copy(areas, 0, capability, ValueLayout.JAVA_LONG, 16, areas.length);
            }
        }));
        DeviceRegion region = device.region(0);
        assertThat(region.mappableAreas()).containsExactly(new RegionArea(0, 0x2000), new RegionArea(0x3000, 0x1000));
        try (RegionView view = region.map(0xff8, 0x10)) {
            assertThat(view.size()).isEqualTo(16);
        }
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> region.map(0x1ff8, 0x10));
    }
}
