package io.github.vfio4j.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.github.vfio4j.Errno;
import io.github.vfio4j.cli.explain.Explanation;
import io.github.vfio4j.cli.explain.Operations;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio4j explain}. */
@Command(name = "explain", mixinStandardHelpOptions = true, description = {
        "Says why a request for a device feature (VFIO_DEVICE_FEATURE) can end with an error: every cause that Linux 5.7,"
                + " 6.1, 6.12 and 7.2 have, in the order in which they check."}, footer = {"", "For example:",
                        "  vfio4j explain EINVAL --feature LOW_POWER_ENTRY --op set",
                        "  vfio4j explain 25 --feature 11 --op probe,get"})
final class ExplainCommand implements Callable<Integer> {

    private static final int LAST_ERRNO = 4095;
    private static final String PREFIX = "VFIO_DEVICE_FEATURE_";

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private CommandSpec spec;

    @Parameters(paramLabel = "ERRNO", description = "the error, by name (EINVAL) or number (22)")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private Errno errno;

    @Option(names = "--feature", required = true, paramLabel = "F", description = "the feature, by name (DMA_BUF) or index (11)")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private FeatureId feature;

    @Option(names = "--op", required = true, paramLabel = "OP", description = "what was asked for: probe, get, set; probe,get or probe,set; or none")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private Operations operations;

    @Option(names = "--json", description = "print JSON")
    private boolean json;

    /** An errno by name or number. */
    static Errno errno(String text) {
        if (text.matches("[0-9]{1,9}")) {
            return new Errno(Integer.parseInt(text));
        }
        return IntStream.rangeClosed(1, LAST_ERRNO).mapToObj(Errno::new)
                .filter(errno -> errno.name().equalsIgnoreCase(text)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("No error called '" + text
                        + "' is known here; give its number ('errno -l' of moreutils lists them)"));
    }

    /** A feature by name or index. */
    static FeatureId feature(String text) {
        if (text.matches("[0-9]{1,9}")) {
            return FeatureId.of(Integer.parseInt(text));
        }
        return FeatureId.known().stream().filter(
                feature -> feature.name().equalsIgnoreCase(text) || (PREFIX + feature.name()).equalsIgnoreCase(text))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(
                        "No feature is called '" + text + "'; give its index, or one of "
                                + FeatureId.known().stream().map(FeatureId::name).collect(Collectors.joining(", "))));
    }

    @Override
    public Integer call() throws IOException {
        Explanation explanation = Explanation.of(errno, feature, operations);
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            printJson(out, explanation);
        } else {
            print(out, explanation);
        }
        out.flush();
        return 0;
    }

    private void print(PrintWriter out, Explanation explanation) {
        out.println(errno + " for " + operations + " of " + feature.name()
                + (feature.name().endsWith(" " + feature.index()) ? "" : " (feature " + feature.index() + ")"));
        out.println();
        if (explanation.causes().isEmpty()) {
            out.println("No kernel described here answers so: they answer "
                    + Explanation.possible(feature, operations).stream().map(Errno::name)
                            .collect(Collectors.joining(", "))
                    + ". Is the descriptor that of a device? A group's answers ENOTTY, a container's EINVAL, a closed"
                    + " one EBADF");
        }
        int number = 0;
        for (Explanation.Cause cause : explanation.causes()) {
            out.printf("%2d. %s%n    [%s] %s%n", ++number, cause.text(), kernels(cause.kernels()), cause.remedy());
        }
    }

    private static String kernels(List<KernelProfile> kernels) {
        return kernels.equals(KernelProfile.all())
                ? "every kernel"
                : kernels.stream().map(KernelProfile::version).collect(Collectors.joining(", "));
    }

    private void printJson(PrintWriter out, Explanation explanation) throws IOException {
        try (JsonGenerator generator = new JsonFactory().createGenerator(out).useDefaultPrettyPrinter()
                .disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
            generator.writeStartObject();
            generator.writeStringField("errno", errno.name());
            generator.writeNumberField("code", errno.code());
            generator.writeNumberField("index", feature.index());
            generator.writeStringField("feature", feature.name());
            writeStrings(generator, "operations", operations.names());
            generator.writeArrayFieldStart("causes");
            for (Explanation.Cause cause : explanation.causes()) {
                generator.writeStartObject();
                generator.writeStringField("cause", cause.text());
                generator.writeStringField("remedy", cause.remedy());
                writeStrings(generator, "kernels", cause.kernels().stream().map(KernelProfile::version).toList());
                generator.writeBooleanField("ofDriver", cause.isOfDriver());
                generator.writeEndObject();
            }
            generator.writeEndArray();
            generator.writeEndObject();
        }
        out.println();
    }

    private static void writeStrings(JsonGenerator generator, String name, List<String> values) throws IOException {
        generator.writeArrayFieldStart(name);
        for (String value : values) {
            generator.writeString(value);
        }
        generator.writeEndArray();
    }
}
