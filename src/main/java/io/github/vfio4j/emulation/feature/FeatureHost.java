package io.github.vfio4j.emulation.feature;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a device has that its features work on. */
public interface FeatureHost {

    /** The VF token; null on anything but an SR-IOV physical function. */
    @Nullable
    PfToken pfToken();

    /** The low-power state. */
    LowPower lowPower();

    /** The device's base address registers. */
    List<Bar> bars();
}
