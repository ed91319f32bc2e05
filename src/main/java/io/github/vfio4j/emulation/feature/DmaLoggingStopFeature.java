package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Feature 7, DMA_LOGGING_STOP (semantics §B.4.2). */
record DmaLoggingStopFeature(DmaLoggingModel logging, Object lock) implements DeviceFeature {

    /** Only a device that can log has it. */
    static @Nullable DeviceFeature of(FeatureHost device) {
        DmaLoggingModel logging = device.dmaLogging();
        return logging == null ? null : new DmaLoggingStopFeature(logging, device.modelLock());
    }

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.set(flags, dataLength, 0);
        return check != FeatureCheck.CARRY_ON ? check : ModelCall.run(lock, logging::stop);
    }
}
