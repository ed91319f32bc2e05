package io.github.vfio4j.cli;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.PrintWriter;
import java.util.Set;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.TypeConversionException;

/** The command {@code vfio4j}. */
@Command(name = "vfio4j", mixinStandardHelpOptions = true, version = "vfio4j 0.1.0-SNAPSHOT", description = "Linux VFIO device features from the command line, on the real kernel or an emulated one.", subcommands = {
        DemoCommand.class, FeaturesCommand.class,
        TokenCommand.class}, exitCodeListHeading = "%nExit codes:%n", exitCodeList = {"0:done", "1:the kernel refused",
                "2:bad usage: an option, an address, a token or its file",
                "3:not available here: no VFIO, no such device, not bound to vfio-pci, group in use or not viable",
                "4:no permission: for a file, or by the VF token"})
public final class Main {

    private static final int REFUSED = 1;
    private static final int USAGE = 2;
    private static final int UNAVAILABLE = 3;
    private static final int NO_PERMISSION = 4;

    private static final Set<Errno> ABSENT = Set.of(Errno.ENOENT, Errno.ENODEV, Errno.EBUSY);
    private static final Set<Errno> FORBIDDEN = Set.of(Errno.EACCES, Errno.EPERM);

    private Main() {
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
        System.exit(commandLine().execute(arguments));
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
        return commandLine().setOut(out).setErr(err).execute(arguments);
    }

    /** The command line as it is parsed and run, for tests too. */
    static CommandLine commandLine() {
        return new CommandLine(new Main()).registerConverter(PciAddress.class, argument(PciAddress::parse))
                .registerConverter(KernelProfile.class, argument(KernelProfile::of))
                .setParameterExceptionHandler(Main::badUsage).setExecutionExceptionHandler(Main::failed);
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
        String command = e.getCommandLine().getCommandSpec().qualifiedName();
        e.getCommandLine().getErr().println("vfio4j: " + e.getMessage() + " ('" + command + " --help' explains)");
        return USAGE;
    }

    /** One line for what can go wrong; a stack trace only for what should not be possible. */
    private static int failed(Exception e, CommandLine commandLine, ParseResult parsed) throws Exception {
        PrintWriter err = commandLine.getErr();
        if (e instanceof VfioException refusal) {
            err.println("vfio4j: " + refusal.getMessage());
            return refusal.errno().map(Main::exitCode).orElse(UNAVAILABLE);
        }
        if (e instanceof UnsupportedOperationException) {
            err.println("vfio4j: " + e.getMessage());
            return UNAVAILABLE;
        }
        throw e;
    }

    private static int exitCode(Errno errno) {
        return FORBIDDEN.contains(errno) ? NO_PERMISSION : ABSENT.contains(errno) ? UNAVAILABLE : REFUSED;
    }
}
