package io.github.vfio4j.cli;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.cli.explain.Operations;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.trace.Environment;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command {@code vfio4j}. */
@Command(name = "vfio4j", mixinStandardHelpOptions = true, version = "vfio4j 0.1.0-SNAPSHOT", description = "Linux VFIO device features from the command line, on the real kernel or an emulated one.", exitCodeListHeading = "%nExit codes:%n", exitCodeList = {
        "0:done", "1:the kernel refused, or answered otherwise than a transcript says",
        "2:bad usage: an option, an address, a token or its file, a transcript",
        "3:not available here: no VFIO, no such device, not bound to vfio-pci, group in use or not viable;"
                + " what doctor has found is in the way",
        "4:no permission: for a file, or by the VF token"})
public final class Main {

    private static final List<String> COMMANDS = List.of("completion", "demo", "doctor", "explain", "features",
            "record", "replay", "token");

    private static final int REFUSED = 1;
    private static final int USAGE = 2;
    static final int UNAVAILABLE = 3;
    private static final int NO_PERMISSION = 4;

    private static final Set<Errno> ABSENT = Set.of(Errno.ENOENT, Errno.ENODEV, Errno.EBUSY);
    private static final Set<Errno> FORBIDDEN = Set.of(Errno.EACCES, Errno.EPERM);

    /** What a VF token looks like, anywhere in a text: also without its dashes, or with letters missing. */
    private static final Pattern TOKEN = Pattern.compile("(?:\\p{XDigit}-?){24,}");

    /** What picocli puts before the problem; of it only the name of the option or parameter is kept. */
    private static final Pattern PREAMBLE = Pattern.compile(
            "^(?:Error: |Invalid value for (?:option '([^']+)'|positional parameter at index 0(?:\\.\\.\\*)? \\(([^)]+)\\))(?=: ))");

    /** The name in an unknown option, without a value. */
    private static final Pattern OPTION = Pattern.compile("--?[a-zA-Z][a-z-]*");

    private final Supplier<? extends IoctlBackend> realKernel;
    private final InputStream stdin;
    private final Observer observer;

    /** Something in front of every kernel that a command uses. */
    interface Observer {

        /** In front of a kernel on a machine. */
        IoctlBackend observe(IoctlBackend kernel, Supplier<Environment> machine);
    }

    private Main(Supplier<? extends IoctlBackend> realKernel, InputStream stdin, Observer observer) {
        this.realKernel = realKernel;
        this.stdin = stdin;
        this.observer = observer;
    }

    /**
     * Runs a command and ends the JVM with its exit code.
     *
     * @param arguments
     *            the command line
     */
    public static void main(String... arguments) {
        // The logger the -cli jar brings says everything it is told; a command's own output says what matters.
        System.setProperty("org.slf4j.simpleLogger.defaultLogLevel",
                System.getProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn"));
        int code = commandLine(NativeBackend::create, System.in, arguments).execute(arguments);
        // The JVM ends by itself, too, and sooner: exit() first sets up its logging.
        if (code != 0) {
            System.exit(code);
        }
    }

    /** The command that is asked for. Putting all of them together takes longer than most of them run. */
    private static List<String> commandsFor(String... arguments) {
        return arguments.length > 0 && COMMANDS.contains(arguments[0]) ? List.of(arguments[0]) : COMMANDS;
    }

    private static Object command(String name) {
        return switch (name) {
            case "completion" -> new CompletionCommand();
            case "demo" -> new DemoCommand();
            case "doctor" -> new DoctorCommand();
            case "explain" -> new ExplainCommand();
            case "features" -> new FeaturesCommand();
            case "record" -> new RecordCommand();
            case "replay" -> new ReplayCommand();
            case "token" -> new TokenCommand();
            default -> throw new IllegalArgumentException(name);
        };
    }

    /**
     * Runs a command.
     *
     * @param out
     *            for its output
     * @param err
     *            for what goes wrong
     * @param arguments
     *            the command line
     * @return the exit code
     */
    public static int run(PrintWriter out, PrintWriter err, String... arguments) {
        return commandLine(NativeBackend::create, System.in, arguments).setOut(out).setErr(err).execute(arguments);
    }

    /**
     * The command line.
     *
     * @param realKernel
     *            where commands that don't ask for the emulated kernel go; called at most once
     * @param stdin
     *            standard input
     * @param arguments
     *            those it will be executed with; without any, it knows all commands
     */
    static CommandLine commandLine(Supplier<? extends IoctlBackend> realKernel, InputStream stdin,
            String... arguments) {
        return commandLine(new Main(realKernel, stdin, (kernel, machine) -> kernel), commandsFor(arguments));
    }

    private static CommandLine commandLine(Main main, List<String> commands) {
        CommandLine commandLine = new CommandLine(main);
        commands.forEach(name -> commandLine.addSubcommand(name, command(name)));
        // A file of arguments would be quoted in messages, and the only files there are here hold tokens.
        commandLine.setExpandAtFiles(false).registerConverter(PciAddress.class, argument(PciAddress::parse))
                .registerConverter(DeviceArgument.class, argument(DeviceArgument::parse))
                .registerConverter(KernelProfile.class, argument(KernelProfile::of))
                .registerConverter(Errno.class, argument(ExplainCommand::errno))
                .registerConverter(FeatureId.class, argument(ExplainCommand::feature))
                .registerConverter(Operations.class, argument(Operations::parse))
                .registerConverter(Path.class, argument(Path::of)).setParameterExceptionHandler(Main::badUsage)
                .setExecutionExceptionHandler(Main::failed);
        // What stands behind the name of the recorded command is that command's.
        CommandLine recorder = commandLine.getSubcommands().get("record");
        if (recorder != null) {
            recorder.setStopAtPositional(true);
        }
        return commandLine;
    }

    /** The command line once more, for a command that runs another one and looks at what it asks of the kernel. */
    static CommandLine observedCommandLine(CommandSpec command, Observer observer, String... arguments) {
        Main root = root(command);
        return commandLine(new Main(root.realKernel, root.stdin, observer), commandsFor(arguments));
    }

    /** The real kernel, for a command below this one. */
    static IoctlBackend realKernel(CommandSpec command) {
        Main root = root(command);
        return root.observer.observe(root.realKernel.get(), Environment::ofThisMachine);
    }

    /** A process on an emulated machine, for a command below this one. */
    static IoctlBackend emulatedKernel(CommandSpec command, Supplier<Environment> machine, EmulatedKernel kernel) {
        return root(command).observer.observe(kernel.newProcess(), machine);
    }

    /** Standard input, for a command below this one. */
    static InputStream stdin(CommandSpec command) {
        return root(command).stdin;
    }

    private static Main root(CommandSpec command) {
        return (Main) command.root().userObject();
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

    private static int badUsage(ParameterException e, String[] arguments) {
        CommandSpec command = e.getCommandLine().getCommandSpec();
        printError(e.getCommandLine(), problem(e, command) + " ('" + command.qualifiedName() + " --help' explains)");
        return USAGE;
    }

    /** Never repeats what may be a token: who gives one as an argument by mistake need not find it in a log as well. */
    private static String problem(ParameterException e, CommandSpec command) {
        String tokens = command.findOption("--stdin") == null
                ? ""
                : ". A VF token is read with --file or --stdin, never from the arguments, which every user of the machine"
                        + " can see";
        String commands = String.join(", ", command.subcommands().keySet());
        if (e instanceof UnmatchedArgumentException unmatched) {
            List<String> words = unmatched.getUnmatched();
            return words.stream().map(OPTION::matcher).filter(Matcher::lookingAt).findFirst()
                    .map(option -> "There is no option " + option.group())
                    .orElse(commands.isEmpty()
                            ? "There is an argument too many"
                            : "There is no such command; there are " + commands)
                    + (words.stream().allMatch(OPTION.asMatchPredicate()) ? "" : tokens);
        }
        if (!commands.isEmpty()) {
            return "Say what to do: " + commands;
        }
        String message = String.valueOf(e.getMessage());
        return TOKEN.matcher(message).find()
                ? "There is a VF token where something else belongs" + tokens
                : PREAMBLE.matcher(message).replaceFirst("$1$2");
    }

    /** One line whatever the message has in it: arguments may hold line ends and control sequences. */
    static void printError(CommandLine commandLine, String message) {
        commandLine.getErr().println("vfio4j: " + message.replaceAll("\\p{Cntrl}+", " "));
    }

    /** One line for what can go wrong; a stack trace only for what should not be possible. */
    private static int failed(Exception e, CommandLine commandLine, ParseResult parsed) throws Exception {
        if (e instanceof VfioException refusal) {
            printError(commandLine, String.valueOf(e.getMessage()));
            return refusal.errno().map(Main::exitCode).orElse(UNAVAILABLE);
        }
        if (e instanceof UnsupportedOperationException) {
            printError(commandLine, String.valueOf(e.getMessage()));
            return UNAVAILABLE;
        }
        if (e instanceof IOException || e instanceof UncheckedIOException) {
            printError(commandLine, String.valueOf(e.getMessage()));
            return e instanceof IOException ? USAGE : UNAVAILABLE;
        }
        throw e;
    }

    private static int exitCode(Errno errno) {
        return FORBIDDEN.contains(errno) ? NO_PERMISSION : ABSENT.contains(errno) ? UNAVAILABLE : REFUSED;
    }
}
