package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** Feature 0, PCI_VF_TOKEN (semantics §B.1). */
record PciVfTokenFeature(PfToken token) implements DeviceFeature {

    private static final int TOKEN_SIZE = 16;

    /** A device without a token does not have the feature. */
    static @Nullable DeviceFeature of(FeatureHost device) {
        PfToken token = device.pfToken();
        return token == null ? null : new PciVfTokenFeature(token);
    }

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.set(flags, dataLength, TOKEN_SIZE);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        if (!UserMemory.mapped(argument, DATA, TOKEN_SIZE)) {
            return -Errno.EFAULT.code();
        }
        token.set(argument.asSlice(DATA, TOKEN_SIZE).toArray(ValueLayout.JAVA_BYTE));
        return 0;
    }
}
