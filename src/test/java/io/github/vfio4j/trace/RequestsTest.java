package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Where the ioctls of {@code vfio.h} hand descriptors over: the offsets are those of its structs. */
class RequestsTest {

    private static final int SET_CONTAINER = 0x3b68;
    private static final int GET_DEVICE_FD = 0x3b6a;
    private static final int SET_IRQS = 0x3b6e;
    private static final int PCI_HOT_RESET = 0x3b71;
    private static final int GET_GFX_DMABUF = 0x3b73;
    private static final int IOEVENTFD = 0x3b74;
    private static final int FEATURE = 0x3b75;
    private static final int BIND_IOMMUFD = 0x3b76;

    /** An argument of that many bytes, which begins with these words. */
    private static MemorySegment argument(int size, int... words) {
        ByteBuffer bytes = ByteBuffer.allocate(Math.max(size, words.length * 4)).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(words);
        return MemorySegment.ofArray(Arrays.copyOf(bytes.array(), size));
    }

    private static int[] descriptorsIn(FileKind kind, int request, int size, int... words) {
        return Requests.descriptorsIn(kind, request, argument(size, words));
    }

    /** struct vfio_irq_set: argsz, flags, index, start, count, and an eventfd for each if the flags say so. */
    @ParameterizedTest
    @CsvSource({"4, 1, 24, 1", "4, 3, 32, 3", "0x24, 2, 28, 2", "4, 0, 24, 0",
            // No more than there is memory for, and nothing of half a descriptor.
            "4, 3, 28, 2", "4, 3, 31, 2", "4, 3, 20, 0", "4, -1, 24, 1", "4, 1, 19, 0", "4, 1, 0, 0",
            // No data, and bytes.
            "1, 1, 24, 0", "2, 4, 24, 0"})
    void interruptsAreHandedEventfds(String flags, int count, int size, int expected) {
        assertThat(descriptorsIn(FileKind.DEVICE, SET_IRQS, size, size, Integer.decode(flags), 0, 0, count))
                .containsExactly(IntStream.range(0, expected).map(i -> 20 + 4 * i).toArray());
    }

    /** struct vfio_pci_hot_reset: argsz, flags, count, descriptors. On a container the number is MAP_DMA. */
    @ParameterizedTest
    @CsvSource({"DEVICE, 2, 20, 2", "DEVICE, 2, 16, 1", "DEVICE, 2, 12, 0", "DEVICE, 2, 11, 0", "FILE, 1, 16, 1",
            "CONTAINER, 2, 20, 0", "IOMMUFD, 2, 20, 0"})
    void aHotResetIsHandedItsGroups(FileKind kind, int count, int size, int expected) {
        assertThat(descriptorsIn(kind, PCI_HOT_RESET, size, size, 0, count))
                .containsExactly(IntStream.range(0, expected).map(i -> 12 + 4 * i).toArray());
    }

    @ParameterizedTest
    @CsvSource({"0x3b68, 4, 0", "0x3b76, 16, 8", "0x3b76, 12, 8", "0x3b74, 32, 24", "0x3b74, 28, 24"})
    void aDescriptorStandsAtItsPlace(String request, int size, int offset) {
        int number = Integer.decode(request);
        assertThat(descriptorsIn(FileKind.DEVICE, number, size)).containsExactly(offset);
        assertThat(descriptorsIn(FileKind.DEVICE, number, offset + 3)).as("cut off").isEmpty();
    }

    @Test
    void theWakeUpEventfdStandsBehindTheHeader() {
        assertThat(descriptorsIn(FileKind.DEVICE, FEATURE, 16, 16, 1 << 17 | 4)).containsExactly(8);
        assertThat(descriptorsIn(FileKind.DEVICE, FEATURE, 11, 16, 1 << 17 | 4)).isEmpty();
        assertThat(descriptorsIn(FileKind.DEVICE, FEATURE, 7, 16)).as("no header").isEmpty();
        assertThat(descriptorsIn(FileKind.DEVICE, FEATURE, 16, 16, 1 << 17 | 3)).as("no descriptor").isEmpty();
        assertThat(descriptorsIn(FileKind.CONTAINER, FEATURE, 16, 16, 1 << 17 | 4)).as("DIRTY_PAGES").isEmpty();
    }

    @Test
    void aMigrationsDataDescriptorIsWrittenBehindTheState() {
        int set = 1 << 17 | 2;
        assertThat(Requests.descriptorOut(FileKind.DEVICE, FEATURE, argument(16, 16, set, 3, 7))).isEqualTo(12);
        assertThat(Requests.descriptorOut(FileKind.DEVICE, FEATURE, argument(16, 16, set, 3, 0))).isEqualTo(12);
        assertThat(Requests.descriptorOut(FileKind.DEVICE, FEATURE, argument(16, 16, set, 1, -1))).isNegative();
        assertThat(Requests.descriptorOut(FileKind.DEVICE, FEATURE, argument(15, 16, set, 3, 7))).isNegative();
        assertThat(Requests.descriptorOut(FileKind.DEVICE, FEATURE, argument(16, 16, 1 << 18 | set, 3, 7)))
                .as("a probe").isNegative();
        assertThat(Requests.descriptorOut(FileKind.DEVICE, FEATURE, argument(16, 16, 1 << 17 | 4, 3, 7))).isNegative();
    }

    @Test
    void someCallsReturnADescriptor() {
        MemorySegment dmaBuf = argument(40, 40, 1 << 16 | 11);
        assertThat(Requests.descriptorReturned(FileKind.GROUP, GET_DEVICE_FD, argument(8))).isEqualTo(FileKind.DEVICE);
        assertThat(Requests.descriptorReturned(FileKind.DEVICE, GET_GFX_DMABUF, argument(4)))
                .isEqualTo(FileKind.DMA_BUF);
        assertThat(Requests.descriptorReturned(FileKind.DEVICE, FEATURE, dmaBuf)).isEqualTo(FileKind.DMA_BUF);
        assertThat(Requests.descriptorReturned(FileKind.CONTAINER, FEATURE, dmaBuf)).isNull();
        assertThat(Requests.descriptorReturned(FileKind.DEVICE, FEATURE, argument(40, 40, 1 << 18 | 11))).as("a probe")
                .isNull();
        assertThat(Requests.descriptorReturned(FileKind.DEVICE, FEATURE, argument(40, 40, 1 << 16 | 1))).isNull();
        assertThat(Requests.descriptorReturned(FileKind.GROUP, SET_CONTAINER, argument(4))).isNull();
        assertThat(Requests.descriptorReturned(FileKind.DEVICE, BIND_IOMMUFD, argument(16))).isNull();
        assertThat(Requests.descriptorReturned(FileKind.DEVICE, IOEVENTFD, argument(32))).isNull();
    }

    @ParameterizedTest
    @CsvSource({"DEVICE, 0x3b71, VFIO_DEVICE_PCI_HOT_RESET", "CONTAINER, 0x3b71, VFIO_IOMMU_MAP_DMA",
            "IOMMUFD, 0x3b72, VFIO_IOMMU_UNMAP_DMA", "DEVICE, 0x3b72, VFIO_DEVICE_QUERY_GFX_PLANE",
            "CONTAINER, 0x3b75, VFIO_IOMMU_DIRTY_PAGES", "GROUP, 0x3b75, VFIO_DEVICE_FEATURE",
            "CONTAINER, 0x3b66, VFIO_SET_IOMMU", "DEVICE, 0x3bff, request 0x3bff"})
    void aNumberHasANameOnEachKindOfFile(FileKind kind, String request, String name) {
        assertThat(Requests.name(kind, Integer.decode(request))).isEqualTo(name);
    }

    @ParameterizedTest
    @EnumSource(FileKind.class)
    void onlyAContainerHasNoFeatures(FileKind kind) {
        boolean container = kind == FileKind.CONTAINER || kind == FileKind.IOMMUFD;
        assertThat(Requests.isFeature(kind, FEATURE, argument(8))).isEqualTo(!container);
        assertThat(Requests.isFeature(kind, FEATURE, argument(7))).isFalse();
        assertThat(Requests.isFeature(kind, BIND_IOMMUFD, argument(8))).isFalse();
    }

    @ParameterizedTest
    @CsvSource({"/dev/vfio/vfio, CONTAINER", "/dev/iommu, IOMMUFD", "/dev/vfio/devices/vfio0, DEVICE",
            "/dev/vfio/17, GROUP", "/dev/vfio/noiommu-3, GROUP", "/dev/vfio/17x, FILE", "/dev/null, FILE"})
    void aFileIsKnownByItsPath(String path, FileKind kind) {
        assertThat(FileKind.ofPath(path)).isEqualTo(kind);
    }
}
