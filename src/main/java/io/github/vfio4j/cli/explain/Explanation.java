package io.github.vfio4j.cli.explain;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/**
 * Why a request for a device feature can end with an error, on the kernels that are emulated.
 *
 * @param errno
 *            the error
 * @param feature
 *            the feature
 * @param operations
 *            what was asked for
 * @param causes
 *            in the order in which the kernel checks; none if no kernel answers so
 */
public record Explanation(Errno errno, FeatureId feature, Operations operations, List<Cause> causes) {

    /**
     * One cause.
     *
     * @param text
     *            what is wrong
     * @param remedy
     *            what to do
     * @param kernels
     *            where this can be
     * @param isOfDriver
     *            whether the device's driver chooses the error, so that it may be any
     */
    public record Cause(String text, String remedy, List<KernelProfile> kernels, boolean isOfDriver) {
    }

    /** Explains an error. */
    public static Explanation of(Errno errno, FeatureId feature, Operations operations) {
        Map<Step, List<KernelProfile>> found = new LinkedHashMap<>();
        List<Step> steps = FeatureSteps.of(feature);
        for (KernelProfile kernel : KernelProfile.all()) {
            reached(steps, operations, kernel).stream()
                    .filter(step -> step.errno() == null || step.errno().equals(errno))
                    .forEach(step -> found.computeIfAbsent(step, first -> new ArrayList<>()).add(kernel));
        }
        return new Explanation(errno, feature, operations,
                found.entrySet().stream().sorted(Comparator.comparingInt(entry -> steps.indexOf(entry.getKey())))
                        .map(entry -> new Cause(entry.getKey().cause(), entry.getKey().remedy(),
                                List.copyOf(entry.getValue()), entry.getKey().errno() == null))
                        .toList());
    }

    /** The errors that the kernels themselves answer such a request with; a driver may have others. */
    public static List<Errno> possible(FeatureId feature, Operations operations) {
        return KernelProfile.all().stream()
                .flatMap(kernel -> reached(FeatureSteps.of(feature), operations, kernel).stream()).map(Step::errno)
                .filter(Objects::nonNull).distinct().sorted(Comparator.comparing(Errno::name)).toList();
    }

    /** The steps at which such a request can fail on a kernel. */
    private static List<Step> reached(List<Step> steps, Operations operations, KernelProfile kernel) {
        List<Step> reached = new ArrayList<>();
        for (Step step : steps) {
            if (step.operations().test(operations) && step.kernels().test(kernel)) {
                if (!step.succeeds()) {
                    reached.add(step);
                }
                if (step.isLast()) {
                    break;
                }
            }
        }
        return reached;
    }
}
