package io.github.vfio4j.conformance.report;

import io.github.vfio4j.conformance.report.Matrix.Cell;
import io.github.vfio4j.conformance.report.Matrix.State;
import io.github.vfio4j.conformance.report.RunDescription.Device;
import io.github.vfio4j.conformance.report.RunDescription.Result;
import io.github.vfio4j.conformance.report.RunDescription.Status;
import io.github.vfio4j.feature.FeatureId;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;

/**
 * A run as one page of HTML that needs nothing else: what was run, what each feature has answered to each operation on each
 * device of each kernel, and what has failed.
 */
public final class HtmlReport {

    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("d MMMM yyyy, HH:mm:ss XXX", Locale.ROOT)
            .withLocale(Locale.ENGLISH);

    private static final Map<Status, String> STATUS_WORDS = Map.of(Status.HOLDS, "✓ holds", Status.FAILED, "✗ failed",
            Status.SKIPPED, "– skipped");

    private final RunDescription run;
    private final List<Failure> failures;
    private final Matrix matrix;
    private final Html html = new Html();

    private HtmlReport(RunDescription run, Evidence evidence) {
        this.run = run;
        failures = evidence.failures();
        matrix = new Matrix(evidence, run.devices());
    }

    /**
     * Makes the page.
     *
     * @param run
     *            what was run
     * @param evidence
     *            what it has seen
     * @return HTML
     */
    public static String of(RunDescription run, Evidence evidence) {
        return new HtmlReport(run, evidence).page();
    }

    /**
     * Writes the page to a file.
     *
     * @param file
     *            to be written
     * @param run
     *            what was run
     * @param evidence
     *            what it has seen
     * @throws IOException
     *             if it cannot be written
     */
    public static void write(Path file, RunDescription run, Evidence evidence) throws IOException {
        Files.writeString(file, of(run, evidence));
    }

    private String page() {
        html.raw("""
                <!DOCTYPE html>
                <html lang="en">
                <head>
                <meta charset="utf-8">
                <meta name="viewport" content="width=device-width, initial-scale=1">
                <meta name="color-scheme" content="light dark">
                """).element("title", title()).raw("\n<style>\n" + style() + "</style>\n").raw("""
                </head>
                <body>
                <header>
                <h1>VFIO device features: conformance</h1>
                """);
        verdict();
        html.raw("</header>\n<main>\n");
        if (!failures.isEmpty()) {
            failures();
        }
        matrix();
        properties();
        run();
        return html.raw("</main>\n</body>\n</html>\n").toString();
    }

    private String title() {
        return (hasFailed() ? "Failed" : "Passed") + ": VFIO conformance of "
                + String.join(", ", run.devices().stream().map(Device::name).distinct().toList());
    }

    private boolean hasFailed() {
        return !failures.isEmpty() || run.count(Status.FAILED) > 0;
    }

    private void verdict() {
        html.raw("<p class=\"verdict " + (hasFailed() ? "failed" : "yes") + "\">").raw("<strong>")
                .text(hasFailed() ? "✗ Failed: " : "✓ Passed: ").raw("</strong>");
        html.text(run.summary() + "; " + RunDescription
                .counted(run.devices().stream().map(Device::name).distinct().count(), "device", "devices") + ", seed "
                + run.seed() + ".").raw("</p>\n");
    }

    private void failures() {
        html.raw("<section aria-labelledby=\"failures\">\n<h2 id=\"failures\">What failed</h2>\n");
        for (int i = 0; i < failures.size(); i++) {
            failure(i + 1, failures.get(i));
        }
        html.raw("</section>\n");
    }

    private void failure(int number, Failure failure) {
        html.raw("<article class=\"failure\" id=\"failure-" + number + "\">\n<h3>").text(failure.property())
                .raw("</h3>\n<p class=\"where\">on ").text(failure.target()).raw(", ").text(failure.kernel());
        if (failure.feature() != null) {
            html.raw("; last asked: ").text("feature " + failure.feature() + " " + FeatureId.of(failure.feature())
                    + (failure.operation() == null ? "" : ", " + failure.operation()));
        }
        html.raw("</p>\n<pre class=\"message\">").text(failure.message()).raw("</pre>\n");
        if (!failure.program().isEmpty()) {
            html.element("h4", "The calls that show it, shrunk to what it takes").raw("\n<ol class=\"program\">\n");
            failure.program().forEach(line -> html.raw("<li>").element("code", line).raw("</li>\n"));
            html.raw("</ol>\n");
        }
        html.raw("<dl>\n");
        entry("Seed", failure.seed());
        Path transcript = failure.transcript();
        if (transcript != null) {
            entry("Transcript", Objects.requireNonNullElse(transcript.getFileName(), transcript));
            entry("Replay it", replayCommand(transcript));
        }
        html.raw("</dl>\n</article>\n");
    }

    static String replayCommand(Path transcript) {
        return "scripts/vfio4j replay " + Shell.quote(transcript.toString());
    }

    private void entry(String name, Object value) {
        html.raw("<div>").element("dt", name).raw("<dd>").element("code", value).raw("</dd></div>\n");
    }

    private void matrix() {
        html.raw("<section aria-labelledby=\"matrix\">\n<h2 id=\"matrix\">Answers by feature and operation</h2>\n");
        if (matrix.targets().isEmpty()) {
            html.raw("<p>No device was asked for a feature.</p>\n");
        } else {
            html.raw(
                    "<p>How often there was which answer. The requests are in part malformed on purpose: to be refused is"
                            + " mostly right.</p>\n");
            legend();
            for (int i = 0; i < matrix.targets().size(); i++) {
                device("device-" + (i + 1), matrix.targets().get(i));
            }
        }
        html.raw("</section>\n");
    }

    private void device(String id, String target) {
        List<String> kernels = matrix.kernels(target);
        List<String> operations = matrix.operations();
        html.raw("<h3 id=\"" + id + "\">Device ").text(target).raw("</h3>\n<div class=\"scroll\" role=\"region\""
                + " aria-labelledby=\"" + id + "\" tabindex=\"0\">\n<table class=\"matrix\">\n<colgroup></colgroup>\n");
        kernels.forEach(kernel -> html.raw("<colgroup span=\"" + operations.size() + "\"></colgroup>\n"));
        html.raw("<thead>\n<tr><th scope=\"col\" rowspan=\"2\" class=\"feature\">Feature</th>");
        kernels.forEach(
                kernel -> html.raw("<th scope=\"colgroup\" class=\"first\" colspan=\"" + operations.size() + "\">")
                        .element("span", "kernel", kernel).raw("</th>"));
        html.raw("</tr>\n<tr>");
        kernels.forEach(kernel -> operations.forEach(
                operation -> html.raw("<th scope=\"col\"" + (isFirst(operation) ? " class=\"first\"" : "") + ">")
                        // The line may be broken there.
                        .raw(Html.escape(operation).replace("|", "|<wbr>")).raw("</th>")));
        html.raw("</tr>\n</thead>\n<tbody>\n");
        for (int feature : matrix.features(target)) {
            html.raw("<tr><th scope=\"row\" class=\"feature\">")
                    .element("span", "number", Matrix.featureNumber(feature)).raw(" ")
                    .raw(Html.escape(Matrix.featureName(feature)).replace("_", "_<wbr>")).raw("</th>");
            kernels.forEach(kernel -> operations.forEach(operation -> cell(isFirst(operation),
                    matrix.cell(new Question(target, kernel, feature, operation)))));
            html.raw("</tr>\n");
        }
        html.raw("</tbody>\n</table>\n</div>\n");
    }

    /** Where the columns of a kernel begin. */
    private boolean isFirst(String operation) {
        return operation.equals(matrix.operations().getFirst());
    }

    private static void item(Html html, State state, String text) {
        html.raw("<li><span class=\"cell " + cssClass(state) + "\">").text(word(state)).raw("</span> ").text(text)
                .raw("</li>\n");
    }

    private void legend() {
        html.raw("<ul class=\"legend\" aria-label=\"Legend\">\n");
        item(html, State.YES, "the device has it: a probe found it, or it was carried out");
        item(html, State.NO, "refused every time, with the errno");
        item(html, State.FAILED, "a property does not hold here");
        item(html, State.NOT_ASKED, "not asked, or excluded");
        html.raw("</ul>\n");
    }

    private void cell(boolean first, Cell cell) {
        html.raw("<td class=\"cell " + cssClass(cell.state()) + (first ? " first" : "") + "\"><b>")
                .text(word(cell.state())).raw("</b>");
        // The most frequent first.
        cell.answers().entrySet().stream()
                .sorted(Map.Entry.<String, Integer>comparingByValue().reversed()
                        .thenComparing(Map.Entry.comparingByKey()))
                .forEach(answer -> html.raw(" <span class=\"answer\">").text(answer.getKey())
                        .raw("&nbsp;<span class=\"count\">×").text(answer.getValue()).raw("</span></span>"));
        html.raw("</td>");
    }

    private static String cssClass(State state) {
        return switch (state) {
            case YES -> "yes";
            case NO -> "no";
            case FAILED -> "failed";
            case NOT_ASKED -> "not-asked";
        };
    }

    private static String word(State state) {
        return switch (state) {
            case YES -> "✓ yes";
            case NO -> "– no";
            case FAILED -> "✗ failed";
            case NOT_ASKED -> "not asked";
        };
    }

    private void properties() {
        html.raw(
                "<section aria-labelledby=\"properties\">\n<h2 id=\"properties\">Properties</h2>\n<table>\n<thead>\n<tr>"
                        + "<th scope=\"col\">Property</th><th scope=\"col\">Result</th><th scope=\"col\" class=\"time\">Time</th></tr>\n</thead>\n"
                        + "<tbody>\n");
        for (Result result : run.results()) {
            html.raw("<tr><th scope=\"row\">").text(result.property())
                    .raw("</th><td class=\"cell " + cssClass(result.status()) + "\">")
                    .text(Objects.requireNonNull(STATUS_WORDS.get(result.status()))).raw("</td><td class=\"time\">")
                    .text(seconds(result.duration())).raw("</td></tr>\n");
        }
        html.raw("</tbody>\n</table>\n</section>\n");
    }

    private static String cssClass(Status status) {
        return status == Status.HOLDS ? "yes" : status == Status.FAILED ? "failed" : "no";
    }

    static String seconds(Duration duration) {
        return String.format(Locale.ROOT, "%.1f s", duration.toMillis() / 1000.0);
    }

    private void run() {
        html.raw("<section aria-labelledby=\"run\">\n<h2 id=\"run\">The run</h2>\n<dl>\n");
        entry("Started", TIME.format(run.started()));
        entry("vfio4j", run.version());
        entry("Seed", run.seed());
        entry("Tries of each property", run.tries());
        entry("The same again", run.command());
        html.raw("</dl>\n<table>\n<thead>\n<tr><th scope=\"col\">Device</th><th scope=\"col\">Driver</th>"
                + "<th scope=\"col\">Kernel</th><th scope=\"col\">Excluded</th></tr>\n" + "</thead>\n<tbody>\n");
        for (Device device : run.devices()) {
            html.raw("<tr><th scope=\"row\">").text(device.name()).raw("</th><td>")
                    .text(Objects.requireNonNullElse(device.driver(), "not known")).raw("</td><td>")
                    .text(device.kernel()).raw("</td><td>")
                    .text(device.excluded().isEmpty() ? "nothing" : String.join(", ", device.excluded()))
                    .raw("</td></tr>\n");
        }
        html.raw("</tbody>\n</table>\n</section>\n");
    }

    private static String style() {
        try (InputStream css = Objects.requireNonNull(HtmlReport.class.getResourceAsStream("report.css"),
                "report.css is beside the class")) {
            return new String(css.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
