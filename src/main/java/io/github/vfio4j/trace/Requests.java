package io.github.vfio4j.trace;

import static io.github.vfio4j.uapi.iommufd_h.IOMMU_DESTROY;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_ALLOC;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_COPY;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_IOVA_RANGES;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_UNMAP;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_VFIO_IOAS;
import static io.github.vfio4j.uapi.vfio_h.*;

import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.uapi.iommu_ioas_map;
import io.github.vfio4j.uapi.vfio_device_bind_iommufd;
import io.github.vfio4j.uapi.vfio_device_feature;
import io.github.vfio4j.uapi.vfio_device_feature_mig_state;
import io.github.vfio4j.uapi.vfio_device_ioeventfd;
import io.github.vfio4j.uapi.vfio_iommu_type1_dma_map;
import io.github.vfio4j.uapi.vfio_irq_set;
import io.github.vfio4j.uapi.vfio_pci_hot_reset;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * What is known of the ioctls of {@code vfio.h} and {@code iommufd.h}: their names, and where they hand descriptors over. One number has a
 * different meaning on a container than on a device.
 */
final class Requests {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final int NO_OFFSET = -1;

    private static final Map<Long, String> NAMES = Map.ofEntries(name(VFIO_GET_API_VERSION(), "VFIO_GET_API_VERSION"),
            name(VFIO_CHECK_EXTENSION(), "VFIO_CHECK_EXTENSION"), name(VFIO_SET_IOMMU(), "VFIO_SET_IOMMU"),
            name(VFIO_GROUP_GET_STATUS(), "VFIO_GROUP_GET_STATUS"),
            name(VFIO_GROUP_SET_CONTAINER(), "VFIO_GROUP_SET_CONTAINER"),
            name(VFIO_GROUP_UNSET_CONTAINER(), "VFIO_GROUP_UNSET_CONTAINER"),
            name(VFIO_GROUP_GET_DEVICE_FD(), "VFIO_GROUP_GET_DEVICE_FD"),
            name(VFIO_DEVICE_GET_INFO(), "VFIO_DEVICE_GET_INFO"),
            name(VFIO_DEVICE_GET_REGION_INFO(), "VFIO_DEVICE_GET_REGION_INFO"),
            name(VFIO_DEVICE_GET_IRQ_INFO(), "VFIO_DEVICE_GET_IRQ_INFO"),
            name(VFIO_DEVICE_SET_IRQS(), "VFIO_DEVICE_SET_IRQS"), name(VFIO_DEVICE_RESET(), "VFIO_DEVICE_RESET"),
            name(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO(), "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO"),
            name(VFIO_DEVICE_PCI_HOT_RESET(), "VFIO_DEVICE_PCI_HOT_RESET"),
            name(VFIO_DEVICE_QUERY_GFX_PLANE(), "VFIO_DEVICE_QUERY_GFX_PLANE"),
            name(VFIO_DEVICE_GET_GFX_DMABUF(), "VFIO_DEVICE_GET_GFX_DMABUF"),
            name(VFIO_DEVICE_IOEVENTFD(), "VFIO_DEVICE_IOEVENTFD"), name(VFIO_DEVICE_FEATURE(), "VFIO_DEVICE_FEATURE"),
            name(VFIO_DEVICE_BIND_IOMMUFD(), "VFIO_DEVICE_BIND_IOMMUFD"),
            name(VFIO_DEVICE_ATTACH_IOMMUFD_PT(), "VFIO_DEVICE_ATTACH_IOMMUFD_PT"),
            name(VFIO_DEVICE_DETACH_IOMMUFD_PT(), "VFIO_DEVICE_DETACH_IOMMUFD_PT"),
            name(VFIO_MIG_GET_PRECOPY_INFO(), "VFIO_MIG_GET_PRECOPY_INFO"), name(IOMMU_DESTROY(), "IOMMU_DESTROY"),
            name(IOMMU_IOAS_ALLOC(), "IOMMU_IOAS_ALLOC"), name(IOMMU_IOAS_COPY(), "IOMMU_IOAS_COPY"),
            name(IOMMU_IOAS_IOVA_RANGES(), "IOMMU_IOAS_IOVA_RANGES"), name(IOMMU_IOAS_MAP(), "IOMMU_IOAS_MAP"),
            name(IOMMU_IOAS_UNMAP(), "IOMMU_IOAS_UNMAP"), name(IOMMU_VFIO_IOAS(), "IOMMU_VFIO_IOAS"));

    /** What the numbers mean on a container. */
    private static final Map<Long, String> CONTAINER_NAMES = Map.ofEntries(
            name(VFIO_IOMMU_GET_INFO(), "VFIO_IOMMU_GET_INFO"), name(VFIO_IOMMU_MAP_DMA(), "VFIO_IOMMU_MAP_DMA"),
            name(VFIO_IOMMU_UNMAP_DMA(), "VFIO_IOMMU_UNMAP_DMA"),
            name(VFIO_IOMMU_DIRTY_PAGES(), "VFIO_IOMMU_DIRTY_PAGES"));

    private Requests() {
    }

    private static Map.Entry<Long, String> name(int request, String name) {
        return Map.entry((long) request, name);
    }

    private static boolean usesContainerNumbers(FileKind kind) {
        return kind == FileKind.CONTAINER || kind == FileKind.IOMMUFD;
    }

    /** The request's name; its number where it has none. */
    static String name(FileKind kind, long request) {
        String name = usesContainerNumbers(kind) ? CONTAINER_NAMES.get(request) : null;
        name = name != null ? name : NAMES.get(request);
        return Objects.requireNonNullElseGet(name, () -> "request 0x" + Long.toHexString(request));
    }

    /** Whether this is VFIO_DEVICE_FEATURE, with a whole header. */
    static boolean isFeature(FileKind kind, long request, MemorySegment argument) {
        return request == VFIO_DEVICE_FEATURE() && !usesContainerNumbers(kind)
                && argument.byteSize() >= vfio_device_feature.sizeof();
    }

    static boolean isFeature(FeatureId feature, FileKind kind, long request, MemorySegment argument) {
        return isFeature(kind, request, argument) && (flags(argument) & VFIO_DEVICE_FEATURE_MASK()) == feature.index();
    }

    private static int flags(MemorySegment feature) {
        return feature.get(INT, vfio_device_feature.flags$offset());
    }

    /** How much memory a call maps for DMA; empty if it maps none. */
    static OptionalLong mappedSize(FileKind kind, long request, MemorySegment argument) {
        long offset = request == VFIO_IOMMU_MAP_DMA() && usesContainerNumbers(kind)
                ? vfio_iommu_type1_dma_map.size$offset()
                : request == IOMMU_IOAS_MAP() ? iommu_ioas_map.length$offset() : NO_OFFSET;
        return offset < 0 || argument.byteSize() < offset + Long.BYTES
                ? OptionalLong.empty()
                : OptionalLong.of(argument.get(ValueLayout.JAVA_LONG_UNALIGNED, offset));
    }

    /** Where a call is handed descriptors: offsets in its argument. */
    static int[] descriptorsIn(FileKind kind, long request, MemorySegment argument) {
        return offsets(kind, request, argument).filter(at -> at >= 0 && at + Integer.BYTES <= argument.byteSize())
                .toArray();
    }

    private static IntStream offsets(FileKind kind, long request, MemorySegment argument) {
        if (request == VFIO_GROUP_SET_CONTAINER()) {
            return IntStream.of(0);
        }
        if (request == VFIO_DEVICE_BIND_IOMMUFD()) {
            return IntStream.of((int) vfio_device_bind_iommufd.iommufd$offset());
        }
        if (request == VFIO_DEVICE_IOEVENTFD()) {
            return IntStream.of((int) vfio_device_ioeventfd.fd$offset());
        }
        if (isFeature(FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP, kind, request, argument)) {
            return IntStream.of((int) vfio_device_feature.sizeof());
        }
        if (request == VFIO_DEVICE_SET_IRQS() && argument.byteSize() >= vfio_irq_set.data$offset()) {
            boolean eventfds = (argument.get(INT, vfio_irq_set.flags$offset()) & VFIO_IRQ_SET_DATA_EVENTFD()) != 0;
            return eventfds
                    ? array(argument, vfio_irq_set.count$offset(), vfio_irq_set.data$offset())
                    : IntStream.empty();
        }
        return request == VFIO_DEVICE_PCI_HOT_RESET() && !usesContainerNumbers(kind)
                && argument.byteSize() >= vfio_pci_hot_reset.group_fds$offset()
                        ? array(argument, vfio_pci_hot_reset.count$offset(), vfio_pci_hot_reset.group_fds$offset())
                        : IntStream.empty();
    }

    /** As many as the count says, or as there is memory for. */
    private static IntStream array(MemorySegment argument, long countOffset, long offset) {
        long room = (argument.byteSize() - offset) / Integer.BYTES;
        long count = Math.min(Integer.toUnsignedLong(argument.get(INT, countOffset)), room);
        return IntStream.range(0, (int) count).map(i -> (int) offset + i * Integer.BYTES);
    }

    /** Where a call that has succeeded has written a new descriptor; −1 if nowhere. */
    static int descriptorOut(FileKind kind, long request, MemorySegment after) {
        int at = (int) (vfio_device_feature.sizeof() + vfio_device_feature_mig_state.data_fd$offset());
        return isFeature(FeatureId.MIG_DEVICE_STATE, kind, request, after) && isCarriedOut(after)
                && after.byteSize() >= at + Integer.BYTES && after.get(INT, at) >= 0 ? at : NO_OFFSET;
    }

    private static boolean isCarriedOut(MemorySegment feature) {
        return (flags(feature) & VFIO_DEVICE_FEATURE_PROBE()) == 0;
    }

    /** What kind of descriptor the call returns; null if it returns none. */
    static @Nullable FileKind descriptorReturned(FileKind kind, long request, MemorySegment argument) {
        if (request == VFIO_GROUP_GET_DEVICE_FD()) {
            return FileKind.DEVICE;
        }
        boolean dmaBuf = request == VFIO_DEVICE_GET_GFX_DMABUF()
                || (isFeature(FeatureId.DMA_BUF, kind, request, argument) && isCarriedOut(argument));
        return dmaBuf ? FileKind.DMA_BUF : null;
    }
}
