package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.EventFd;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;

/** Feature 4, LOW_POWER_ENTRY_WITH_WAKEUP (semantics §B.3). */
record LowPowerEntryWithWakeupFeature(FeatureHost device) implements DeviceFeature {

    private static final int DATA_SIZE = 8;

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.set(flags, dataLength, DATA_SIZE);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        if (!UserMemory.mapped(argument, DATA, DATA_SIZE)) {
            return -Errno.EFAULT.code();
        }
        int fd = UserMemory.getInt(argument, DATA);
        if (fd < 0) {
            return -Errno.EINVAL.code();
        }
        return EventFd.find(call.descriptors(), fd, device.lowPower()::enter);
    }
}
