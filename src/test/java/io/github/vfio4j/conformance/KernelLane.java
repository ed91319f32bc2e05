package io.github.vfio4j.conformance;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.cli.Main;
import io.github.vfio4j.conformance.Subject.Kind;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.RecordingBackend;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import picocli.CommandLine;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * What runs in the guest of the kernel lane: the demo and the features table natively, then the public API's tests with
 * every call made on the real and on the emulated kernel. scripts/kernel-lane boots the guest.
 */
@Command(name = "kernel-lane")
final class KernelLane implements Callable<Integer> {

    /** Enough to come to everything; the guest's processor is an emulated one. */
    private static final String CONFORMANCE_TRIES = "50";

    @Option(names = "--kernel", required = true, description = "the kernel's name in the lane, for example 6.12 or full-7.2")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private String kernel;

    @Option(names = "--pf", required = true, description = "an SR-IOV physical function on vfio-pci")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private PciAddress physicalFunction;

    @Option(names = "--plain", required = true, description = "a plain function on vfio-pci")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private PciAddress plainFunction;

    @Option(names = "--unbound", required = true, description = "a function without a driver")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private PciAddress unboundFunction;

    @Option(names = "--disk", required = true, description = "an NVMe disk of at least 65 MiB on vfio-pci, which begins with lines of vfio4j")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private PciAddress disk;

    @Option(names = "--disk-serial", required = true, description = "its serial number")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private String diskSerial;

    @ArgGroup(exclusive = false)
    private @Nullable MediatedDeviceCalls mediatedDevices;

    @Option(names = "--newer-kernel", description = "release of a kernel that no profile is for: differences are listed only")
    private @Nullable String newerKernel;

    @Option(names = "--record", description = "a directory for transcripts of what the real kernel was asked")
    private @Nullable Path transcripts;

    @Option(names = "--differential", description = "make so many random ioctls instead, and compare them")
    private long differential;

    @Option(names = "--seed", description = "of the first random program")
    private long seed = System.currentTimeMillis();

    private final PrintWriter out = new PrintWriter(System.out, true, StandardCharsets.UTF_8);
    private final List<String> failures = new ArrayList<>();

    private KernelLane() {
    }

    /** Ends the JVM with 0 if the kernels do not differ and every test has passed. */
    public static void main(String[] arguments) {
        // The guest's output is the comparison, not the log.
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
        System.exit(new CommandLine(new KernelLane()).registerConverter(PciAddress.class, PciAddress::parse)
                .execute(arguments));
    }

    @Override
    public Integer call() throws IOException, VfioException {
        Environment environment = Environment.ofThisMachine();
        out.println("Compared with an emulated machine like this one: " + environment);
        if (newerKernel == null && !kernel.endsWith(environment.kernel().version())) {
            failures.add("this kernel is not " + kernel);
        }
        if (differential > 0) {
            return comparePrograms(environment);
        }
        demo();
        compareFeatures(environment, physicalFunction, "0000:01:00.0");
        compareFeatures(environment, plainFunction, "0000:02:00.0");
        Main.run(out, out, "doctor", physicalFunction.toString());
        if (mediatedDevices != null) {
            compareFeatures(environment, mediatedDevices.names().getFirst(), "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
        }
        IoctlBackend real = NativeBackend.create();
        if (transcripts == null) {
            return compare(environment, real);
        }
        Path file = transcripts.resolve("programs.jsonl");
        try (RecordingBackend recording = new RecordingBackend(real, environment, Files.newBufferedWriter(file))) {
            return compare(environment, recording);
        }
    }

    private int compare(Environment environment, IoctlBackend real) throws VfioException {
        RealMachine machine = new RealMachine(environment, List.of(physicalFunction, plainFunction, unboundFunction),
                real);
        LifecycleCalls.run(machine);
        Type1Calls.run(machine);
        DeviceInfoCalls.run(machine);
        RegionCalls.run(machine, machine.comparison()::withoutData);
        HotResetCalls.run(machine, machine.comparison()::withoutData);
        CdevCalls.run(machine, machine.comparison()::withoutData,
                mediatedDevices == null ? List.of() : mediatedDevices.names());
        if (mediatedDevices != null) {
            mediatedDevices.run(machine.backend());
            if (transcripts == null) {
                // How many descriptors a process can have differs from machine to machine.
                mediatedDevices.runWithoutDescriptors(machine.backend(), machine.comparison().kernels());
            }
        }
        runTests(machine);
        runConformanceKit();

        List<String> divergences = new ArrayList<>(machine.comparison().divergences());
        divergences.forEach(out::println);
        failures.forEach(out::println);
        out.println("kernel " + kernel + ": " + machine.comparison().calls() + " calls, " + divergences.size()
                + " divergences");
        if (newerKernel != null) {
            return 0;
        }
        return divergences.isEmpty() && failures.isEmpty() ? 0 : 1;
    }

    /** Random programs on all devices; what they have come upon. */
    private int comparePrograms(Environment environment) throws IOException {
        List<Subject> machine = new ArrayList<>(
                List.of(new Subject(Kind.PHYSICAL_FUNCTION, physicalFunction.toString()),
                        new Subject(Kind.VIRTUAL_FUNCTION, physicalFunction.toString(), 0),
                        new Subject(Kind.VIRTUAL_FUNCTION, physicalFunction.toString(), 1),
                        new Subject(Kind.PLAIN_FUNCTION, plainFunction.toString())));
        if (mediatedDevices != null) {
            machine.addAll(mediatedDevices.subjects());
        }
        out.println("Random programs from seed " + seed + " on, on " + machine);
        DifferentialPrograms programs = new DifferentialPrograms(environment, NativeBackend.create(),
                environment.boot(), process -> process, machine, out);
        int divergences = programs.run(differential, seed);
        out.print(programs.tally());
        failures.forEach(out::println);
        out.println("kernel " + kernel + ": " + programs.tally().ioctls() + " ioctls, " + divergences + " divergences");
        return (divergences == 0 && failures.isEmpty()) || newerKernel != null ? 0 : 1;
    }

    private void demo() {
        List<String> command = new ArrayList<>(List.of("demo", "--native", "--pf", physicalFunction.toString()));
        if (transcripts != null) {
            command.addAll(0, List.of("record", "-o", transcripts.resolve("demo.jsonl").toString()));
        }
        if (Main.run(out, out, command.toArray(String[]::new)) != 0) {
            failures.add("the native demo failed");
        }
    }

    /** The table of a real device and that of the emulated one of the same kind. */
    private void compareFeatures(Environment environment, Object device, String emulatedDevice) throws IOException {
        Main.run(out, out, "features", device.toString());
        List<String> real = featureTable("features", device.toString(), "--json");
        List<String> emulated = featureTable("features", emulatedDevice, "--emulated", "--kernel",
                environment.kernel().version(), "--json");
        if (real.isEmpty() || !real.equals(emulated)) {
            failures.add("the features of " + device + " differ: " + real + ", emulated " + emulated);
        }
    }

    /** The entries of a JSON table, each as one text. */
    private static List<String> featureTable(String... arguments) throws IOException {
        StringWriter json = new StringWriter();
        Main.run(new PrintWriter(json), new PrintWriter(json), arguments);
        List<String> entries = new ArrayList<>();
        try (JsonParser parser = new JsonFactory().createParser(json.toString())) {
            StringBuilder entry = new StringBuilder();
            int depth = 0;
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                depth += token.isStructStart() ? 1 : token.isStructEnd() ? -1 : 0;
                if (depth > 2) {
                    entry.append(parser.getText()).append(' ');
                } else if (!entry.isEmpty()) {
                    entries.add(entry.toString());
                    entry.setLength(0);
                }
            }
        }
        return entries;
    }

    /** The kit as the author of a driver runs it, on the real kernel alone. */
    private void runConformanceKit() {
        List<String> arguments = new ArrayList<>(List.of("--device", physicalFunction.toString(), "--device",
                plainFunction.toString(), "--tries", CONFORMANCE_TRIES, "--seed", Long.toString(seed)));
        if (mediatedDevices != null) {
            mediatedDevices.names().forEach(name -> arguments.addAll(List.of("--device", name.toString())));
        }
        int exitCode = ConformanceRunner.commandLine(NativeBackend::create, Environment::ofThisMachine).setOut(out)
                .setErr(out).execute(arguments.toArray(String[]::new));
        if (exitCode != 0) {
            failures.add("the conformance kit ended with exit code " + exitCode);
        }
    }

    private void runTests(RealMachine machine) {
        KernelLaneApiTest.runOn(machine);
        KernelLaneNvmeTest.runOn(disk, diskSerial, out);
        LauncherDiscoveryRequest request = LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectClass(KernelLaneApiTest.class),
                        DiscoverySelectors.selectClass(KernelLaneSriovTokenTest.class),
                        DiscoverySelectors.selectClass(KernelLaneIommuTest.class),
                        DiscoverySelectors.selectClass(KernelLaneDmaTest.class),
                        DiscoverySelectors.selectClass(KernelLaneNvmeTest.class),
                        DiscoverySelectors.selectClass(KernelLaneEduTest.class),
                        DiscoverySelectors.selectClass(KernelLanePciDeviceTest.class),
                        DiscoverySelectors.selectClass(KernelLaneSriovProcessesTest.class),
                        DiscoverySelectors.selectClass(KernelLaneTokenConformance.class),
                        DiscoverySelectors.selectClass(KernelLaneDoctorTest.class))
                // A try opens a function that takes a tenth of a second to be reset.
                .configurationParameter("jqwik.tries.default", "20")
                // In the guest there is no target directory, without which jqwik's engine ends with an error.
                .configurationParameter("jqwik.database", "/tmp/jqwik-database")
                .filters(EngineFilter.includeEngines("junit-jupiter", "jqwik")).build();
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        LauncherFactory.create().execute(request, listener);
        var summary = listener.getSummary();
        summary.getFailures().forEach(failure -> failures
                .add(failure.getTestIdentifier().getDisplayName() + " failed: " + failure.getException()));
        out.println("Tests on the real kernel: " + summary.getTestsSucceededCount() + " passed, "
                + summary.getTotalFailureCount() + " failed");
        if (summary.getTestsSucceededCount() == 0) {
            failures.add("no test has run");
        }
    }
}
