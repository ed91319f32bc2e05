package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Feature 2, MIG_DEVICE_STATE (semantics §B.2.2). A change that fails still writes: data_fd becomes −1, the state stays
 * what was asked for.
 */
record MigDeviceStateFeature(Migration migration) implements DeviceFeature {

    private static final int DATA_SIZE = 8;
    private static final long DEVICE_STATE = DATA;
    private static final long DATA_FD = DATA + 4;
    private static final int NO_FD = -1;

    /** Only a device that can migrate has it. */
    static @Nullable DeviceFeature of(FeatureHost device) {
        Migration migration = device.migration();
        return migration == null ? null : new MigDeviceStateFeature(migration);
    }

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.getOrSet(flags, dataLength, DATA_SIZE);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        if (!UserMemory.mapped(argument, DATA, DATA_SIZE)) {
            return -Errno.EFAULT.code();
        }
        return (int) migration.run(() -> FeatureCheck.isGet(flags) ? get(argument) : set(argument, call));
    }

    private int get(MemorySegment argument) throws DeviceFailure {
        UserMemory.putInt(argument, DEVICE_STATE, migration.state());
        UserMemory.putInt(argument, DATA_FD, NO_FD);
        return 0;
    }

    private int set(MemorySegment argument, CallContext call) throws DeviceFailure {
        OpenFile file;
        try {
            file = migration.setState(UserMemory.getInt(argument, DEVICE_STATE));
        } catch (DeviceFailure failure) {
            UserMemory.putInt(argument, DATA_FD, NO_FD);
            throw failure;
        }
        int fd = file == null ? NO_FD : call.descriptors().open(file);
        if (file != null && fd < 0) {
            return fd;
        }
        UserMemory.putInt(argument, DATA_FD, fd);
        return 0;
    }
}
