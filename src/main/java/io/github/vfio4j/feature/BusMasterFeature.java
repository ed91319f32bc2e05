package io.github.vfio4j.feature;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_device_feature_bus_master;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * Feature 10, {@code BUS_MASTER}: whether a CDX device may start DMA by itself (semantics §B.5). A PCI device has a bit in
 * its configuration space for that, and not this feature. Safe for use by many threads.
 */
public final class BusMasterFeature {

    private final FeatureTarget device;

    private BusMasterFeature(FeatureTarget device) {
        this.device = device;
    }

    /**
     * The feature of a device.
     *
     * @param device
     *            any device
     * @return empty if its bus has no such switch
     * @throws VfioException
     *             if the device could not be asked
     */
    public static Optional<BusMasterFeature> of(FeatureTarget device) throws VfioException {
        return device.supports(FeatureId.BUS_MASTER, FeatureOperation.SET)
                ? Optional.of(new BusMasterFeature(device))
                : Optional.empty();
    }

    /**
     * Lets the device start DMA.
     *
     * @throws VfioException
     *             {@code EOPNOTSUPP} if the bus controller can't do that
     */
    public void set() throws VfioException {
        execute(vfio_h.VFIO_DEVICE_FEATURE_SET_MASTER());
    }

    /**
     * Keeps the device from starting DMA, as it is after the device has been opened.
     *
     * @throws VfioException
     *             {@code EOPNOTSUPP} if the bus controller can't do that
     */
    public void clear() throws VfioException {
        execute(vfio_h.VFIO_DEVICE_FEATURE_CLEAR_MASTER());
    }

    private void execute(int operation) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(FeatureId.BUS_MASTER).set().allocate(arena);
            vfio_device_feature_bus_master.op(request.payload(), operation);
            device.execute(request);
        }
    }
}
