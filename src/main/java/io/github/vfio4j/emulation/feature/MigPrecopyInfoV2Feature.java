package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;

/**
 * Feature 12, MIG_PRECOPY_INFOv2 (semantics §B.2.4). A device without pre-copy, which is every device that can't migrate
 * at all, answers {@code EINVAL} and not {@code ENOTTY}, to a probe too.
 */
record MigPrecopyInfoV2Feature(FeatureHost device) implements DeviceFeature {

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        Migration migration = device.migration();
        if (migration == null || !migration.hasPreCopy()) {
            return -Errno.EINVAL.code();
        }
        int check = FeatureCheck.set(flags, dataLength, 0);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        migration.optInToPrecopyV2();
        return 0;
    }
}
