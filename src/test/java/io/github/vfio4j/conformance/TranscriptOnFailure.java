package io.github.vfio4j.conformance;

import io.github.vfio4j.conformance.report.Evidence;
import io.github.vfio4j.conformance.report.Failure;
import io.github.vfio4j.conformance.report.Question;
import io.github.vfio4j.trace.Transcript;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import net.jqwik.api.lifecycle.AroundPropertyHook;
import net.jqwik.api.lifecycle.AroundTryHook;
import net.jqwik.api.lifecycle.FalsifiedSample;
import net.jqwik.api.lifecycle.PropagationMode;
import net.jqwik.api.lifecycle.PropertyExecutionResult;
import net.jqwik.api.lifecycle.PropertyExecutor;
import net.jqwik.api.lifecycle.PropertyLifecycleContext;
import net.jqwik.api.lifecycle.TryExecutionResult;
import net.jqwik.api.lifecycle.TryExecutor;
import net.jqwik.api.lifecycle.TryLifecycleContext;
import org.jspecify.annotations.Nullable;

/**
 * Gives the evidence of a property of {@link FeatureConformance} that fails: the calls of the shrunk try in words, and in a
 * file that {@code vfio4j replay} takes.
 */
public final class TranscriptOnFailure implements AroundPropertyHook, AroundTryHook {

    /** Inside of what is done after each try, which makes calls of its own. */
    private static final int INNERMOST = 100;
    /** Around what is done after each property. */
    private static final int OUTERMOST = -100;

    /** Of longer programs, most of what comes before does not matter; all of it is in the transcript. */
    private static final int MOST_CALLS = 200;

    /** A try that has failed. */
    private record FailedTry(String transcript, @Nullable Question question) {
    }

    private final IdentityHashMap<Throwable, FailedTry> failedTries = new IdentityHashMap<>();
    private @Nullable FailedTry lastFailed;

    /** Made by jqwik. */
    public TranscriptOnFailure() {
    }

    @Override
    public TryExecutionResult aroundTry(TryLifecycleContext context, TryExecutor aTry, List<Object> parameters) {
        Evidence evidence = ConformanceRun.current().evidence();
        Question before = evidence.last();
        TryExecutionResult result = aTry.execute(parameters);
        if (result.isFalsified()) {
            keep(result.throwable(), transcript(context.testInstance()),
                    isSame(before, evidence.last()) ? null : evidence.last());
        }
        return result;
    }

    private static String transcript(Object suite) {
        return suite instanceof FeatureConformance features ? features.transcript() : "";
    }

    @SuppressWarnings("ReferenceEquality") // two questions may be alike
    private static boolean isSame(@Nullable Question one, @Nullable Question other) {
        return one == other;
    }

    private void keep(Optional<Throwable> error, String transcript, @Nullable Question question) {
        FailedTry failed = new FailedTry(transcript, question);
        lastFailed = failed;
        error.ifPresent(throwable -> failedTries.put(throwable, failed));
    }

    @Override
    public PropertyExecutionResult aroundProperty(PropertyLifecycleContext context, PropertyExecutor property) {
        forget();
        PropertyExecutionResult result = property.execute();
        if (result.status() == PropertyExecutionResult.Status.FAILED) {
            report(context, result);
        }
        forget();
        return result;
    }

    private void forget() {
        failedTries.clear();
        lastFailed = null;
    }

    private void report(PropertyLifecycleContext context, PropertyExecutionResult result) {
        ConformanceRun run = ConformanceRun.current();
        FailedTry failed = shrunk(result);
        Question question = failed == null ? null : failed.question();
        String target = question == null ? "no device" : question.target();
        Path file = null;
        List<String> program = new ArrayList<>();
        String message = result.throwable().map(TranscriptOnFailure::message).orElse("It does not hold");
        if (failed != null && !failed.transcript().isEmpty()) {
            try {
                file = write(run.directory(), context.targetMethod().getName() + "-" + target, failed.transcript());
                program.addAll(words(failed.transcript()));
            } catch (IOException e) {
                message += System.lineSeparator() + "There is no transcript: " + e.getMessage();
            }
        }
        OptionalLong seed = run.seed();
        String seedText = seed.isPresent() ? Long.toString(seed.getAsLong()) : result.seed().orElse("unknown");
        Failure failure = new Failure(context.targetMethod().getName(), target,
                question == null ? "no kernel" : question.kernel(), question == null ? null : question.feature(),
                question == null ? null : question.operation(), seedText, program, file, message);
        run.evidence().failed(failure);
        context.reporter().publishValue("conformance", words(failure));
    }

    /** For whoever runs the properties without the runner, whose reports say the same. */
    private static String words(Failure failure) {
        List<String> lines = new ArrayList<>(failure.program());
        lines.addFirst(failure.property() + " fails on " + failure.target() + ", seed " + failure.seed() + ":");
        lines.add(failure.transcript() == null ? "No transcript" : "Transcript: " + failure.transcript());
        return String.join(System.lineSeparator(), lines);
    }

    /** jqwik hands on the error of the smallest try, and it is not always the last one that has failed. */
    private @Nullable FailedTry shrunk(PropertyExecutionResult result) {
        Optional<Throwable> error = result.shrunkSample().flatMap(FalsifiedSample::falsifyingError)
                .or(result::throwable);
        FailedTry failed = error.map(failedTries::get).orElse(null);
        return failed == null ? lastFailed : failed;
    }

    /** What an error has to say, and what was behind it. */
    static String message(Throwable error) {
        String message = error.getMessage();
        StringBuilder text = new StringBuilder(
                error instanceof AssertionError && message != null ? message.strip() : error.toString());
        for (Throwable cause = error.getCause(); cause != null; cause = cause.getCause()) {
            text.append(System.lineSeparator()).append("caused by ").append(cause);
        }
        return text.toString();
    }

    private static Path write(Path directory, String name, String transcript) throws IOException {
        Files.createDirectories(directory);
        return Files.writeString(directory.resolve(name.replaceAll("[^A-Za-z0-9._-]+", "-") + ".jsonl"), transcript);
    }

    private static List<String> words(String transcript) throws IOException {
        List<String> calls = Transcript.read(new ByteArrayInputStream(transcript.getBytes(StandardCharsets.UTF_8)))
                .describe();
        int left = calls.size() - MOST_CALLS;
        if (left <= 0) {
            return calls;
        }
        List<String> last = new ArrayList<>(calls.subList(left, calls.size()));
        last.addFirst("(" + left + " calls before, which are in the transcript)");
        return last;
    }

    @Override
    public int aroundTryProximity() {
        return INNERMOST;
    }

    @Override
    public int aroundPropertyProximity() {
        return OUTERMOST;
    }

    @Override
    public PropagationMode propagateTo() {
        return PropagationMode.ALL_DESCENDANTS;
    }
}
