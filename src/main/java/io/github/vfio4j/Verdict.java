package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_GET;

import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The one place where a result of the kernel becomes an answer or an exception. */
final class Verdict {

    /** GET and SET are neighbours in flags. */
    private static final int OPERATIONS_SHIFT = Integer.numberOfTrailingZeros(VFIO_DEVICE_FEATURE_GET());
    private static final int NO_SUCH_FEATURE = 1 << FeatureOperation.values().length;
    private static final int ANSWERS_OF_ONE = NO_SUCH_FEATURE + 1;

    /** The answers for the features that are known, once they were given. */
    private static final @Nullable FeatureSupport[] ANSWERS = new FeatureSupport[FeatureId.known().size()
            * ANSWERS_OF_ONE];

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

    /** Whether a probe's refusal says that there is no such feature or operation (semantics §A.5). */
    static boolean isNotSupported(int result) {
        return result == -Errno.ENOTTY.code() || result == -Errno.EINVAL.code() || result == -Errno.EOPNOTSUPP.code();
    }

    /** What the refusal of a probe says. */
    static FeatureSupport refused(FeatureId feature, int result) {
        if (!isNotSupported(result)) {
            return new FeatureSupport.Failed(feature, Errno.ofResult(result));
        }
        // The answer there mostly is. Nothing is allocated for asking again.
        return result == -Errno.ENOTTY.code()
                ? answer(feature, NO_SUCH_FEATURE)
                : new FeatureSupport.Unsupported(feature, Errno.ofResult(result));
    }

    /** What a device is capable of that has not refused. */
    static FeatureSupport supported(FeatureId feature, int operations) {
        return answer(feature, operations >>> OPERATIONS_SHIFT);
    }

    private static FeatureSupport answer(FeatureId feature, int kind) {
        int at = feature.index() * ANSWERS_OF_ONE + kind;
        if (at >= ANSWERS.length) {
            return newAnswer(feature, kind);
        }
        // Two threads may both make it: either is as good.
        FeatureSupport answer = ANSWERS[at];
        if (answer == null) {
            answer = newAnswer(feature, kind);
            ANSWERS[at] = answer;
        }
        return answer;
    }

    private static FeatureSupport newAnswer(FeatureId feature, int kind) {
        if (kind == NO_SUCH_FEATURE) {
            return new FeatureSupport.Unsupported(feature, Errno.ENOTTY);
        }
        Set<FeatureOperation> operations = EnumSet.noneOf(FeatureOperation.class);
        for (FeatureOperation operation : FeatureOperation.values()) {
            if ((kind & operation.flag() >>> OPERATIONS_SHIFT) != 0) {
                operations.add(operation);
            }
        }
        return new FeatureSupport.Supported(feature, operations);
    }
}
