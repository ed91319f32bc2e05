package io.github.vfio4j.emulation.device;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A device feature that the driver answers itself. The kernel has checked the operation and the size before (semantics
 * §A.4); a probe never gets here.
 *
 * @param minimumSize
 *            the least data that GET and SET need, in bytes; less is {@code EINVAL}
 * @param getter
 *            carries GET out; null if it is not supported, which is {@code EINVAL}
 * @param setter
 *            carries SET out; null if it is not supported, which is {@code EINVAL}
 */
public record FeatureModel(int minimumSize, @Nullable Operation getter, @Nullable Operation setter) {

    /** What happens at GET or SET. */
    @FunctionalInterface
    public interface Operation {

        /**
         * Carries the operation out.
         *
         * @param data
         *            the caller's memory behind the header: at least the minimum size, at most what the caller has claimed
         *            by {@code argsz}. It is not aligned, and valid only during the call
         * @throws DeviceFailure
         *             if it fails; what has been written stays written
         */
        void carryOut(MemorySegment data) throws DeviceFailure;
    }

    /**
     * Checks that it can do anything.
     *
     * @throws IllegalArgumentException
     *             if there is no operation, or the size is negative
     */
    public FeatureModel {
        if (minimumSize < 0 || (getter == null && setter == null)) {
            throw new IllegalArgumentException("A feature needs an operation and a size from 0 on, not " + minimumSize);
        }
    }

    /**
     * A feature with GET only.
     *
     * @param minimumSize
     *            bytes
     * @param getter
     *            fills the data in
     * @return the feature
     */
    public static FeatureModel readOnly(int minimumSize, Operation getter) {
        return new FeatureModel(minimumSize, getter, null);
    }

    /**
     * A feature with SET only.
     *
     * @param minimumSize
     *            bytes
     * @param setter
     *            takes the data
     * @return the feature
     */
    public static FeatureModel writeOnly(int minimumSize, Operation setter) {
        return new FeatureModel(minimumSize, null, setter);
    }

    /**
     * A feature with GET and SET.
     *
     * @param minimumSize
     *            bytes
     * @param getter
     *            fills the data in
     * @param setter
     *            takes the data
     * @return the feature
     */
    public static FeatureModel readWrite(int minimumSize, Operation getter, Operation setter) {
        return new FeatureModel(minimumSize, getter, setter);
    }
}
