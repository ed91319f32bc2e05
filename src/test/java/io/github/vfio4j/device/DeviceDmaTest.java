package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.emulation.device.DmaFault;
import io.github.vfio4j.examples.edu.EduDevice;
import io.github.vfio4j.examples.edu.EduModel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** DMA of an emulated device, on each kernel by each kind of {@link Iommu} that it has. */
@ParameterizedClass(name = "{0} by iommufd: {1}")
@MethodSource("kernels")
@SuppressWarnings("NullAway.Init") // set before each test
class DeviceDmaTest {

    private static final PciAddress EDU = PciAddress.parse("0000:02:00.0");
    private static final long PAGE = 4096;
    private static final int STANDARD_DESCRIPTORS = 3;

    @Parameter(0)
    private KernelProfile profile;

    @Parameter(1)
    private boolean byIommufd;

    private final EduModel model = new EduModel();
    private EmulatedKernel kernel;
    private EmulatedProcess process;
    private Iommu iommu;
    private VfioDevice device;
    private DeviceHost host;

    static Stream<Arguments> kernels() {
        return Stream.concat(KernelProfile.all().stream().map(profile -> Arguments.of(profile, false)),
                Stream.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2).map(KernelProfile::withCdev)
                        .map(profile -> Arguments.of(profile, true)));
    }

    @BeforeEach
    void open() throws VfioException {
        kernel = EmulatedKernel.builder(profile).lockedMemoryLimit(16 * PAGE).pciFunction(EDU.toString(),
                function -> function.memoryBar(0, 1 << 20).variantDriver("edu-vfio-pci", () -> model)).build();
        process = kernel.newProcess();
        Vfio vfio = Vfio.using(process);
        iommu = byIommufd ? vfio.openIommufd() : vfio.openContainer();
        device = iommu.openDevice(EDU);
        device.config().setBusMaster(true);
        host = kernel.device(EDU);
    }

    @AfterEach
    void close() throws VfioException {
        iommu.close();
        assertThat(process.openDescriptors()).isEqualTo(STANDARD_DESCRIPTORS);
        assertThat(process.lockedMemory()).isZero();
    }

    private void transfer(long from, long to, long count, int command) throws VfioException {
        DeviceRegion registers = device.region(0);
        registers.put64(EduDevice.DMA_SOURCE, from);
        registers.put64(EduDevice.DMA_DESTINATION, to);
        registers.put64(EduDevice.DMA_COUNT, count);
        registers.put64(EduDevice.DMA_COMMAND, command);
    }

    private static byte read(DeviceHost host, long iova) throws DmaFault {
        byte[] one = new byte[1];
        host.dmaRead(iova, MemorySegment.ofArray(one));
        return one[0];
    }

    private static void write(DeviceHost host, long iova, int value) throws DmaFault {
        host.dmaWrite(iova, MemorySegment.ofArray(new byte[]{(byte) value}));
    }

    @Test
    void aDeviceCopiesWhatAProgramHasWritten() throws VfioException {
        byte[] text = "By DMA there and back again".getBytes(StandardCharsets.US_ASCII);
        try (DmaMapping out = iommu.allocate(text.length, DmaDirection.TO_DEVICE);
                DmaMapping in = iommu.allocate(text.length, DmaDirection.FROM_DEVICE)) {
            out.memory().copyFrom(MemorySegment.ofArray(text));
            transfer(out.iova(), EduDevice.DMA_BUFFER, text.length, EduDevice.DMA_START);
            assertThat(device.region(0).get32(EduDevice.DMA_COMMAND)).isZero();
            transfer(EduDevice.DMA_BUFFER, in.iova(), text.length,
                    EduDevice.DMA_START | EduDevice.DMA_TO_MEMORY | EduDevice.DMA_RAISE);
            assertThat(in.memory().asSlice(0, text.length).toArray(JAVA_BYTE)).isEqualTo(text);
            assertThat(device.region(0).get32(EduDevice.INTERRUPT_STATUS)).isEqualTo(EduDevice.DMA_DONE);
            assertThat(model.faults).isEmpty();
            transfer(EduDevice.DMA_BUFFER, out.iova(), text.length, EduDevice.DMA_START | EduDevice.DMA_TO_MEMORY);
            assertThat(model.faults).singleElement().satisfies(fault -> {
                assertThat(fault.iova()).isEqualTo(out.iova());
                assertThat(fault).hasMessageContaining("not for devices to write");
            });
        }
    }

    @Test
    void aDirectionIsKeptTo() throws VfioException, DmaFault {
        try (DmaMapping out = iommu.allocate(PAGE, DmaDirection.TO_DEVICE);
                DmaMapping in = iommu.allocate(PAGE, DmaDirection.FROM_DEVICE)) {
            out.memory().set(JAVA_BYTE, 7, (byte) 7);
            assertThat(read(host, out.iova() + 7)).isEqualTo((byte) 7);
            assertThatExceptionOfType(DmaFault.class).isThrownBy(() -> write(host, out.iova(), 1));
            assertThat(out.memory().get(JAVA_BYTE, 0)).isZero();
            write(host, in.iova() + PAGE - 1, 9);
            assertThat(in.memory().get(JAVA_BYTE, PAGE - 1)).isEqualTo((byte) 9);
            assertThatExceptionOfType(DmaFault.class).isThrownBy(() -> read(host, in.iova()))
                    .withMessageContaining("not for devices to read");
        }
    }

    @Test
    void anAccessGoesOnInTheNextMappingAndUpToAFault() throws VfioException, DmaFault {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment first = arena.allocate(PAGE, PAGE);
            MemorySegment second = arena.allocate(PAGE, PAGE);
            DmaMapping low = iommu.map(0x10000, first, DmaDirection.BIDIRECTIONAL);
            DmaMapping high = iommu.map(0x10000 + PAGE, second, DmaDirection.BIDIRECTIONAL);
            host.dmaWrite(0x10000 + PAGE - 2, MemorySegment.ofArray(new byte[]{1, 2, 3, 4}));
            assertThat(first.asSlice(PAGE - 2).toArray(JAVA_BYTE)).containsExactly(1, 2);
            assertThat(second.asSlice(0, 3).toArray(JAVA_BYTE)).containsExactly(3, 4, 0);
            assertThatExceptionOfType(DmaFault.class)
                    .isThrownBy(() -> host.dmaWrite(0x10000 + 2 * PAGE - 1, MemorySegment.ofArray(new byte[]{5, 6})))
                    .withMessage("DMA fault at IOVA 0x12000: nothing is mapped there");
            assertThat(second.get(JAVA_BYTE, PAGE - 1)).as("what is before the fault").isEqualTo((byte) 5);
            low.unmap();
            assertThatExceptionOfType(DmaFault.class).isThrownBy(() -> read(host, 0x10000));
            assertThat(read(host, 0x10000 + PAGE)).isEqualTo((byte) 3);
            high.unmap();
            assertThatExceptionOfType(DmaFault.class).isThrownBy(() -> read(host, 0x10000 + PAGE));
        }
    }

    @Test
    void withoutBusMasteringThereIsNoDma() throws VfioException, DmaFault {
        try (DmaMapping mapping = iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL)) {
            device.config().setBusMaster(false);
            assertThatExceptionOfType(DmaFault.class).isThrownBy(() -> read(host, mapping.iova()))
                    .withMessageContaining("bus master");
            device.config().setBusMaster(true);
            assertThat(read(host, mapping.iova())).isZero();
            device.close();
            assertThatExceptionOfType(DmaFault.class).isThrownBy(() -> read(host, mapping.iova()));
        }
    }

    @Test
    void memoryThatWasFreedUnderADeviceIsTold() throws VfioException {
        DmaMapping mapping;
        try (Arena arena = Arena.ofShared()) {
            mapping = iommu.map(arena.allocate(PAGE, PAGE), DmaDirection.BIDIRECTIONAL);
        }
        assertThatIllegalStateException().isThrownBy(() -> write(host, mapping.iova(), 1))
                .withMessageContaining("the program has freed it").withMessageContaining("unmap memory before");
        mapping.unmap();
    }

    @Test
    void memoryOfOneThreadIsToldFromWhichADeviceOfAnotherCanNotReachIt() throws Exception {
        try (Arena arena = Arena.ofConfined()) {
            DmaMapping mapping = iommu.map(arena.allocate(PAGE, PAGE), DmaDirection.BIDIRECTIONAL);
            Throwable[] thrown = new Throwable[1];
            Thread.ofPlatform().start(() -> thrown[0] = catchThrowable(() -> read(host, mapping.iova()))).join();
            assertThat(thrown[0]).isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("shared or automatic arena");
            mapping.close();
        }
    }

    @Test
    void whatIsMappedIsLockedAndLimited() throws VfioException {
        DmaMapping mapping = iommu.allocate(5 * PAGE, DmaDirection.BIDIRECTIONAL);
        assertThat(process.lockedMemory()).isEqualTo(5 * PAGE);
        DmaMapping again = iommu.map(mapping.memory(), DmaDirection.TO_DEVICE);
        assertThat(process.lockedMemory()).as("counted for each mapping").isEqualTo(10 * PAGE);
        again.close();
        iommu.allocate(20 * PAGE, DmaDirection.BIDIRECTIONAL).close();
        assertThat(iommu.dmaLimits().lockedMemory()).hasValue(16 * PAGE);
        process.withoutIpcLock();
        assertThatExceptionOfType(VfioException.class)
                .isThrownBy(() -> iommu.allocate(12 * PAGE, DmaDirection.BIDIRECTIONAL))
                .matches(e -> e.is(Errno.ENOMEM))
                .withMessageContaining("RLIMIT_MEMLOCK is 65536 bytes, 64 in 'ulimit -l'");
        assertThat(process.lockedMemory()).isEqualTo(5 * PAGE);
        iommu.allocate(11 * PAGE, DmaDirection.BIDIRECTIONAL);
        mapping.unmap();
        assertThat(process.lockedMemory()).isEqualTo(11 * PAGE);
        device.close();
    }
}
