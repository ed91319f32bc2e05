package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** Feature 1, MIGRATION: what kind of migration the device is capable of (semantics §B.2.1). */
record MigrationFeature(Migration migration) implements DeviceFeature {

    private static final int DATA_SIZE = 8;

    /** Only a device that can migrate has it. */
    static @Nullable DeviceFeature of(FeatureHost device) {
        Migration migration = device.migration();
        return migration == null ? null : new MigrationFeature(migration);
    }

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.get(flags, dataLength, DATA_SIZE);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        return UserMemory.copyLong(argument, DATA, migration.flags());
    }
}
