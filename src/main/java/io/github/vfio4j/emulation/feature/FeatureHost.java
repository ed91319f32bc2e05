package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.BusController;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.device.FeatureModel;
import io.github.vfio4j.feature.FeatureId;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What a device has that its features work on. */
public interface FeatureHost {

    /** The kernel it is on. */
    KernelProfile profile();

    /** The indices that the driver's own callback knows; the core's are not among them. */
    default Set<Integer> driverFeatures() {
        return Set.of();
    }

    /** The model behind the driver; null if it has none. */
    default @Nullable ModelledDevice model() {
        return null;
    }

    /** Features that the driver has from a model of the device. */
    default Map<FeatureId, FeatureModel> modelFeatures() {
        ModelledDevice model = model();
        return model == null ? Map.of() : model.features();
    }

    /** What {@link #dmaLogging} and {@link #modelFeatures} are called under. */
    default Object modelLock() {
        ModelledDevice model = model();
        return model == null ? this : model.lock();
    }

    /** How to migrate the device; null if it can't be. */
    default @Nullable Migration migration() {
        ModelledDevice model = model();
        return model == null ? null : model.migration();
    }

    /** How to log the device's DMA writes; null if it can't be. */
    default @Nullable DmaLoggingModel dmaLogging() {
        ModelledDevice model = model();
        return model == null ? null : model.dmaLogging();
    }

    /** The VF token; null on anything but an SR-IOV physical function. */
    default @Nullable PfToken pfToken() {
        return null;
    }

    /** The low-power state, of a driver that knows the features of it. */
    default LowPower lowPower() {
        throw new IllegalStateException("a driver that knows the low-power features must have the state");
    }

    /** The device's base address registers, of a driver that exports them as DMA-bufs; null if it does not. */
    default @Nullable List<Bar> exportedBars() {
        return null;
    }

    /** What switches bus mastering; null if that is not possible. */
    default @Nullable BusController busController() {
        return null;
    }
}
