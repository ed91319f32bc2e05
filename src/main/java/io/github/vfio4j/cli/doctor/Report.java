package io.github.vfio4j.cli.doctor;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.Help.Ansi;

/**
 * The findings about a device or a machine, for people and for programs.
 *
 * @param subject
 *            what was examined, where and as whom
 * @param findings
 *            in the order in which things have to be put right
 * @param functions
 *            the PCI functions there are to choose from, a line each; none where a device is examined
 * @param allWell
 *            what there is to do if nothing stands in the way
 */
public record Report(String subject, List<Finding> findings, List<String> functions, String allWell) {

    /** The first finding that stands in the way. */
    public Optional<Finding> next() {
        return findings.stream().filter(finding -> finding.outcome() == Outcome.PROBLEM).findFirst();
    }

    /**
     * Writes it for people: the next step first, then everything.
     *
     * @param ansi
     *            whether in colours
     */
    public void print(PrintWriter out, Ansi ansi) {
        out.println(subject);
        out.println();
        String next = ansi.string("@|bold Next:|@ ");
        next().ifPresentOrElse(finding -> {
            out.println(next + finding.message());
            printFix(out, finding.fix());
        }, () -> out.println(next + "nothing stands in the way; " + allWell));
        out.println();
        for (Finding finding : findings) {
            out.printf("%s  %-13s  %s%n", inColour(finding.outcome(), ansi), finding.check(), finding.message());
            if (!next().equals(Optional.of(finding))) {
                printFix(out, finding.fix());
            }
        }
        if (!functions.isEmpty()) {
            out.println();
            functions.forEach(out::println);
        }
    }

    /** A column. */
    private static String inColour(Outcome outcome, Ansi ansi) {
        String text = String.format("%-14s", outcome);
        return switch (outcome) {
            case OK -> ansi.string("@|green " + text + "|@");
            case NOTE, UNKNOWN -> ansi.string("@|yellow " + text + "|@");
            case PROBLEM -> ansi.string("@|bold,red " + text + "|@");
            case NOT_APPLICABLE -> text;
        };
    }

    private static void printFix(PrintWriter out, Fix fix) {
        fix.commands().forEach(command -> out.println("    " + (fix.asRoot() ? "# " : "$ ") + command));
    }

    /** Writes the findings as JSON. */
    public void printJson(PrintWriter out) throws IOException {
        try (JsonGenerator generator = new JsonFactory().createGenerator(out).useDefaultPrettyPrinter()
                .disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
            generator.writeStartArray();
            for (Finding finding : findings) {
                generator.writeStartObject();
                generator.writeStringField("check", finding.check());
                generator.writeStringField("status", finding.outcome().toString());
                generator.writeStringField("message", finding.message());
                generator.writeBooleanField("asRoot", finding.fix().asRoot());
                generator.writeArrayFieldStart("commands");
                for (String command : finding.fix().commands()) {
                    generator.writeString(command);
                }
                generator.writeEndArray();
                generator.writeEndObject();
            }
            generator.writeEndArray();
        }
        out.println();
    }
}
