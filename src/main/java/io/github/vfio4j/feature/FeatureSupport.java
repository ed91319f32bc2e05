package io.github.vfio4j.feature;

import io.github.vfio4j.Errno;
import java.util.Set;

/**
 * What a device answers to the question whether it has a feature.
 *
 * <p>
 * The kernel has no single errno for "not supported": mostly it is {@code ENOTTY}, but {@code EINVAL} for
 * {@code MIG_PRECOPY_INFOv2} and {@code EOPNOTSUPP} for {@code DMA_BUF} on some drivers (device-feature semantics
 * §A.5). These are folded into {@link Unsupported}; anything else is {@link Failed} and says nothing about the feature.
 */
public sealed interface FeatureSupport {

    /**
     * The feature that was probed.
     *
     * @return its index and name
     */
    FeatureId feature();

    /**
     * Whether the device has the feature and the operation.
     *
     * @param operation
     *            GET or SET
     * @return true if it can be used
     */
    default boolean supports(FeatureOperation operation) {
        return this instanceof Supported supported && supported.operations().contains(operation);
    }

    /**
     * The device has the feature.
     *
     * @param feature
     *            the feature
     * @param operations
     *            what it can be asked to do
     */
    record Supported(FeatureId feature, Set<FeatureOperation> operations) implements FeatureSupport {
        /** Copies the set. */
        public Supported {
            operations = Set.copyOf(operations);
        }
    }

    /**
     * The device, its driver or the kernel does not have the feature.
     *
     * @param feature
     *            the feature
     * @param errno
     *            how the kernel said so
     */
    record Unsupported(FeatureId feature, Errno errno) implements FeatureSupport {
    }

    /**
     * The probe failed for another reason, for example {@code EIO} from a device that could not be woken.
     *
     * @param feature
     *            the feature
     * @param errno
     *            the kernel's error
     */
    record Failed(FeatureId feature, Errno errno) implements FeatureSupport {
    }
}
