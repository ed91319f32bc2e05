package io.github.vfio4j.faults;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaDirtyTracking;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.PciConfigSpace;
import io.github.vfio4j.device.PciIrq;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.DirtyBitmap;
import io.github.vfio4j.feature.DmaLoggingSession;
import io.github.vfio4j.feature.IovaRange;
import io.github.vfio4j.migration.MigrationDriver;
import io.github.vfio4j.migration.MigrationListener;
import io.github.vfio4j.migration.MigrationOptions;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.nio.channels.Channels;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

/**
 * Whatever a kernel's drivers answer, an operation ends after a bounded number of calls and without much memory, with an
 * answer or an {@link IOException}.
 */
class HostileKernelTest {

    private static final PciAddress PCI = PciAddress.parse("0000:02:00.0");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final long MOST_BYTES = 64 << 20;
    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private interface Operation {
        void run() throws Exception;
    }

    private static EmulatedProcess machine() {
        return EmulatedKernel.builder(KernelProfile.LINUX_7_2.withCdev().withIommufdDriver())
                .pciFunction(PCI.toString(),
                        function -> function.sriov(1).memoryBar(0, 1 << 14).memoryBar(2, 4096).msi(2).msix(4, 0))
                .mtty(MTTY, 1).build().newProcess();
    }

    /** Only what is documented, and in proportion. */
    private static void attempt(Operation operation) throws Exception {
        long before = THREADS.getCurrentThreadAllocatedBytes();
        try {
            operation.run();
        } catch (IOException e) {
            assertThat(e.getMessage()).isNotBlank().doesNotContain("\n");
        }
        assertThat(THREADS.getCurrentThreadAllocatedBytes() - before).as("bytes allocated").isLessThan(MOST_BYTES);
    }

    @Property
    void whatADeviceTellsIsTakenOrRefused(@ForAll long seed, @ForAll @IntRange(min = 1, max = 4) int oneIn)
            throws Exception {
        tell(seed, oneIn);
    }

    private static void tell(long seed, int oneIn) throws Exception {
        EmulatedProcess process = machine();
        HostileKernel kernel = new HostileKernel(process, seed, oneIn);
        try (Arena arena = Arena.ofConfined();
                VfioContainer container = Vfio.using(kernel).openContainer();
                VfioDevice device = container.openDevice(PCI)) {
            kernel.begin();
            attempt(device::info);
            attempt(device::regions);
            attempt(device::hotResetInfo);
            for (PciIrq kind : PciIrq.values()) {
                attempt(() -> device.interrupts(kind).info());
            }
            for (int index = 0; index < 9; index++) {
                int region = index;
                attempt(() -> {
                    DeviceRegion known = device.region(region);
                    known.mappableAreas();
                    if (known.size() >= 4096) {
                        known.map(0, 4096).close();
                    }
                    if (known.size() > 0) {
                        known.get8(0);
                    }
                });
            }
            attempt(() -> {
                PciConfigSpace config = device.config();
                config.capabilities();
                config.extendedCapabilities();
                config.setMemoryEnabled(false);
                config.setMemoryEnabled(true);
                config.setBusMaster(true);
            });
            attempt(() -> device.region(0).registers());
            attempt(container::dmaLimits);
            attempt(() -> {
                try (DmaMapping mapping = container.allocate(4096, DmaDirection.BIDIRECTIONAL)) {
                    DmaDirtyTracking tracking = container.dirtyTracking().orElse(null);
                    if (tracking != null) {
                        tracking.start();
                        tracking.read(mapping.range(), arena).forEachDirtyRange((iova, length) -> {
                            assertThat(length).isPositive();
                        });
                    }
                }
            });
            attempt(() -> assertThat(device.probeAll()).hasSize(13));
            PciDevice function = Vfio.using(kernel).pciDevice(PCI);
            attempt(function::iommuGroup);
            attempt(function::sriovNumVfs);
            attempt(function::physicalFunction);
            attempt(function::driver);
            kernel.end();
        } catch (IOException e) {
            // Closing what may not be closed any more, a mapping for example.
            assertThat(e.getMessage()).isNotBlank();
        }
        assertThat(process.openFiles()).isEmpty();
    }

    @Property
    void whatAnIommufdTellsIsTakenOrRefused(@ForAll long seed, @ForAll @IntRange(min = 1, max = 2) int oneIn)
            throws Exception {
        EmulatedProcess process = machine();
        HostileKernel kernel = new HostileKernel(process, seed, oneIn);
        try (Iommu iommu = Vfio.using(kernel).openIommufd(); VfioDevice device = iommu.openDevice(PCI)) {
            kernel.begin();
            attempt(iommu::dmaLimits);
            attempt(() -> iommu.allocate(8192, DmaDirection.BIDIRECTIONAL).close());
            attempt(device::info);
            kernel.end();
        } catch (IOException e) {
            assertThat(e.getMessage()).isNotBlank();
        }
        assertThat(process.openFiles()).isEmpty();
    }

    @Property
    void whatAMigratingDeviceTellsIsTakenOrRefused(@ForAll long seed, @ForAll @IntRange(min = 1, max = 4) int oneIn)
            throws Exception {
        EmulatedProcess process = machine();
        HostileKernel kernel = new HostileKernel(process, seed, oneIn);
        try (Arena arena = Arena.ofConfined();
                VfioContainer container = Vfio.using(kernel).openContainer();
                VfioDevice device = container.openMediatedDevice(MTTY)) {
            kernel.begin();
            attempt(() -> {
                MigrationDriver driver = MigrationDriver.of(device).orElse(null);
                if (driver != null) {
                    driver.feature().dataSize();
                    driver.save(
                            Channels.newChannel(new ByteArrayOutputStream()), MigrationOptions.DEFAULT.withPrecopy(3, 0)
                                    .withBufferSize(4096).withStallTimeout(Duration.ZERO).withResetOnFailure(),
                            MigrationListener.NONE);
                }
            });
            attempt(() -> {
                var logging = device.dmaLogging().orElse(null);
                if (logging != null) {
                    IovaRange range = new IovaRange(0, 1 << 20);
                    try (DmaLoggingSession session = logging.start(List.of(range), 4096)) {
                        DirtyBitmap bitmap = DirtyBitmap.allocate(range, session.pageSize(), arena);
                        session.report(bitmap);
                        bitmap.forEachDirtyRange((iova, length) -> {
                            assertThat(range.iova()).isLessThanOrEqualTo(iova);
                            assertThat(iova + length).isLessThanOrEqualTo(range.iova() + range.length());
                        });
                    }
                }
            });
            kernel.end();
        } catch (IOException e) {
            assertThat(e.getMessage()).isNotBlank();
        }
        assertThat(process.openFiles()).isEmpty();
    }
}
