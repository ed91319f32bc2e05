package io.github.vfio4j.emulation.feature;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_GET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.FeatureModel;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** A feature that a model adds to the driver's own (semantics §A.3, "driver op"). */
record DriverFeature(FeatureModel model, Object lock) implements DeviceFeature {

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int supported = (model.getter() == null ? 0 : VFIO_DEVICE_FEATURE_GET())
                | (model.setter() == null ? 0 : VFIO_DEVICE_FEATURE_SET());
        int check = FeatureCheck.check(flags, dataLength, supported, model.minimumSize());
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        if (!UserMemory.mapped(argument, DATA, model.minimumSize())) {
            return -Errno.EFAULT.code();
        }
        FeatureModel.Operation operation = FeatureCheck.isGet(flags) ? model.getter() : model.setter();
        MemorySegment data = argument.asSlice(DATA, Math.min(dataLength, argument.byteSize() - DATA));
        return ModelCall.run(lock, () -> Objects.requireNonNull(operation).carryOut(data));
    }
}
