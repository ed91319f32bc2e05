package io.github.vfio4j.conformance.report;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/** A run in some lines: one a device, and what has failed with all it takes to look into it. */
public final class ConsoleReport {

    private ConsoleReport() {
    }

    /**
     * Prints it.
     *
     * @param out
     *            where to
     * @param run
     *            what was run
     * @param evidence
     *            what it has seen
     */
    public static void print(PrintWriter out, RunDescription run, Evidence evidence) {
        Matrix matrix = new Matrix(evidence, run.devices());
        matrix.targets()
                .forEach(target -> matrix.kernels(target).forEach(kernel -> device(out, matrix, target, kernel)));
        evidence.failures().forEach(failure -> failure(out, run, failure));
        out.println();
        out.println(run.summary() + "; seed " + run.seed());
        out.flush();
    }

    private static void device(PrintWriter out, Matrix matrix, String target, String kernel) {
        List<String> features = matrix.features(target).stream().filter(feature -> matrix.has(target, kernel, feature))
                .map(Matrix::featureNumber).toList();
        List<String> answers = new ArrayList<>();
        matrix.answers(target, kernel)
                .forEach((answer, count) -> answers.add((answer.equals("0") ? "found" : answer) + " " + count));
        out.println(line(target + " on " + kernel + ": "
                + (features.isEmpty() ? "no feature" : "features " + String.join(", ", features)) + "; answers: "
                + String.join(", ", answers)));
    }

    private static void failure(PrintWriter out, RunDescription run, Failure failure) {
        out.println();
        out.println(line("FAILED: " + failure.property() + " on " + failure.target() + ", " + failure.kernel()));
        failure.message().lines().filter(text -> !text.isBlank()).forEach(text -> out.println(line("  " + text)));
        if (!failure.program().isEmpty()) {
            out.println("  The calls that show it:");
            int number = 1;
            for (String call : failure.program()) {
                out.println(line(String.format("  %4d. %s", number++, call)));
            }
        }
        out.println(line("  Seed:       " + failure.seed()));
        if (failure.transcript() != null) {
            out.println(line("  Transcript: " + failure.transcript()));
            out.println(line("  Replay it:  " + HtmlReport.replayCommand(failure.transcript())));
        }
        out.println(line("  Again:      " + run.command()));
    }

    /** A device's name or a message may hold what moves the cursor. */
    private static String line(String text) {
        return text.replaceAll("\\p{Cntrl}", "�");
    }
}
