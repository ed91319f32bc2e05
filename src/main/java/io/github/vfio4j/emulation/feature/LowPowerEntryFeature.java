package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;

/** Feature 3, LOW_POWER_ENTRY (semantics §B.3). */
record LowPowerEntryFeature(FeatureHost device) implements DeviceFeature {

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.set(flags, dataLength, 0);
        return check != FeatureCheck.CARRY_ON ? check : device.lowPower().enter(null);
    }
}
