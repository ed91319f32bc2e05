package io.github.vfio4j.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.IovaRange;
import io.github.vfio4j.uapi.iommufd_h;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What random answers ({@link HostileKernelTest}) have brought to light, one by one. */
class HostileAnswersTest {

    private static final PciAddress PCI = PciAddress.parse("0000:02:00.0");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    private final EmulatedProcess process = EmulatedKernel
            .builder(KernelProfile.LINUX_7_2.withCdev().withIommufdDriver())
            .pciFunction(PCI.toString(), function -> function.memoryBar(0, 1 << 14)).mtty(MTTY, 1).build().newProcess();
    private final AtomicInteger calls = new AtomicInteger();

    private interface Answer {
        void change(MemorySegment argument);
    }

    /** The kernel, which answers a request otherwise. */
    private Vfio answering(long request, Answer answer) {
        return Vfio.using(new ForwardingBackend(process) {
            @Override
            public int ioctl(int fd, long made, MemorySegment argument, MemorySegment... pointees) {
                int result = super.ioctl(fd, made, argument, pointees);
                if (made == request && argument.byteSize() > 8) {
                    calls.incrementAndGet();
                    answer.change(argument);
                }
                return result;
            }
        });
    }

    private interface Use {
        void of(VfioDevice device) throws Exception;
    }

    private static void assertMalformed(Vfio vfio, Use use) throws VfioException {
        try (VfioContainer container = vfio.openContainer(); VfioDevice device = container.openDevice(PCI)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> use.of(device))
                    .withMessageContaining("malformed");
        }
    }

    @AfterEach
    void nothingIsLeftOpen() {
        assertThat(process.openFiles()).isEmpty();
    }

    /** A byte more each time is a million calls, each with memory of its own. */
    @Test
    void anAnswerThatGrowsWithItsRoomIsGivenUp() throws VfioException {
        assertMalformed(answering(vfio_h.VFIO_DEVICE_GET_INFO(),
                answer -> answer.set(ValueLayout.JAVA_INT, 0, (int) answer.byteSize() + 1)), VfioDevice::info);
        assertThat(calls).hasValueLessThan(10);
        try (VfioContainer container = answering(vfio_h.VFIO_IOMMU_GET_INFO(),
                answer -> answer.set(ValueLayout.JAVA_INT, 0, (int) answer.byteSize() + 1)).openContainer();
                VfioDevice device = container.openDevice(PCI)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(container::dmaLimits)
                    .withMessageContaining("malformed");
            assertThat(device.info().isPci()).isTrue();
        }
        assertThat(calls).hasValueLessThan(20);
    }

    @Test
    void moreRegionsThanAnyDeviceHasAreNotAskedFor() throws VfioException {
        for (int count : new int[]{4097, Integer.MAX_VALUE, -1}) {
            assertMalformed(
                    answering(vfio_h.VFIO_DEVICE_GET_INFO(), answer -> answer.set(ValueLayout.JAVA_INT, 8, count)),
                    VfioDevice::regions);
        }
    }

    @Test
    void aConfigurationSpaceWithoutAHeaderIsNone() throws VfioException {
        assertMalformed(answering(vfio_h.VFIO_DEVICE_GET_REGION_INFO(), answer -> {
            if (answer.get(ValueLayout.JAVA_INT, 8) == DeviceRegion.CONFIG) {
                answer.set(ValueLayout.JAVA_LONG, 16, 4);
            }
        }), device -> device.region(0).map());
    }

    @Test
    void moreRangesThanThereIsRoomForAreNotRead() throws VfioException {
        try (Iommu iommu = answering(iommufd_h.IOMMU_IOAS_IOVA_RANGES(),
                answer -> answer.set(ValueLayout.JAVA_INT, 8, 33)).openIommufd();
                VfioDevice device = iommu.openDevice(PCI)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(iommu::dmaLimits)
                    .withMessageContaining("33 ranges in the room for 32");
            assertThat(device.info().isPci()).isTrue();
        }
    }

    @Test
    void pagesThatNoMemoryFillsAreRefused() throws VfioException {
        for (long page : new long[]{1L << 62, 1 << 30, 1 << 27, 4 << 20}) {
            try (Iommu iommu = answering(iommufd_h.IOMMU_IOAS_IOVA_RANGES(),
                    answer -> answer.set(ValueLayout.JAVA_LONG, 24, page)).openIommufd();
                    VfioDevice device = iommu.openDevice(PCI)) {
                assertThatExceptionOfType(VfioException.class)
                        .isThrownBy(() -> iommu.allocate(4096, DmaDirection.BIDIRECTIONAL))
                        .withMessageContaining("malformed: the smallest page has " + page + " bytes");
                assertThat(device.info().isPci()).isTrue();
            }
        }
    }

    @Test
    void memoryIsAllocatedInPagesOfAnySizeThatIommusHave() throws VfioException {
        for (int page : new int[]{4096, 16 << 10, 64 << 10, 2 << 20}) {
            try (Iommu iommu = answering(iommufd_h.IOMMU_IOAS_IOVA_RANGES(),
                    answer -> answer.set(ValueLayout.JAVA_LONG, 24, page)).openIommufd();
                    VfioDevice device = iommu.openDevice(PCI);
                    DmaMapping mapping = iommu.allocate(1, DmaDirection.BIDIRECTIONAL)) {
                assertThat(mapping.byteSize()).isEqualTo(page);
                assertThat(mapping.memory().address() % page).isZero();
                assertThat(device.info().isPci()).isTrue();
            }
        }
    }

    @Test
    void aDeviceThatLogsByImpossiblePagesIsToldToStop() throws VfioException {
        int start = 6 | 1 << 17;
        try (VfioContainer container = answering(vfio_h.VFIO_DEVICE_FEATURE(), answer -> {
            if (answer.get(ValueLayout.JAVA_INT, 4) == start) {
                answer.set(ValueLayout.JAVA_LONG, 8, 6);
            }
        }).openContainer(); VfioDevice device = container.openMediatedDevice(MTTY)) {
            var logging = device.dmaLogging().orElseThrow();
            List<IovaRange> ranges = List.of(new IovaRange(0, 1 << 20));
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> logging.start(ranges, 4096))
                    .withMessageContaining("pages of 6 bytes").satisfies(e -> assertThat(e.getSuppressed()).isEmpty());
        }
    }
}
