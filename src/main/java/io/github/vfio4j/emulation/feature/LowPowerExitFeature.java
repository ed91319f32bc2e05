package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;

/** Feature 5, LOW_POWER_EXIT: succeeds whether or not low power was entered (semantics §B.3). */
record LowPowerExitFeature(FeatureHost device) implements DeviceFeature {

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.set(flags, dataLength, 0);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        device.lowPower().exit();
        return 0;
    }
}
