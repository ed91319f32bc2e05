package io.github.vfio4j.emulation.feature;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_GET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_PROBE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;

import io.github.vfio4j.Errno;

/** The check that every feature makes of operations and data size, in the kernel's order (semantics §A.4). */
final class FeatureCheck {

    /** The operation is to be carried out. Not an answer for user space. */
    static final int CARRY_ON = 1;

    private static final int GET = VFIO_DEVICE_FEATURE_GET();
    private static final int SET = VFIO_DEVICE_FEATURE_SET();
    private static final int PROBE = VFIO_DEVICE_FEATURE_PROBE();

    private FeatureCheck() {
    }

    /** The check of a feature that can only be set. */
    static int set(int flags, long dataLength, int minimum) {
        return check(flags, dataLength, SET, minimum);
    }

    /** The check of a feature that can only be read. */
    static int get(int flags, long dataLength, int minimum) {
        return check(flags, dataLength, GET, minimum);
    }

    /** The check of a feature that can be read and set. */
    static int getOrSet(int flags, long dataLength, int minimum) {
        return check(flags, dataLength, GET | SET, minimum);
    }

    /** Which of both is to be carried out. */
    static boolean isGet(int flags) {
        return (flags & GET) != 0;
    }

    /** The check of any feature. */
    static int check(int flags, long dataLength, int supported, int minimum) {
        if ((flags & (GET | SET) & ~supported) != 0) {
            return -Errno.EINVAL.code();
        }
        if ((flags & PROBE) != 0) {
            return 0;
        }
        if ((flags & (GET | SET)) == 0) {
            return -Errno.EINVAL.code();
        }
        return dataLength < minimum ? -Errno.EINVAL.code() : CARRY_ON;
    }
}
