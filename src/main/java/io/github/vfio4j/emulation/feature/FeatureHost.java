package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
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

    /** How to migrate the device; null if it can't be. */
    default @Nullable MigrationOps migration() {
        return null;
    }

    /** How to log the device's DMA writes; null if it can't be. */
    default @Nullable DmaLoggingOps dmaLogging() {
        return null;
    }

    /** The VF token; null on anything but an SR-IOV physical function. */
    default @Nullable PfToken pfToken() {
        return null;
    }

    /** The low-power state, of a driver that knows the features of it. */
    default LowPower lowPower() {
        throw new IllegalStateException("a driver that knows the low-power features must have the state");
    }

    /** The device's base address registers, of a driver that knows DMA_BUF. */
    default List<Bar> bars() {
        return List.of();
    }
}
