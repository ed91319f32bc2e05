package io.github.vfio4j.conformance;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.conformance.report.ConsoleReport;
import io.github.vfio4j.conformance.report.HtmlReport;
import io.github.vfio4j.conformance.report.RunDescription;
import io.github.vfio4j.conformance.report.RunDescription.Status;
import io.github.vfio4j.conformance.report.Shell;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.trace.Environment;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.ZoneId;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.reporting.legacy.xml.LegacyXmlReportGeneratingListener;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;

/** The command {@code conformance}: checks the flag semantics of a kernel driver's device features by properties. */
@Command(name = "conformance", mixinStandardHelpOptions = true, versionProvider = ConformanceRunner.Version.class, sortOptions = false, description = {
        "Checks a VFIO device's features by properties: thousands of random requests, right and wrong ones, each answered"
                + " as the kernel's interface says. What fails is shrunk to a few calls.",
        "The device has to be bound to its VFIO driver, and nobody else may use it: it is reset, and what its features can"
                + " change is changed. What that is, is printed before; --plan stops there.",
        "The reports are put into a directory: index.html, the same as JUnit XML, and a transcript of each failure."}, exitCodeListHeading = "%nExit codes:%n", exitCodeList = {
                "0:every property holds", "1:a property does not hold", "2:bad usage: an option, a name, a number",
                "3:not available here: no VFIO, no such device, not bound to a VFIO driver, in use or not viable",
                "4:no permission: for a file, or by the VF token"}, footer = {"", "For example:",
                        "  conformance --emulated", "  conformance --device 0000:01:00.0 --plan",
                        "  conformance --device 0000:01:00.0 --exclude LOW_POWER_ENTRY,4 --tries 5000"})
public final class ConformanceRunner implements Callable<Integer> {

    private static final int FAILED = 1;
    private static final int USAGE = 2;
    private static final int UNAVAILABLE = 3;
    private static final int NO_PERMISSION = 4;

    private static final String PAGE = "index.html";

    /** As the JDK's parser takes many a text that is no UUID. */
    private static final Pattern UUID_TEXT = Pattern.compile("\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}");

    /** What a VF token looks like, anywhere in a text, and what is never repeated where it does not belong. */
    private static final Pattern TOKEN = Pattern.compile("(?:\\p{XDigit}-?){24,}");

    /** How long to look for a smaller program that shows the same. */
    private static final Duration SHRINKING = Duration.ofSeconds(30);

    /** Small enough to be read out. */
    private static final long SEEDS = 1_000_000_000_000L;

    private final Supplier<? extends IoctlBackend> realKernel;
    private final Supplier<Environment> thisMachine;

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private CommandSpec spec;

    @Option(names = "--device", paramLabel = "DEVICE", description = "address of a PCI function, for example 0000:01:00.0, or UUID of a mediated device; can be given more than once")
    private List<String> names = new ArrayList<>();

    @Option(names = "--emulated", description = "the devices of emulated machines instead: what to try first")
    private boolean emulated;

    @Option(names = "--kernel", paramLabel = "V", split = ",", description = "which kernels to emulate: 5.7, 6.1, 6.12, 7.2 (default: all)")
    private List<KernelProfile> kernels = new ArrayList<>();

    @Option(names = "--tries", paramLabel = "N", defaultValue = "1000", description = "of each property (default: ${DEFAULT-VALUE})")
    private int tries;

    @Option(names = "--seed", paramLabel = "S", description = "the same seed makes the same run again (default: a new one, which is printed)")
    private @Nullable Long seed;

    @Option(names = "--exclude", paramLabel = "FEATURE", split = ",", description = "leave this feature as it is: a number, or a name such as PCI_VF_TOKEN")
    private Set<FeatureId> excluded = new LinkedHashSet<>();

    @Option(names = "--plan", description = "open and probe the devices, print what would be done, and stop")
    private boolean planOnly;

    @Option(names = "--report", paramLabel = "DIRECTORY", description = "where the reports go (default: target/conformance)")
    private Path directory = ConformanceRun.DIRECTORY;

    private ConformanceRunner(Supplier<? extends IoctlBackend> realKernel, Supplier<Environment> thisMachine) {
        this.realKernel = realKernel;
        this.thisMachine = thisMachine;
    }

    /** The version of the kit. */
    static final class Version implements IVersionProvider {
        @Override
        public String[] getVersion() {
            return new String[]{"vfio4j conformance kit " + version()};
        }
    }

    /** Only a jar knows. */
    private static String version() {
        return Objects.requireNonNullElse(ConformanceRunner.class.getPackage().getImplementationVersion(),
                "from a checkout");
    }

    /**
     * Runs the kit and ends the JVM with the exit code.
     *
     * @param arguments
     *            the command line
     */
    public static void main(String... arguments) {
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel",
                System.getProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn"));
        System.exit(commandLine(NativeBackend::create, Environment::ofThisMachine).execute(arguments));
    }

    /**
     * Runs the kit.
     *
     * @param out
     *            for the report
     * @param err
     *            for what goes wrong
     * @param arguments
     *            the command line
     * @return the exit code
     */
    public static int run(PrintWriter out, PrintWriter err, String... arguments) {
        return commandLine(NativeBackend::create, Environment::ofThisMachine).setOut(out).setErr(err)
                .execute(arguments);
    }

    /**
     * The command line.
     *
     * @param realKernel
     *            where devices are that are not emulated; called for each opening
     * @param thisMachine
     *            what it is like
     */
    static CommandLine commandLine(Supplier<? extends IoctlBackend> realKernel, Supplier<Environment> thisMachine) {
        return new CommandLine(new ConformanceRunner(realKernel, thisMachine))
                .registerConverter(KernelProfile.class, argument(KernelProfile::of))
                .registerConverter(FeatureId.class, argument(ConformanceRunner::feature))
                .setParameterExceptionHandler(ConformanceRunner::badUsage)
                .setExecutionExceptionHandler(ConformanceRunner::failed);
    }

    private static <T> CommandLine.ITypeConverter<T> argument(CommandLine.ITypeConverter<T> parse) {
        return text -> {
            try {
                return parse.convert(text);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        };
    }

    private static FeatureId feature(String text) {
        if (text.matches("[0-9]{1,9}")) {
            return FeatureId.of(Integer.parseInt(text));
        }
        return FeatureId.known().stream().filter(feature -> feature.name().equalsIgnoreCase(text)).findFirst()
                .orElseThrow(() -> new IllegalArgumentException("There is no feature '" + text
                        + "'; there are the numbers" + " 0 to " + FeatureId.MAX_INDEX + " and " + FeatureId.known()));
    }

    private static int badUsage(ParameterException e, String[] arguments) {
        String message = String.valueOf(e.getMessage());
        printError(e.getCommandLine(),
                (TOKEN.matcher(message).find() ? "There is a VF token where something else belongs" : message)
                        + " ('conformance --help' explains)");
        return USAGE;
    }

    /** One line whatever the message has in it. */
    private static void printError(CommandLine commandLine, String message) {
        commandLine.getErr().println("conformance: " + message.replaceAll("\\p{Cntrl}+", " "));
        commandLine.getErr().flush();
    }

    private static int failed(Exception e, CommandLine commandLine, ParseResult parsed) throws Exception {
        if (e instanceof VfioException || e instanceof UnsupportedOperationException) {
            printError(commandLine, String.valueOf(e.getMessage()));
            return e instanceof VfioException refusal ? exitCode(refusal) : UNAVAILABLE;
        }
        if (e instanceof IOException) {
            printError(commandLine, "The report cannot be written: " + e);
            return UNAVAILABLE;
        }
        throw e;
    }

    /** That a group is not viable is an EPERM, too, but no question of rights. */
    private static int exitCode(VfioException refusal) {
        boolean forbidden = refusal.is(Errno.EACCES) || refusal.is(Errno.EPERM);
        return forbidden && !refusal.operation().startsWith("VFIO_GROUP_SET_CONTAINER") ? NO_PERMISSION : UNAVAILABLE;
    }

    @Override
    public Integer call() throws IOException {
        checkUsage();
        List<TestBed> beds = (emulated ? emulatedBeds() : List.of(thisMachine())).stream()
                .map(bed -> bed.excluding(excluded.toArray(FeatureId[]::new))).toList();
        List<Plan> plans = new ArrayList<>();
        for (TestBed bed : beds) {
            for (TestBed.Device device : bed.devices()) {
                plans.add(plan(bed, device));
            }
        }
        PrintWriter out = spec.commandLine().getOut();
        print(out, plans);
        if (planOnly) {
            return 0;
        }
        Files.createDirectories(directory);
        RunDescription description = run(out, beds, plans,
                seed != null ? seed : ThreadLocalRandom.current().nextLong(SEEDS));
        return description.count(Status.FAILED) == 0 && description.count(Status.HOLDS) > 0 ? 0 : FAILED;
    }

    /** Does not repeat a UUID of which there is no device: it may be a VF token that has got into the wrong place. */
    private static Plan plan(TestBed bed, TestBed.Device device) throws VfioException {
        try {
            return Plan.of(bed, device);
        } catch (VfioException e) {
            throw e.is(Errno.ENODEV) && UUID_TEXT.matcher(device.name()).matches()
                    ? new VfioException("open a mediated device", Errno.ENODEV,
                            "There is none with this UUID;"
                                    + " 'ls /sys/bus/mdev/devices' lists those there are, and each needs a driver")
                    : e;
        }
    }

    private void checkUsage() {
        if (names.isEmpty() != emulated) {
            throw usage("Say which device, --device DEVICE, or --emulated");
        }
        if (!kernels.isEmpty() && !emulated) {
            throw usage("--kernel chooses what to emulate: add --emulated");
        }
        if (tries < 1) {
            throw usage("--tries is 1 or more, not " + tries);
        }
    }

    private ParameterException usage(String message) {
        return new ParameterException(spec.commandLine(), message);
    }

    private List<TestBed> emulatedBeds() {
        return (kernels.isEmpty() ? KernelProfile.all() : kernels).stream().map(TestBed::emulated).toList();
    }

    private TestBed thisMachine() {
        TestBed bed = TestBed.on("Linux " + System.getProperty("os.version"), realKernel).recordedAs(thisMachine.get());
        Set<Object> devices = new LinkedHashSet<>();
        names.forEach(name -> devices.add(device(name)));
        for (Object device : devices) {
            bed = device instanceof UUID uuid ? bed.device(uuid) : bed.device((PciAddress) device);
        }
        return bed;
    }

    /** A PciAddress, or the UUID of a mediated device. */
    private Object device(String text) {
        if (UUID_TEXT.matcher(text).matches()) {
            return UUID.fromString(text);
        }
        try {
            return PciAddress.parse(text);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), String.valueOf(e.getMessage()), e);
        }
    }

    /** Of emulated devices there are many, and nothing happens to them. */
    private void print(PrintWriter out, List<Plan> plans) {
        if (emulated && !planOnly) {
            Set<String> kernelNames = new LinkedHashSet<>();
            plans.forEach(plan -> kernelNames.add(plan.bed().toString()));
            out.println(plans.size() + " devices, " + String.join(", ", kernelNames)
                    + ": nothing of this machine is touched (--plan tells what is done to each)");
        } else {
            plans.forEach(plan -> plan.describe().forEach(out::println));
        }
        out.flush();
    }

    private RunDescription run(PrintWriter out, List<TestBed> beds, List<Plan> plans, long seedOfRun)
            throws IOException {
        ZonedDateTime started = ZonedDateTime.now(ZoneId.systemDefault());
        out.println("Seed " + seedOfRun + ", " + tries + " tries of each property");
        out.flush();
        ConformanceRun run = new ConformanceRun(OptionalLong.of(seedOfRun), directory);
        PropertiesListener listener = new PropertiesListener(out, run.evidence(), Long.toString(seedOfRun));
        PrintWriter err = spec.commandLine().getErr();
        // Neither read nor kept; jqwik takes a name only, and complains of a file that is empty.
        Path scratch = Files.createTempDirectory("vfio4j-conformance");
        Path database = scratch.resolve("jqwik-database");
        DeviceConformance.examine(beds);
        try {
            run.execute(() -> LauncherFactory.create().execute(request(database), listener,
                    new LegacyXmlReportGeneratingListener(directory, err)));
        } finally {
            Files.deleteIfExists(database);
            Files.delete(scratch);
        }
        RunDescription description = new RunDescription(started, version(), seedOfRun, tries, again(seedOfRun),
                plans.stream().map(this::description).toList(), listener.results());
        HtmlReport.write(directory.resolve(PAGE), description, run.evidence());
        ConsoleReport.print(out, description, run.evidence());
        if (!emulated) {
            plans.stream().filter(Plan::setsToken).forEach(plan -> forgetToken(out, plan));
        }
        out.println("Report: " + directory.resolve(PAGE));
        out.flush();
        return description;
    }

    private static void forgetToken(PrintWriter out, Plan plan) {
        try {
            plan.forgetToken();
        } catch (VfioException e) {
            out.println("The VF token of " + plan.device()
                    + " can be known from the seed, and could not be replaced; set another: " + e.getMessage());
        }
    }

    private RunDescription.Device description(Plan plan) {
        return new RunDescription.Device(plan.device().name(), plan.bed().toString(), plan.driver(),
                excluded.stream().map(FeatureId::name).toList());
    }

    /** Nothing of an earlier run has an influence on this one. */
    private LauncherDiscoveryRequest request(Path database) {
        return LauncherDiscoveryRequestBuilder.request()
                .selectors(DiscoverySelectors.selectClass(DeviceConformance.class))
                .filters(EngineFilter.includeEngines("jqwik"))
                .configurationParameter("jqwik.tries.default", Integer.toString(tries))
                .configurationParameter("jqwik.database", database.toString())
                .configurationParameter("jqwik.failures.after.default", "RANDOM_SEED")
                .configurationParameter("jqwik.shrinking.bounded.seconds", Long.toString(SHRINKING.toSeconds()))
                .configurationParameter("jqwik.reporting.usejunitplatform", "true")
                .configurationParameter("jqwik.reporting.onlyfailures", "true").build();
    }

    /** The command line that does the same again. */
    private String again(long seedOfRun) {
        List<String> words = new ArrayList<>(List.of("scripts/conformance"));
        names.forEach(name -> words.addAll(List.of("--device", name)));
        if (emulated) {
            words.add("--emulated");
        }
        if (!kernels.isEmpty()) {
            words.addAll(List.of("--kernel", String.join(",", kernels.stream().map(KernelProfile::version).toList())));
        }
        if (!excluded.isEmpty()) {
            words.addAll(List.of("--exclude",
                    String.join(",", excluded.stream().map(feature -> Integer.toString(feature.index())).toList())));
        }
        words.addAll(List.of("--tries", Integer.toString(tries), "--seed", Long.toString(seedOfRun)));
        return String.join(" ", words.stream().map(Shell::quote).toList());
    }
}
