package io.github.vfio4j.conformance.report;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.conformance.report.RunDescription.Device;
import io.github.vfio4j.conformance.report.RunDescription.Result;
import io.github.vfio4j.conformance.report.RunDescription.Status;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** The page and the console's summary of a run that was made up. */
class ReportsTest {

    private static final String PF = "0000:01:00.0";
    private static final String OLD = "Linux 6.1";
    private static final String NEW = "Linux 7.2";
    private static final Set<String> WITHOUT_END = Set.of("meta", "wbr", "!DOCTYPE");
    private static final Pattern TAG = Pattern.compile("<(/?)([!a-zA-Z][a-zA-Z0-9]*)((?:[^<>\"]|\"[^\"<>]*\")*)>");

    private final Evidence evidence = new Evidence();

    private static RunDescription run(Status status) {
        return new RunDescription(ZonedDateTime.of(2026, 11, 26, 7, 5, 3, 0, ZoneOffset.UTC), "1.2.3", 42, 100,
                "scripts/conformance --device " + PF + " --tries 100 --seed 42",
                List.of(new Device(PF, OLD, "my-vfio-pci", List.of("LOW_POWER_ENTRY")),
                        new Device(PF, NEW, null, List.of())),
                List.of(new Result("probingChangesNothing", Status.HOLDS, Duration.ofMillis(1234)),
                        new Result("tokensAreTaken", status, Duration.ofMillis(50)),
                        new Result("sleeps", Status.SKIPPED, Duration.ZERO)));
    }

    private void answer(String kernel, int feature, String operation, String answer, int times) {
        for (int i = 0; i < times; i++) {
            evidence.answered(PF, kernel, feature, operation, answer);
        }
    }

    private void answers() {
        answer(OLD, 0, "PROBE", "0", 3);
        answer(OLD, 0, "SET", "carried out", 2);
        answer(OLD, 0, "SET", "EINVAL", 5);
        answer(OLD, 11, "PROBE", "ENOTTY", 4);
        answer(NEW, 11, "PROBE", "0", 1);
        answer(NEW, 13, "none", "EINVAL", 1);
        answer(NEW, 65535, "none", "ENOTTY", 2);
    }

    private void fail(String message, String program) {
        evidence.failed(new Failure("tokensAreTaken", PF, OLD, 0, "SET", "42", List.of("open it = container0", program),
                Path.of("/tmp/a directory/tokensAreTaken.jsonl"), message));
    }

    private String page(Status status) {
        return HtmlReport.of(run(status), evidence);
    }

    private static String console(RunDescription run, Evidence evidence) {
        StringWriter out = new StringWriter();
        ConsoleReport.print(new PrintWriter(out), run, evidence);
        return out.toString().replace(System.lineSeparator(), "\n");
    }

    /** The rows of the matrix as a reader sees them, cells divided by a bar. */
    private static List<String> rows(String page) {
        List<String> rows = new ArrayList<>();
        String table = page.substring(page.indexOf("<table class=\"matrix\">"));
        Matcher row = Pattern.compile("<tr>(.*?)</tr>").matcher(table.substring(0, table.indexOf("</table>")));
        while (row.find()) {
            rows.add(row.group(1).replaceAll("</t[hd]>", "|").replaceAll("<[^>]*>", "").replace("&nbsp;", " "));
        }
        return rows;
    }

    @Test
    void theMatrixHasFeaturesAndOperationsByKernelAndDevice() {
        answers();
        assertThat(rows(page(Status.HOLDS))).containsExactly("Feature|Linux 6.1|Linux 7.2|",
                "PROBE|SET|none|PROBE|SET|none|",
                "0 PCI_VF_TOKEN|✓ yes 0 ×3|✓ yes EINVAL ×5 carried out ×2|not asked|not asked|not asked|not asked|",
                "11 DMA_BUF|– no ENOTTY ×4|not asked|not asked|✓ yes 0 ×1|not asked|not asked|",
                "13 and more unknown features|not asked|not asked|not asked|not asked|not asked|– no ENOTTY ×2 EINVAL ×1|");
    }

    /** As the run was described, whatever was asked first. */
    @Test
    void kernelsAndDevicesStandInTheOrderOfTheRun() {
        answer(NEW, 0, "PROBE", "0", 1);
        evidence.answered("another", NEW, 0, "PROBE", "0");
        answer(OLD, 0, "PROBE", "0", 1);
        String page = page(Status.HOLDS);
        assertThat(rows(page)).first().isEqualTo("Feature|Linux 6.1|Linux 7.2|");
        assertThat(page.indexOf("Device another")).isGreaterThan(page.indexOf("Device " + PF));
    }

    @Test
    void aFailureMarksItsCell() {
        answers();
        fail("expected 0", "VFIO_DEVICE_FEATURE SET PCI_VF_TOKEN = EINVAL");
        assertThat(rows(page(Status.FAILED))).contains(
                "0 PCI_VF_TOKEN|✓ yes 0 ×3|✗ failed EINVAL ×5 carried out ×2|not asked|not asked|not asked|not asked|");
        evidence.failed(new Failure("all", PF, NEW, 40000, null, "42", List.of(), null, "of the feature"));
        assertThat(rows(page(Status.FAILED))).contains(
                "13 and more unknown features|not asked|not asked|not asked|✗ failed|✗ failed|✗ failed ENOTTY ×2"
                        + " EINVAL ×1|");
    }

    @Test
    void thePageTellsWhatWasRunAndWhatFailed() {
        answers();
        fail("expected 0", "VFIO_DEVICE_FEATURE SET PCI_VF_TOKEN = EINVAL");
        assertThat(page(Status.FAILED)).contains("✗ Failed: ",
                "1 property holds, 1 does not, 1 skipped; 1 device, seed 42.", "26 November 2026, 07:05:03 Z", "1.2.3",
                "my-vfio-pci", "not known", "LOW_POWER_ENTRY",
                "<li><code>VFIO_DEVICE_FEATURE SET PCI_VF_TOKEN = EINVAL</code></li>", "feature 0 PCI_VF_TOKEN, SET",
                "scripts/vfio4j replay &#39;/tmp/a directory/tokensAreTaken.jsonl&#39;",
                "<code>tokensAreTaken.jsonl</code>", "scripts/conformance --device " + PF + " --tries 100 --seed 42",
                "1.2 s");
        assertThat(page(Status.HOLDS)).doesNotContain("✓ Passed: ");
    }

    @Test
    void thePageOfARunThatHoldsHasNoFailures() {
        answers();
        assertThat(page(Status.HOLDS)).contains("✓ Passed: ", "2 properties hold, 1 skipped")
                .doesNotContain("What failed", "✗ Failed");
        assertThat(HtmlReport.of(run(Status.HOLDS), new Evidence())).contains("No device was asked for a feature")
                .doesNotContain("<table class=\"matrix\">");
    }

    /** Nothing that comes from a device or an error becomes markup, or looks like another text. */
    @Test
    void everyTextIsEscaped() {
        String nasty = "<script>alert(\"1\")</script>&amp;'\u001b[31m\u202e\ud800";
        evidence.answered(nasty, nasty, 3, nasty, nasty);
        evidence.failed(
                new Failure(nasty, nasty, nasty, 3, nasty, nasty, List.of(nasty), Path.of("a'b<c>.jsonl"), nasty));
        String page = HtmlReport.of(new RunDescription(ZonedDateTime.of(2026, 11, 26, 7, 5, 3, 0, ZoneOffset.UTC),
                nasty, 1, 1, nasty, List.of(new Device(nasty, nasty, nasty, List.of(nasty))),
                List.of(new Result(nasty, Status.FAILED, Duration.ZERO))), evidence);
        assertThat(page).doesNotContain("<script", "\u001b", "\u202e", "\ud800", "a'b<c>")
                .contains("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;&#39;\ufffd[31m\ufffd\ufffd");
        assertWellFormed(page);
        assertThat(console(run(Status.FAILED), evidence)).doesNotContain("\u001b");
    }

    private static void assertWellFormed(String page) {
        Deque<String> open = new ArrayDeque<>();
        String markup = page.replaceAll("(?s)<style>.*?</style>", "");
        Matcher tag = TAG.matcher(markup);
        int end = 0;
        while (tag.find()) {
            assertThat(markup.substring(end, tag.start())).doesNotContain("<", ">");
            end = tag.end();
            if (!tag.group(1).isEmpty()) {
                assertThat(tag.group(2)).isEqualTo(open.pop());
            } else if (!WITHOUT_END.contains(tag.group(2))) {
                open.push(tag.group(2));
            }
        }
        assertThat(open).isEmpty();
    }

    @Test
    void thePageIsOneFileThatReadersOfAllKindsCanUse() {
        answers();
        fail("expected 0", "call");
        String page = page(Status.FAILED);
        assertWellFormed(page);
        // Nothing is loaded, nothing runs.
        assertThat(page).doesNotContain("src=", "href=", "url(", "@import", "<link", "<script", "http:", "https:");
        assertThat(page).startsWith("<!DOCTYPE html>\n<html lang=\"en\">").contains("<meta charset=\"utf-8\">",
                "<title>Failed: VFIO conformance of " + PF + "</title>", "prefers-color-scheme: dark", "@media print",
                "<main>", "tabindex=\"0\"");
        // Every header says of what.
        assertThat(Pattern.compile("<th(?![a-z])[^>]*>").matcher(page).results()).isNotEmpty()
                .allSatisfy(header -> assertThat(header.group()).contains("scope=\""));
        // Every state has a word, for whoever does not see its colour.
        assertThat(Pattern.compile("<td class=\"cell [^\"]*\"><b>(.*?)</b>").matcher(page).results())
                .extracting(result -> result.group(1)).isNotEmpty()
                .allMatch(Set.of("✓ yes", "– no", "✗ failed", "not asked")::contains);
        // Each id is there once, and what is referred to is there.
        List<String> ids = Pattern.compile(" id=\"([^\"]*)\"").matcher(page).results().map(id -> id.group(1)).toList();
        assertThat(ids).doesNotHaveDuplicates();
        assertThat(Pattern.compile("labelledby=\"([^\"]*)\"").matcher(page).results().map(id -> id.group(1)))
                .isSubsetOf(ids);
    }

    @Test
    void theConsoleHasALineADeviceAndAllOfAFailure() {
        answers();
        fail("expected 0\nbut was EINVAL", "VFIO_DEVICE_FEATURE SET PCI_VF_TOKEN = EINVAL");
        assertThat(console(run(Status.FAILED), evidence)).isEqualTo("""
                0000:01:00.0 on Linux 6.1: features 0; answers: found 3, EINVAL 5, ENOTTY 4, carried out 2
                0000:01:00.0 on Linux 7.2: features 11; answers: found 1, EINVAL 1, ENOTTY 2

                FAILED: tokensAreTaken on 0000:01:00.0, Linux 6.1
                  expected 0
                  but was EINVAL
                  The calls that show it:
                     1. open it = container0
                     2. VFIO_DEVICE_FEATURE SET PCI_VF_TOKEN = EINVAL
                  Seed:       42
                  Transcript: /tmp/a directory/tokensAreTaken.jsonl
                  Replay it:  scripts/vfio4j replay '/tmp/a directory/tokensAreTaken.jsonl'
                  Again:      scripts/conformance --device 0000:01:00.0 --tries 100 --seed 42

                1 property holds, 1 does not, 1 skipped; seed 42
                """);
    }

    @Test
    void evidenceOfManyThreadsIsComplete() throws Exception {
        try (ExecutorService threads = Executors.newFixedThreadPool(4)) {
            List<Future<?>> done = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                done.add(threads.submit(() -> answer(NEW, 1, "GET", "EINVAL", 1000)));
            }
            for (Future<?> each : done) {
                each.get();
            }
        }
        assertThat(evidence.answers().get(new Question(PF, NEW, 1, "GET"))).containsEntry("EINVAL", 4000);
    }

    @Test
    void wordsAreQuotedForTheShell() {
        assertThat(Shell.quote("0000:01:00.0")).isEqualTo("0000:01:00.0");
        assertThat(Shell.quote("it's $HOME")).isEqualTo("'it'\\''s $HOME'");
        assertThat(Shell.quote("")).isEqualTo("''");
    }
}
