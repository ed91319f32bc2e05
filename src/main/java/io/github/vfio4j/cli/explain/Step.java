package io.github.vfio4j.cli.explain;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * One step in the way of a request through the kernel, at which it may end.
 *
 * @param errno
 *            how it ends then; null if that is for the device's driver to say
 * @param cause
 *            why
 * @param remedy
 *            what to do
 * @param operations
 *            the requests that come to this step
 * @param kernels
 *            the kernels that have it
 * @param isLast
 *            whether no request goes on from here
 * @param succeeds
 *            whether the request is done here, and well
 */
record Step(@Nullable Errno errno, String cause, String remedy, Predicate<Operations> operations,
        Predicate<KernelProfile> kernels, boolean isLast, boolean succeeds) {

    /** A request may end here. */
    static Step refusal(Errno errno, String cause, String remedy) {
        return new Step(errno, cause, remedy, asked -> true, kernel -> true, false, false);
    }

    /** The device's driver may end it. */
    static Step driver(String cause, String remedy) {
        return new Step(null, cause, remedy, asked -> true, kernel -> true, false, false);
    }

    /** There is nothing more to it. */
    static Step done(Predicate<Operations> operations) {
        return new Step(null, "", "", operations, kernel -> true, true, true);
    }

    /** Only for these requests. */
    Step when(Predicate<Operations> these) {
        return new Step(errno, cause, remedy, operations.and(these), kernels, isLast, succeeds);
    }

    /** Only in these kernels. */
    Step on(Predicate<KernelProfile> these) {
        return new Step(errno, cause, remedy, operations, kernels.and(these), isLast, succeeds);
    }

    /** Not sometimes, but always. */
    Step always() {
        return new Step(errno, cause, remedy, operations, kernels, true, succeeds);
    }
}
