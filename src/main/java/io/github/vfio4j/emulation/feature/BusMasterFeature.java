package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.BusController;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;

/** Feature 10, BUS_MASTER: of a device on the CDX bus, if its bus mastering could be cleared at open (semantics §B.5). */
record BusMasterFeature(FeatureHost device) implements DeviceFeature {

    private static final int DATA_SIZE = 4;
    private static final int CLEAR = 0;
    private static final int SET = 1;

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        BusController controller = device.busController();
        if (controller == null) {
            return -Errno.ENOTTY.code();
        }
        int check = FeatureCheck.set(flags, dataLength, DATA_SIZE);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        if (!UserMemory.mapped(argument, DATA, DATA_SIZE)) {
            return -Errno.EFAULT.code();
        }
        return switch (UserMemory.getInt(argument, DATA)) {
            case CLEAR -> ModelCall.run(controller, () -> controller.setBusMaster(false));
            case SET -> ModelCall.run(controller, () -> controller.setBusMaster(true));
            default -> -Errno.EINVAL.code();
        };
    }
}
