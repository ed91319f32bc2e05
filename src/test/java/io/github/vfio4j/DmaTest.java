package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.device.RegionView;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.IovaRange;
import io.github.vfio4j.uapi.iommufd_h;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** DMA mappings where something goes wrong, or there are many. The limit on time is only there so that a deadlock fails. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class DmaTest {

    private static final PciAddress PLAIN = PciAddress.parse("0000:02:00.0");
    private static final long PAGE = 4096;

    /** The kinds of an Iommu. */
    enum Kind {
        CONTAINER, IOMMUFD;

        Iommu open(Vfio vfio) throws VfioException {
            return this == CONTAINER ? vfio.openContainer() : vfio.openIommufd();
        }

        long mapRequest() {
            return this == CONTAINER ? vfio_h.VFIO_IOMMU_MAP_DMA() : iommufd_h.IOMMU_IOAS_MAP();
        }

        long unmapRequest() {
            return this == CONTAINER ? vfio_h.VFIO_IOMMU_UNMAP_DMA() : iommufd_h.IOMMU_IOAS_UNMAP();
        }
    }

    private final EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2.withCdev())
            .pciFunction(PLAIN.toString(), function -> function.memoryBar(0, 4096)).build().newProcess();
    private final FaultInjectingBackend faults = new FaultInjectingBackend(process);
    private final Vfio vfio = Vfio.using(faults);

    private static boolean isFreed(DmaMapping mapping) {
        return !mapping.memory().scope().isAlive();
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void whicheverCallFailsNothingLeaks(Kind kind) {
        long failed = 1;
        long run = 0;
        while (failed > 0) {
            run++;
            faults.clear();
            faults.inject(Fault.onAnyCall().nth(run).fails(Errno.EIO));
            List<DmaMapping> mappings = new ArrayList<>();
            boolean isRefused = false;
            try (Arena arena = Arena.ofConfined();
                    Iommu iommu = kind.open(vfio);
                    VfioDevice device = iommu.openDevice(PLAIN)) {
                mappings.add(iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL));
                MemorySegment memory = arena.allocate(2 * PAGE, PAGE);
                mappings.add(iommu.map(0x10000, memory, DmaDirection.TO_DEVICE));
                mappings.add(iommu.allocate(PAGE, DmaDirection.FROM_DEVICE));
                assertThat(iommu.dmaLimits().iovaRanges()).isNotEmpty();
                mappings.get(1).unmap();
                mappings.add(iommu.map(0x10000, memory, DmaDirection.TO_DEVICE));
                mappings.get(0).close();
                assertThat(device.probe(FeatureId.DMA_BUF)).isNotNull();
            } catch (VfioException e) {
                isRefused = true;
            }
            failed = faults.injected();
            assertThat(process.openFiles()).as("open after a failure of call %s", run).isEmpty();
            assertThat(mappings).filteredOn(mapping -> mapping.memory().byteSize() == PAGE)
                    .as("memory not freed after a failure of call %s", run).allMatch(DmaTest::isFreed);
            assertThat(mappings).noneMatch(DmaMapping::isMapped);
            if (failed == 0) {
                assertThat(isRefused).isFalse();
            }
        }
        assertThat(run).as("calls that were made to fail").isGreaterThan(15);
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void whatCanNotBeUnmappedStaysMappedAndIsNotFreed(Kind kind) throws VfioException {
        try (Iommu iommu = kind.open(vfio); VfioDevice device = iommu.openDevice(PLAIN)) {
            DmaMapping mapping = iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL);
            faults.inject(Fault.onRequest(kind.unmapRequest()).fails(Errno.EIO));
            assertThatExceptionOfType(VfioException.class).isThrownBy(mapping::close).withMessageContaining("UNMAP")
                    .withMessageContaining("0x1000-0x1fff");
            assertThat(mapping.isMapped()).isTrue();
            assertThat(isFreed(mapping)).isFalse();
            faults.clear();
            mapping.close();
            assertThat(isFreed(mapping)).isTrue();
            assertThat(device.probeAll()).isNotEmpty();
        }
    }

    static Stream<Arguments> refusals() {
        return Stream.of(Kind.values())
                .flatMap(kind -> Stream.of(Arguments.of(kind, Errno.ENOMEM, "RLIMIT_MEMLOCK"),
                        Arguments.of(kind, Errno.ENOSPC, "dma_entry_limit"),
                        Arguments.of(kind, Errno.EFAULT, "The memory is not there"),
                        Arguments.of(kind, Errno.EEXIST, "Somebody else has mapped"),
                        Arguments.of(kind, Errno.EINVAL, "The IOMMU can't do that")));
    }

    @ParameterizedTest
    @MethodSource("refusals")
    void whatTheKernelRefusesIsExplained(Kind kind, Errno errno, String remedy) throws VfioException {
        try (Iommu iommu = kind.open(vfio); VfioDevice device = iommu.openDevice(PLAIN)) {
            faults.inject(Fault.onRequest(kind.mapRequest()).fails(errno));
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL)).matches(e -> e.is(errno))
                    .withMessageContaining("at 0x1000-0x1fff").withMessageContaining(remedy);
            faults.clear();
            try (DmaMapping mapping = iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL)) {
                assertThat(mapping.iova()).as("the address is free again").isEqualTo(PAGE);
            }
            assertThat(device.probeAll()).isNotEmpty();
        }
    }

    @Test
    void aContainerTakes65535MappingsAndSaysWhatToDo() throws VfioException {
        try (Arena arena = Arena.ofConfined();
                Iommu iommu = vfio.openContainer();
                VfioDevice device = iommu.openDevice(PLAIN)) {
            MemorySegment memory = arena.allocate(PAGE, PAGE);
            List<DmaMapping> mappings = new ArrayList<>();
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> mapMany(iommu, memory, mappings))
                    .matches(e -> e.is(Errno.ENOSPC)).withMessageContaining("65535")
                    .withMessageContaining("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
            assertThat(mappings).hasSize(65_535);
            assertThat(iommu.dmaLimits().availableMappings()).hasValue(0);
            mappings.get(100).unmap();
            assertThat(iommu.map(memory, DmaDirection.TO_DEVICE).range()).isEqualTo(mappings.get(100).range());
            assertThat(device.probeAll()).isNotEmpty();
        }
        assertThat(process.openFiles()).isEmpty();
    }

    @Test
    void anIommufdTakes70000Mappings() throws VfioException {
        try (Arena arena = Arena.ofConfined();
                Iommu iommu = vfio.openIommufd();
                VfioDevice device = iommu.openDevice(PLAIN)) {
            MemorySegment memory = arena.allocate(PAGE, PAGE);
            List<DmaMapping> mappings = new ArrayList<>();
            mapMany(iommu, memory, mappings);
            assertThat(mappings.getLast().iova()).isEqualTo(70_000 * PAGE);
            for (DmaMapping mapping : mappings) {
                mapping.close();
            }
            try (DmaMapping whole = iommu.map(memory, DmaDirection.TO_DEVICE)) {
                assertThat(whole.iova()).isEqualTo(PAGE);
            }
            assertThat(device.probeAll()).isNotEmpty();
        }
        assertThat(process.openFiles()).isEmpty();
    }

    private static void mapMany(Iommu iommu, MemorySegment memory, List<DmaMapping> mappings) throws VfioException {
        for (int i = 0; i < 70_000; i++) {
            mappings.add(iommu.map(memory, DmaDirection.TO_DEVICE));
        }
    }

    /** The kernel looks at what is mapped when a group joins. */
    @Test
    void aDeviceThatMappingsKeepOutIsExplained() throws VfioException {
        EmulatedProcess user = EmulatedKernel.builder(KernelProfile.LINUX_6_12)
                .pciFunction(PLAIN.toString(), function -> function.group(5))
                .pciFunction("0000:03:00.0", function -> function.group(6)).build().newProcess();
        FaultInjectingBackend second = new FaultInjectingBackend(user);
        try (VfioContainer container = Vfio.using(second).openContainer();
                VfioDevice device = container.openDevice(PLAIN);
                DmaMapping mapping = container.allocate(PAGE, DmaDirection.TO_DEVICE)) {
            second.inject(Fault.onRequest(vfio_h.VFIO_GROUP_SET_CONTAINER()).fails(Errno.EINVAL));
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> container.openDevice(PciAddress.parse("0000:03:00.0")))
                    .matches(e -> e.is(Errno.EINVAL)).withMessageContaining("before anything is mapped");
            assertThat(device.probeAll()).isNotEmpty();
            assertThat(mapping.isMapped()).isTrue();
        }
        assertThat(user.openDescriptors()).isEqualTo(3);
    }

    /** It is no memory of the process's, so none of that is locked. */
    @Test
    void memoryOfADeviceDoesNotCountAsLocked() throws VfioException {
        EmulatedProcess user = EmulatedKernel.builder(KernelProfile.LINUX_6_12).lockedMemoryLimit(4096)
                .pciFunction(PLAIN.toString(), function -> function.memoryBar(0, 1 << 20)).build().newProcess()
                .withoutIpcLock();
        try (VfioContainer container = Vfio.using(user).openContainer();
                VfioDevice device = container.openDevice(PLAIN)) {
            RegionView bar = device.region(0).map();
            DmaMapping ofDevice = container.map(bar.segment(), DmaDirection.BIDIRECTIONAL);
            assertThat(user.lockedMemory()).isZero();
            DmaMapping own = container.allocate(4096, DmaDirection.TO_DEVICE);
            assertThat(user.lockedMemory()).isEqualTo(4096);
            ofDevice.close();
            assertThat(user.lockedMemory()).isEqualTo(4096);
            own.close();
            assertThat(user.lockedMemory()).isZero();
        }
    }

    @Test
    void aContainerOfMediatedDevicesHasAllAddresses() throws VfioException {
        var uuid = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
        EmulatedProcess other = EmulatedKernel.builder(KernelProfile.LINUX_6_12).mtty(uuid, 1).build().newProcess();
        try (Arena arena = Arena.ofConfined();
                VfioContainer container = Vfio.using(other).openContainer();
                VfioDevice device = container.openMediatedDevice(uuid)) {
            assertThat(container.dmaLimits().iovaRanges()).containsExactly(new IovaRange(0, -PAGE));
            container.map(-2 * PAGE, arena.allocate(PAGE, PAGE), DmaDirection.TO_DEVICE).close();
            assertThat(device.probeAll()).isNotEmpty();
        }
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void memoryThatACallUsesIsNotFreed(Kind kind) throws VfioException {
        try (Iommu iommu = kind.open(vfio); VfioDevice device = iommu.openDevice(PLAIN)) {
            DmaMapping mapping = iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL);
            NativeCall.during(mapping.memory(), () -> {
                assertThatExceptionOfType(VfioException.class).isThrownBy(mapping::close)
                        .withMessageContaining("another thread is using it");
                assertThat(mapping.isMapped()).isFalse();
                assertThat(isFreed(mapping)).isFalse();
            });
            mapping.close();
            assertThat(isFreed(mapping)).isTrue();
            assertThat(device.probeAll()).isNotEmpty();
        }
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void closingTheIommuDoesNotFreeMemoryThatACallUsesButAllTheRest(Kind kind) throws VfioException {
        Iommu iommu = kind.open(vfio);
        iommu.openDevice(PLAIN);
        List<DmaMapping> mappings = new ArrayList<>();
        for (int i = 0; i < 10; i++) {
            mappings.add(iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL));
        }
        DmaMapping used = mappings.get(5);
        NativeCall.during(used.memory(), () -> assertThatExceptionOfType(VfioException.class).isThrownBy(iommu::close)
                .withMessageContaining(used.toString()));
        assertThat(mappings).filteredOn(mapping -> !isFreed(mapping)).containsExactly(used);
        assertThat(process.openFiles()).isEmpty();
        used.close();
        assertThat(isFreed(used)).isTrue();
        iommu.close();
    }

    @ParameterizedTest
    @EnumSource(Kind.class)
    void threadsMapWhileTheIommuIsClosed(Kind kind) throws Exception {
        for (int round = 0; round < 20; round++) {
            Iommu iommu = kind.open(vfio);
            VfioDevice device = iommu.openDevice(PLAIN);
            List<DmaMapping> mappings = Collections.synchronizedList(new ArrayList<>());
            List<Throwable> unexpected = Collections.synchronizedList(new ArrayList<>());
            CountDownLatch begun = new CountDownLatch(3);
            List<Thread> threads = Stream.generate(() -> Thread.ofPlatform().start(() -> {
                try {
                    while (true) {
                        DmaMapping mapping = iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL);
                        mappings.add(mapping);
                        begun.countDown();
                        if (mappings.size() % 3 == 0) {
                            mapping.close();
                        }
                    }
                } catch (IllegalStateException e) {
                    // The end: it is closed.
                } catch (VfioException | RuntimeException e) {
                    unexpected.add(e);
                } finally {
                    begun.countDown();
                }
            })).limit(3).toList();
            begun.await();
            iommu.close();
            for (Thread thread : threads) {
                thread.join();
            }
            device.close();
            assertThat(unexpected).isEmpty();
            assertThat(mappings).isNotEmpty().allMatch(DmaTest::isFreed).noneMatch(DmaMapping::isMapped);
            assertThat(process.openFiles()).isEmpty();
        }
    }

    @Test
    void theAddressesCanRunOut() throws VfioException {
        IoctlBackend backend = EmulatedKernel.builder(KernelProfile.LINUX_7_2).iommuAddressBits(33)
                .pciFunction(PLAIN.toString(), function -> function.memoryBar(0, 4096)).build().newProcess();
        try (Iommu iommu = Vfio.using(backend).openContainer();
                VfioDevice device = iommu.openDevice(PLAIN);
                Arena arena = Arena.ofConfined()) {
            long gib = 1L << 30;
            MemorySegment memory = arena.allocate(PAGE, PAGE);
            List<IovaRange> ranges = iommu.dmaLimits().iovaRanges();
            assertThat(ranges).hasSize(2);
            MemorySegment huge = virtual(memory, 5 * gib);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> iommu.map(huge, DmaDirection.TO_DEVICE))
                    .withMessageContaining("not that many free addresses").withMessageContaining(ranges.toString());
            assertThat(device.probeAll()).isNotEmpty();
        }
    }

    /** As if there were that much memory; only its size is looked at. */
    @SuppressWarnings("restricted")
    private static MemorySegment virtual(MemorySegment memory, long size) {
        return MemorySegment.ofAddress(memory.address()).reinterpret(size);
    }
}
