package io.github.vfio4j.feature;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.uapi.vfio_device_feature_dma_buf;
import io.github.vfio4j.uapi.vfio_region_dma_range;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/**
 * Feature 11, {@code DMA_BUF}: exports memory of a device's BAR, so that another device can reach it directly (semantics
 * §B.6). Safe for use by many threads.
 */
public final class DmaBufFeature {

    private final FeatureTarget device;

    private DmaBufFeature(FeatureTarget device) {
        this.device = device;
    }

    /**
     * The feature of a device.
     *
     * @param device
     *            any device
     * @return empty if its driver or the kernel can't export its memory
     * @throws VfioException
     *             if the device could not be asked
     */
    public static Optional<DmaBufFeature> of(FeatureTarget device) throws VfioException {
        return device.supports(FeatureId.DMA_BUF, FeatureOperation.GET)
                ? Optional.of(new DmaBufFeature(device))
                : Optional.empty();
    }

    /**
     * Exports ranges of a BAR as one buffer, in the order given; they may overlap.
     *
     * @param bar
     *            the memory BAR, 0‥5
     * @param ranges
     *            at least one
     * @return the DMA-buf, readable, writable and closed in programs this one starts. The kernel takes the memory out of
     *         its users' reach while the device sleeps or does not answer on the bus
     * @throws VfioException
     *             {@code ENODEV} if there is no such BAR, {@code EINVAL} for one of I/O ports, for a range that ends
     *             beyond it or is not aligned to the kernel's pages, {@code ENOMEM} for too many ranges
     * @throws IllegalArgumentException
     *             if there is no range; no call was made
     */
    public OwnedDescriptor export(int bar, List<RegionRange> ranges) throws VfioException {
        if (ranges.isEmpty()) {
            throw new IllegalArgumentException("A DMA-buf needs at least one range of BAR " + bar);
        }
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.DMA_BUF).get()
                    .payloadSize(vfio_device_feature_dma_buf.sizeof() + ranges.size() * vfio_region_dma_range.sizeof())
                    .allocate(arena);
            MemorySegment export = request.payload();
            vfio_device_feature_dma_buf.region_index(export, bar);
            vfio_device_feature_dma_buf.open_flags(export, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
            vfio_device_feature_dma_buf.nr_ranges(export, ranges.size());
            MemorySegment array = export.asSlice(vfio_device_feature_dma_buf.sizeof());
            for (int i = 0; i < ranges.size(); i++) {
                MemorySegment element = vfio_region_dma_range.asSlice(array, i);
                vfio_region_dma_range.offset(element, ranges.get(i).offset());
                vfio_region_dma_range.length(element, ranges.get(i).length());
            }
            return device.own(device.execute(request), "DMA-buf of BAR " + bar + " of " + device);
        }
    }
}
