package io.github.vfio4j;

import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import java.io.IOException;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * A VFIO operation that the kernel refused, or that this machine can't do.
 *
 * <p>
 * The message is one line: what was tried, the error by name, and, where the cause is known, what to do about it. It
 * never has payload bytes or a token in it.
 */
public final class VfioException extends IOException {

    private static final long serialVersionUID = 1;

    /** What was tried. */
    private final String operation;
    /** The error number, 0 where no system call failed. */
    private final int errno;
    /** Cause and next step, where known. */
    private final @Nullable String remedy;
    /** The feature's index, −1 outside the feature ioctl. */
    private final int featureIndex;
    /** The flags word of the request. */
    private final int flags;
    /** The argsz word of the request. */
    private final int argsz;

    /**
     * A failure outside the feature ioctl.
     *
     * @param operation
     *            what was tried, for example {@code open /dev/vfio/4}
     * @param errno
     *            the kernel's error, or null where no system call failed
     * @param remedy
     *            one sentence on cause and next step, or null where it is not known
     */
    public VfioException(String operation, @Nullable Errno errno, @Nullable String remedy) {
        this(operation, errno, remedy, -1, 0, 0);
    }

    /**
     * A failed {@code VFIO_DEVICE_FEATURE} ioctl.
     *
     * @param request
     *            the request that was made; of its bytes only the header is kept
     * @param errno
     *            the kernel's error
     * @param remedy
     *            one sentence on cause and next step, or null where it is not known
     */
    public VfioException(FeatureRequest request, Errno errno, @Nullable String remedy) {
        this("VFIO_DEVICE_FEATURE " + request.describe(), errno, remedy, request.feature().index(), request.flags(),
                request.argsz());
    }

    private VfioException(String operation, @Nullable Errno errno, @Nullable String remedy, int featureIndex, int flags,
            int argsz) {
        super(operation + (errno == null ? "" : ": " + errno) + (remedy == null ? "" : ". " + remedy));
        this.operation = operation;
        this.errno = errno == null ? 0 : errno.code();
        this.remedy = remedy;
        this.featureIndex = featureIndex;
        this.flags = flags;
        this.argsz = argsz;
    }

    /**
     * What was tried.
     *
     * @return for example {@code VFIO_GROUP_GET_DEVICE_FD 0000:01:00.1}
     */
    public String operation() {
        return operation;
    }

    /**
     * The kernel's error.
     *
     * @return empty where no system call failed
     */
    public Optional<Errno> errno() {
        return errno == 0 ? Optional.empty() : Optional.of(new Errno(errno));
    }

    /**
     * Whether this is the kernel's error.
     *
     * @param candidate
     *            an error number
     * @return true if the failed call answered with it
     */
    public boolean is(Errno candidate) {
        return errno == candidate.code();
    }

    /**
     * The feature that was asked for.
     *
     * @return empty where the failure was outside the feature ioctl
     */
    public Optional<FeatureId> feature() {
        return featureIndex < 0 ? Optional.empty() : Optional.of(FeatureId.of(featureIndex));
    }

    /**
     * The {@code flags} word of a failed feature request: index in bits 0‥15, GET, SET and PROBE in bits 16‥18.
     *
     * @return 0 where the failure was outside the feature ioctl
     */
    public int flags() {
        return flags;
    }

    /**
     * The {@code argsz} of a failed feature request.
     *
     * @return bytes, unsigned; 0 where the failure was outside the feature ioctl
     */
    public int argsz() {
        return argsz;
    }

    /**
     * Cause and next step.
     *
     * @return one sentence, empty where the cause is not known
     */
    public Optional<String> remedy() {
        return Optional.ofNullable(remedy);
    }
}
