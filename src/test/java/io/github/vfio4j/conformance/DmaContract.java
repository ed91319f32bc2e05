package io.github.vfio4j.conformance;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaDirtyTracking;
import io.github.vfio4j.DmaLimits;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.conformance.IommuContract.Way;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.RegionView;
import io.github.vfio4j.feature.DirtyBitmap;
import io.github.vfio4j.feature.IovaRange;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * DMA mappings of a device behind the IOMMU, by all kinds of {@link Iommu} that the machine has. Among them is what the
 * kernel's own tests try (tools/testing/selftests/vfio, vfio_dma_mapping_test): memory in pages of several sizes is mapped
 * and unmapped, one mapping of several is, all are, and the last addresses of each range can be mapped and none beyond.
 */
@SuppressWarnings("NullAway.Init") // set before each test
abstract class DmaContract {

    private static final long PAGE = 4096;
    private static final long MIB = 1L << 20;

    private Machine machine;
    private Vfio vfio;

    /** The machine this suite runs on. */
    abstract Machine machine();

    /** Its kernel alone, with nothing in between: what is mapped by one kernel is nothing to another. */
    abstract Vfio uncompared();

    @BeforeEach
    void begin() {
        machine = machine();
        vfio = Vfio.using(machine.backend());
    }

    /** What is done with a device open. */
    @FunctionalInterface
    interface Body {
        void run(Iommu iommu, Arena arena) throws VfioException;
    }

    /** By containers, and by iommufds where devices have files of their own. */
    private void inEach(Body body) throws VfioException {
        for (Way way : machine.profile().hasCdev() ? List.of(Way.CONTAINER, Way.IOMMUFD) : List.of(Way.CONTAINER)) {
            try (Arena arena = Arena.ofConfined();
                    Iommu iommu = way.open(vfio);
                    VfioDevice device = iommu.openDevice(machine.plainFunction())) {
                body.run(iommu, arena);
                assertThat(device).hasToString("device " + machine.plainFunction());
            }
        }
    }

    @Test
    void ownMemoryLivesAsLongAsItsMapping() throws VfioException {
        inEach((iommu, arena) -> {
            DmaMapping mapping = iommu.allocate(10_000, DmaDirection.BIDIRECTIONAL);
            assertThat(mapping.byteSize()).isEqualTo(3 * PAGE).isEqualTo(mapping.memory().byteSize());
            assertThat(mapping.iova()).isNotZero();
            assertThat(mapping.iova() % PAGE).isZero();
            assertThat(mapping.memory().mismatch(arena.allocate(3 * PAGE))).as("is zeroed").isEqualTo(-1);
            mapping.memory().set(JAVA_BYTE, 3 * PAGE - 1, (byte) 1);
            assertThat(mapping.isMapped()).isTrue();
            mapping.unmap();
            assertThat(mapping.isMapped()).isFalse();
            assertThat(mapping.memory().get(JAVA_BYTE, 3 * PAGE - 1)).isEqualTo((byte) 1);
            mapping.close();
            mapping.close();
            assertThatIllegalStateException().isThrownBy(() -> mapping.memory().get(JAVA_BYTE, 0));
        });
    }

    @ParameterizedTest
    @EnumSource(DmaDirection.class)
    void callersMemoryIsMappedAnyWay(DmaDirection direction) throws VfioException {
        inEach((iommu, arena) -> {
            MemorySegment memory = arena.allocate(2 * PAGE, PAGE);
            DmaMapping mapping = iommu.map(memory, direction);
            assertThat(mapping.memory()).isSameAs(memory);
            assertThat(mapping.direction()).isEqualTo(direction);
            mapping.close();
            assertThat(memory.get(JAVA_BYTE, 0)).as("is the caller's to free").isZero();
        });
    }

    @ParameterizedTest
    @ValueSource(longs = {PAGE, 64 << 10, 2 * MIB, 3 * MIB, 8 * MIB})
    void memoryIsMappedUnmappedAndMappedAgain(long size) throws VfioException {
        inEach((iommu, arena) -> {
            try (DmaMapping mapping = iommu.allocate(size, DmaDirection.BIDIRECTIONAL)) {
                if (size >= 2 * MIB) {
                    assertThat(mapping.iova() % (2 * MIB)).as("can be huge pages of the IOMMU").isZero();
                }
                mapping.unmap();
                assertThatIllegalStateException().isThrownBy(mapping::unmap).withMessageContaining("unmapped already");
                try (DmaMapping again = iommu.map(mapping.iova(), mapping.memory(), DmaDirection.TO_DEVICE)) {
                    assertThat(again.range()).isEqualTo(mapping.range());
                }
            }
        });
    }

    @Test
    void oneOfManyIsUnmappedAndThenAllAre() throws VfioException {
        inEach((iommu, arena) -> {
            List<DmaMapping> mappings = new ArrayList<>();
            for (int i = 0; i < 100; i++) {
                mappings.add(iommu.allocate(PAGE * (1 + i % 3), DmaDirection.BIDIRECTIONAL));
            }
            for (DmaMapping mapping : mappings) {
                assertThat(mappings).filteredOn(other -> other.range().overlaps(mapping.range())).as("overlaps none")
                        .containsExactly(mapping);
            }
            DmaMapping one = mappings.get(50);
            one.close();
            try (DmaMapping next = iommu.allocate(one.byteSize(), DmaDirection.BIDIRECTIONAL)) {
                assertThat(next.range()).as("the hole is filled").isEqualTo(one.range());
            }
            for (DmaMapping mapping : mappings) {
                mapping.close();
            }
            try (DmaMapping first = iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL)) {
                assertThat(first.iova()).isEqualTo(mappings.getFirst().iova());
            }
        });
    }

    @Test
    void theEndsOfEveryRangeCanBeMappedAndNothingBeyond() throws VfioException {
        inEach((iommu, arena) -> {
            MemorySegment memory = arena.allocate(2 * PAGE, PAGE);
            DmaLimits limits = iommu.dmaLimits();
            assertThat(limits.pageSize()).isEqualTo(PAGE);
            assertThat(limits.iovaRanges()).isNotEmpty();
            for (IovaRange range : limits.iovaRanges()) {
                iommu.map(range.iova(), memory, DmaDirection.BIDIRECTIONAL).unmap();
                iommu.map(range.last() + 1 - 2 * PAGE, memory, DmaDirection.BIDIRECTIONAL).unmap();
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> iommu.map(range.last() + 1 - PAGE, memory, DmaDirection.BIDIRECTIONAL))
                        .withMessageContaining("not within one of the ranges").withMessageContaining(range.toString());
            }
            assertThatIllegalArgumentException().isThrownBy(() -> iommu.map(-PAGE, memory, DmaDirection.BIDIRECTIONAL))
                    .withMessageContaining("no range of 8192 bytes at 0xfffffffffffff000");
        });
    }

    @Test
    void everyMappingTakesOneOfThoseThatAreLeft() throws VfioException {
        inEach((iommu, arena) -> {
            var before = iommu.dmaLimits().availableMappings();
            try (DmaMapping mapping = iommu.allocate(PAGE, DmaDirection.TO_DEVICE)) {
                assertThat(mapping.isMapped()).isTrue();
                var after = iommu.dmaLimits().availableMappings();
                assertThat(after.isPresent()).isEqualTo(before.isPresent());
                if (before.isPresent()) {
                    assertThat(after).hasValue(before.getAsLong() - 1);
                }
            }
            assertThat(iommu.dmaLimits().availableMappings()).isEqualTo(before);
        });
    }

    @Test
    void whatCanNotBeMappedIsRefusedBeforeTheKernelIsAsked() throws VfioException {
        inEach((iommu, arena) -> {
            MemorySegment memory = arena.allocate(3 * PAGE, PAGE);
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> iommu.map(MemorySegment.ofArray(new byte[4096]), DmaDirection.TO_DEVICE))
                    .withMessageContaining("Java heap");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> iommu.map(memory.asSlice(0, 0), DmaDirection.TO_DEVICE))
                    .withMessageContaining("0 bytes");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> iommu.map(memory.asSlice(8, PAGE), DmaDirection.TO_DEVICE))
                    .withMessageContaining("Arena.allocate(size, 4096)");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> iommu.map(memory.asSlice(0, PAGE + 8), DmaDirection.TO_DEVICE))
                    .withMessageContaining("4104 bytes");
            assertThatIllegalArgumentException().isThrownBy(() -> iommu.map(PAGE + 8, memory, DmaDirection.TO_DEVICE))
                    .withMessageContaining("none begins at IOVA 0x1008");
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> iommu.map(memory.asReadOnly(), DmaDirection.FROM_DEVICE))
                    .withMessageContaining("read-only");
            assertThatIllegalArgumentException().isThrownBy(() -> iommu.allocate(0, DmaDirection.TO_DEVICE));
            assertThatIllegalArgumentException().isThrownBy(() -> iommu.allocate(-1, DmaDirection.TO_DEVICE));
            MemorySegment freed = freed();
            assertThatIllegalStateException().isThrownBy(() -> iommu.map(freed, DmaDirection.TO_DEVICE))
                    .withMessageContaining("memory is freed");
            DmaMapping there = iommu.map(16 * PAGE, memory, DmaDirection.TO_DEVICE);
            for (long iova : new long[]{14 * PAGE, 16 * PAGE, 18 * PAGE}) {
                assertThatIllegalArgumentException().isThrownBy(() -> iommu.map(iova, memory, DmaDirection.TO_DEVICE))
                        .withMessageContaining("there is the DMA mapping 0x10000-0x12fff TO_DEVICE");
            }
            iommu.map(13 * PAGE, memory, DmaDirection.TO_DEVICE).close();
            iommu.map(19 * PAGE, memory, DmaDirection.TO_DEVICE).close();
            there.close();
            iommu.map(memory.asReadOnly(), DmaDirection.TO_DEVICE).close();
        });
    }

    private static MemorySegment freed() {
        try (Arena arena = Arena.ofConfined()) {
            return arena.allocate(PAGE, PAGE);
        }
    }

    /** For one device to reach another's, as in the kernel's vfio_dma_mapping_mmio_test. */
    @Test
    void theMemoryOfADeviceIsMappedByContainersOnly() throws VfioException {
        for (Way way : machine.profile().hasCdev() ? List.of(Way.CONTAINER, Way.IOMMUFD) : List.of(Way.CONTAINER)) {
            try (Iommu iommu = way.open(uncompared());
                    VfioDevice device = iommu.openDevice(machine.plainFunction());
                    RegionView bar = device.region(DeviceRegion.BAR0).map()) {
                MemorySegment all = bar.segment();
                for (MemorySegment part : List.of(all, all.asSlice(0, PAGE), all.asSlice(all.byteSize() - PAGE))) {
                    if (way == Way.CONTAINER) {
                        iommu.map(part, DmaDirection.BIDIRECTIONAL).unmap();
                    } else {
                        assertThatExceptionOfType(VfioException.class)
                                .isThrownBy(() -> iommu.map(part, DmaDirection.BIDIRECTIONAL))
                                .matches(e -> e.is(Errno.EFAULT)).withMessageContaining("an iommufd does not");
                    }
                }
                iommu.allocate(PAGE, DmaDirection.BIDIRECTIONAL).close();
            }
        }
    }

    @Test
    void everythingEndsWithTheIommu() throws VfioException {
        List<DmaMapping> mappings = new ArrayList<>();
        List<Iommu> closed = new ArrayList<>();
        inEach((iommu, arena) -> {
            mappings.add(iommu.allocate(PAGE, DmaDirection.TO_DEVICE));
            mappings.add(iommu.allocate(PAGE, DmaDirection.TO_DEVICE));
            mappings.getLast().unmap();
            mappings.add(iommu.allocate(PAGE, DmaDirection.TO_DEVICE));
            mappings.getLast().close();
            iommu.close();
            closed.add(iommu);
        });
        for (DmaMapping mapping : mappings) {
            assertThat(mapping.isMapped()).isFalse();
            assertThatIllegalStateException().isThrownBy(() -> mapping.memory().get(JAVA_BYTE, 0));
            assertThatIllegalStateException().isThrownBy(mapping::unmap);
            mapping.close();
        }
        for (Iommu iommu : closed) {
            assertThatIllegalStateException().isThrownBy(() -> iommu.allocate(PAGE, DmaDirection.TO_DEVICE))
                    .withMessageContaining("is closed");
            assertThatIllegalStateException().isThrownBy(iommu::dmaLimits).withMessageContaining("is closed");
        }
    }

    @Test
    void aContainerHasMappingsOnlyAsLongAsItHasDevices() throws VfioException {
        try (VfioContainer container = vfio.openContainer()) {
            assertThatIllegalStateException().isThrownBy(() -> container.allocate(PAGE, DmaDirection.TO_DEVICE))
                    .withMessageContaining("Open a device first");
            DmaMapping mapping;
            try (VfioDevice device = container.openDevice(machine.plainFunction())) {
                mapping = container.allocate(PAGE, DmaDirection.TO_DEVICE);
                mapping.memory().set(JAVA_BYTE, 0, (byte) 7);
                assertThat(device.probeAll()).isNotEmpty();
            }
            assertThat(mapping.isMapped()).isFalse();
            assertThat(mapping.memory().get(JAVA_BYTE, 0)).isEqualTo((byte) 7);
            assertThatIllegalStateException().isThrownBy(container::dmaLimits);
            try (VfioDevice device = container.openDevice(machine.plainFunction());
                    DmaMapping next = container.allocate(PAGE, DmaDirection.TO_DEVICE)) {
                assertThat(next.range()).as("the address is free again").isEqualTo(mapping.range());
                assertThat(device.probeAll()).isNotEmpty();
                mapping.unmap();
                assertThat(next.isMapped()).isTrue();
                assertThatIllegalStateException().isThrownBy(mapping::unmap);
            }
            mapping.close();
            assertThatIllegalStateException().isThrownBy(() -> mapping.memory().get(JAVA_BYTE, 0));
        }
    }

    @Test
    void withoutHelpOfTheIommuAllThatIsMappedIsDirty() throws VfioException {
        try (Arena arena = Arena.ofConfined();
                VfioContainer container = vfio.openContainer();
                VfioDevice device = container.openDevice(machine.plainFunction());
                DmaMapping first = container.map(16 * PAGE, arena.allocate(2 * PAGE, PAGE), DmaDirection.BIDIRECTIONAL);
                DmaMapping second = container.map(20 * PAGE, arena.allocate(PAGE, PAGE), DmaDirection.BIDIRECTIONAL)) {
            assertThat(container.dirtyTracking().isPresent()).isEqualTo(machine.profile().type1DirtyPages());
            assertThat(List.of(first, second)).allMatch(DmaMapping::isMapped);
            assertThat(device.probeAll()).isNotEmpty();
            if (container.dirtyTracking().isEmpty()) {
                return;
            }
            DmaDirtyTracking tracking = container.dirtyTracking().orElseThrow();
            IovaRange both = new IovaRange(16 * PAGE, 5 * PAGE);
            assertThat(tracking.pageSize()).isEqualTo(PAGE);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> tracking.read(both, arena))
                    .withMessageContaining("Tracking is not on");
            tracking.start();
            tracking.start();
            DirtyBitmap bitmap = tracking.read(both, arena);
            List<IovaRange> dirty = new ArrayList<>();
            bitmap.forEachDirtyRange((iova, length) -> dirty.add(new IovaRange(iova, length)));
            assertThat(dirty).containsExactly(first.range(), second.range());
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> tracking.read(new IovaRange(17 * PAGE, PAGE), arena))
                    .withMessageContaining("cuts a mapping");
            tracking.stop();
        }
    }
}
