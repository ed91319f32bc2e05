package io.github.vfio4j.conformance;

import io.github.vfio4j.conformance.report.Evidence;
import io.github.vfio4j.conformance.report.Failure;
import io.github.vfio4j.conformance.report.RunDescription.Result;
import io.github.vfio4j.conformance.report.RunDescription.Status;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;

/** Notes and prints what becomes of each property, one after the other. */
final class PropertiesListener implements TestExecutionListener {

    private final PrintWriter out;
    private final Evidence evidence;
    private final String seed;
    private final List<Result> results = new ArrayList<>();
    private final Map<String, Long> started = new HashMap<>();

    PropertiesListener(PrintWriter out, Evidence evidence, String seed) {
        this.out = out;
        this.evidence = evidence;
        this.seed = seed;
    }

    List<Result> results() {
        return results;
    }

    @Override
    public void executionStarted(TestIdentifier test) {
        started.put(test.getUniqueId(), System.nanoTime());
    }

    @Override
    public void executionSkipped(TestIdentifier test, String reason) {
        add(new Result(test.getDisplayName(), Status.SKIPPED, Duration.ZERO));
    }

    @Override
    public void executionFinished(TestIdentifier test, TestExecutionResult result) {
        boolean failed = result.getStatus() == TestExecutionResult.Status.FAILED;
        if (test.isTest() || failed) {
            Duration time = Duration.ofNanos(
                    System.nanoTime() - Objects.requireNonNull(started.get(test.getUniqueId()), "it was started"));
            Status status = failed
                    ? Status.FAILED
                    : result.getStatus() == TestExecutionResult.Status.ABORTED ? Status.SKIPPED : Status.HOLDS;
            add(new Result(test.getDisplayName(), status, time));
        }
        if (failed) {
            addFailure(test.getDisplayName(),
                    result.getThrowable().map(TranscriptOnFailure::message).orElse("It failed"));
        }
    }

    /** What fails without a try, for example because a class cannot be made, has no other place in the reports. */
    private void addFailure(String property, String message) {
        if (evidence.failures().stream().noneMatch(failure -> failure.property().equals(property))) {
            evidence.failed(
                    new Failure(property, "no device", "no kernel", null, null, seed, List.of(), null, message));
        }
    }

    private void add(Result result) {
        results.add(result);
        out.printf("  %-8s %s (%d ms)%n", switch (result.status()) {
            case HOLDS -> "holds";
            case FAILED -> "FAILED";
            case SKIPPED -> "skipped";
        }, result.property(), result.duration().toMillis());
        out.flush();
    }
}
