package io.github.vfio4j.feature;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_GET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;

/** What a device feature can be asked to do, besides being probed. */
public enum FeatureOperation {

    /** Read the feature's data from the device. */
    GET(VFIO_DEVICE_FEATURE_GET()),

    /** Hand data to the device, or trigger what the feature stands for. */
    SET(VFIO_DEVICE_FEATURE_SET());

    private final int flag;

    FeatureOperation(int flag) {
        this.flag = flag;
    }

    /**
     * The bit of the {@code flags} word.
     *
     * @return {@code VFIO_DEVICE_FEATURE_GET} or {@code …_SET}
     */
    public int flag() {
        return flag;
    }
}
