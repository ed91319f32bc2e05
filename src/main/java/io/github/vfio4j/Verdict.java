package io.github.vfio4j;

import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/** The one place where a result of the kernel becomes an answer or an exception. */
final class Verdict {

    /** The ways in which kernels say that there is no such feature (semantics §A.5). */
    private static final Set<Errno> NOT_SUPPORTED = Set.of(Errno.ENOTTY, Errno.EINVAL, Errno.EOPNOTSUPP);

    private static final Map<Errno, String> FEATURE_REMEDIES = Map.of(Errno.ENOTTY,
            "The device, its driver or this kernel does not have this feature; probe it first", Errno.EINVAL,
            "The device does not have this operation, or refuses the data or its present state", Errno.EOPNOTSUPP,
            "The device's driver or the kernel's configuration lacks what this feature needs", Errno.EIO,
            "The device could not be woken; see dmesg", Errno.EFAULT,
            "The kernel needs more data than the request has room for", Errno.EMFILE,
            "Raise the limit of open files (ulimit -n), or close descriptors", Errno.E2BIG,
            "There are more ranges than the kernel takes in one request, 256 on most machines: merge some",
            Errno.ENOMEM, "The kernel has no memory for this, or not in one piece: ask for less at once");

    private Verdict() {
    }

    /** A result that is good if it is not negative. */
    static int check(String operation, int result) throws VfioException {
        return check(operation, result, Map.of());
    }

    /** The same, with what to do about some errors. */
    static int check(String operation, int result, Map<Errno, String> remedies) throws VfioException {
        return check(operation, result, () -> remedies);
    }

    /** Finds out what to do about errors. */
    interface Remedies {
        Map<Errno, String> find() throws VfioException;
    }

    /** The same, for remedies that take calls of their own to find out: if these fail too, there is none. */
    static int check(String operation, int result, Remedies remedies) throws VfioException {
        if (result >= 0) {
            return result;
        }
        Errno errno = Errno.ofResult(result);
        Map<Errno, String> found = Map.of();
        VfioException unexplained = null;
        try {
            found = remedies.find();
        } catch (VfioException e) {
            unexplained = e;
        }
        VfioException failure = new VfioException(operation, errno, found.getOrDefault(errno, general(errno)));
        if (unexplained != null) {
            failure.addSuppressed(unexplained);
        }
        throw failure;
    }

    /** The result of a feature request. */
    static int check(FeatureRequest request, int result) throws VfioException {
        if (result >= 0) {
            return result;
        }
        Errno errno = Errno.ofResult(result);
        throw new VfioException(request, errno, FEATURE_REMEDIES.get(errno));
    }

    private static @Nullable String general(Errno errno) {
        return errno.equals(Errno.EMFILE) ? FEATURE_REMEDIES.get(errno) : null;
    }

    /**
     * What a device answers to probes for a feature: first for the feature as such, then for each operation.
     *
     * @param feature
     *            the feature
     * @param probe
     *            sends a probe with these operations
     */
    static FeatureSupport probe(FeatureId feature, ToIntFunction<Set<FeatureOperation>> probe) {
        int result = probe.applyAsInt(Set.of());
        if (result < 0) {
            Errno errno = Errno.ofResult(result);
            return NOT_SUPPORTED.contains(errno)
                    ? new FeatureSupport.Unsupported(feature, errno)
                    : new FeatureSupport.Failed(feature, errno);
        }
        Set<FeatureOperation> operations = EnumSet.noneOf(FeatureOperation.class);
        for (FeatureOperation operation : FeatureOperation.values()) {
            int answer = probe.applyAsInt(Set.of(operation));
            if (answer >= 0) {
                operations.add(operation);
            } else if (!NOT_SUPPORTED.contains(Errno.ofResult(answer))) {
                return new FeatureSupport.Failed(feature, Errno.ofResult(answer));
            }
        }
        return new FeatureSupport.Supported(feature, operations);
    }
}
