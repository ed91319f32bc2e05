package io.github.vfio4j.cli;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.github.vfio4j.Errno;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureSupport;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio4j features}. */
@Command(name = "features", mixinStandardHelpOptions = true, description = {
        "Shows which device features a device has, by probing each.",
        "Nothing is changed, but the first opening of a PCI function resets it."}, footer = {"",
                "The emulated machine has " + ExampleMachine.DEVICES + "."})
final class FeaturesCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private CommandSpec spec;

    @Parameters(paramLabel = "DEVICE", description = "address of a PCI function, for example 0000:01:00.0, or UUID of a mediated device")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private DeviceArgument device;

    @Option(names = "--emulated", description = "ask the emulated kernel instead of the real one")
    private boolean emulated;

    @Option(names = "--kernel", paramLabel = "V", description = "which kernel to emulate: 5.7, 6.1, 6.12 or 7.2, the default")
    private @Nullable KernelProfile profile;

    @Option(names = "--json", description = "print JSON")
    private boolean json;

    @ArgGroup
    private @Nullable TokenSource token;

    @Override
    public Integer call() throws IOException {
        if (profile != null && !emulated) {
            throw new ParameterException(spec.commandLine(), "--kernel chooses what to emulate: add --emulated");
        }
        ExampleMachine machine = emulated ? ExampleMachine.with(profile) : null;
        EmulatedKernel kernel = machine == null ? null : machine.boot();
        if (kernel != null && !ExampleMachine.has(kernel, device)) {
            throw device.absent("open", "The emulated machine has " + ExampleMachine.DEVICES);
        }
        VfToken given = token == null ? null : token.read(spec);
        IoctlBackend backend = machine == null || kernel == null
                ? Main.realKernel(spec)
                : Main.emulatedKernel(spec, machine::environment, kernel);
        List<FeatureSupport> features = probe(Vfio.using(backend), given);
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            printJson(out, kernel == null ? System.getProperty("os.version") : kernel.profile().version(), features);
        } else {
            printTable(out, backend, features);
        }
        out.flush();
        return 0;
    }

    private List<FeatureSupport> probe(Vfio vfio, @Nullable VfToken given) throws VfioException {
        try (VfioContainer container = vfio.openContainer(); VfioDevice open = device.open(container, given)) {
            return open.probeAll();
        }
    }

    private void printTable(PrintWriter out, IoctlBackend backend, List<FeatureSupport> features) {
        out.println("Device " + device + " on " + backend);
        out.println();
        out.printf("%5s  %-28s %-10s %s%n", "INDEX", "FEATURE", "SUPPORTED", "OPERATIONS");
        for (FeatureSupport support : features) {
            // As a text: for a number, the digits of the language have to be found first.
            out.printf("%5s  %-28s %s %s%n", Integer.toString(support.feature().index()), support.feature().name(),
                    supported(support), errno(support).map(Errno::toString).orElseGet(() -> operations(support)));
        }
    }

    /** A column, green on a terminal where the feature is there. */
    private String supported(FeatureSupport support) {
        return switch (support) {
            case FeatureSupport.Supported supported ->
                spec.commandLine().getColorScheme().ansi().string("@|green %-10s|@".formatted("yes"));
            case FeatureSupport.Unsupported unsupported -> "no        ";
            case FeatureSupport.Failed failed -> "unknown   ";
        };
    }

    private static String operations(FeatureSupport support) {
        return List.of(FeatureOperation.values()).stream().filter(support::supports).map(FeatureOperation::name)
                .collect(Collectors.joining(", "));
    }

    private static Optional<Errno> errno(FeatureSupport support) {
        return switch (support) {
            case FeatureSupport.Supported supported -> Optional.empty();
            case FeatureSupport.Unsupported unsupported -> Optional.of(unsupported.errno());
            case FeatureSupport.Failed failed -> Optional.of(failed.errno());
        };
    }

    private void printJson(PrintWriter out, String kernel, List<FeatureSupport> features) throws IOException {
        try (JsonGenerator generator = new JsonFactory().createGenerator(out).useDefaultPrettyPrinter()
                .disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
            generator.writeStartObject();
            generator.writeStringField("device", device.toString());
            generator.writeStringField("backend", emulated ? "emulated" : "native");
            generator.writeStringField("kernel", kernel);
            generator.writeArrayFieldStart("features");
            for (FeatureSupport support : features) {
                generator.writeStartObject();
                generator.writeNumberField("index", support.feature().index());
                generator.writeStringField("name", support.feature().name());
                generator.writeBooleanField("supported", support instanceof FeatureSupport.Supported);
                generator.writeBooleanField("get", support.supports(FeatureOperation.GET));
                generator.writeBooleanField("set", support.supports(FeatureOperation.SET));
                generator.writeStringField("errno", errno(support).map(Errno::name).orElse(null));
                generator.writeEndObject();
            }
            generator.writeEndArray();
            generator.writeEndObject();
        }
        out.println();
    }
}
