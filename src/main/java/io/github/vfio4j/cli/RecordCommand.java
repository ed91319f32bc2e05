package io.github.vfio4j.cli;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.RecordingBackend;
import java.io.FilterWriter;
import java.io.IOException;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio4j record}. */
@Command(name = "record", mixinStandardHelpOptions = true, description = {
        "Runs another command of this program and writes a transcript of the system calls it makes.",
        "VF tokens do not get into it: each is replaced by a stand-in."}, footer = {"", "For example:",
                "  vfio4j record -o demo.jsonl demo", "  vfio4j replay demo.jsonl"})
final class RecordCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private CommandSpec spec;

    @Option(names = "-o", paramLabel = "FILE", description = "where the transcript goes; by default to standard output, and the command's output to standard error")
    private @Nullable Path file;

    @Parameters(paramLabel = "COMMAND", arity = "1..*", description = "the command: demo, features or token, and its arguments")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private List<String> command;

    @Override
    public Integer call() throws IOException {
        if (!List.of("demo", "features", "token").contains(command.getFirst())) {
            throw new ParameterException(spec.commandLine(), "Only demo, features and token can be recorded");
        }
        Recorder recorder = new Recorder();
        CommandLine here = spec.commandLine();
        String[] arguments = command.toArray(String[]::new);
        CommandLine observed = Main.observedCommandLine(spec, recorder, arguments)
                .setOut(file == null ? here.getErr() : here.getOut()).setErr(here.getErr());
        int exitCode = observed.execute(arguments);
        recorder.end();
        return exitCode;
    }

    /** Starts the transcript when the command turns to a kernel: before, there is nothing to write. */
    private final class Recorder implements Main.Observer {

        private @Nullable RecordingBackend recording;

        @Override
        public IoctlBackend observe(IoctlBackend kernel, Supplier<Environment> machine) {
            RecordingBackend started = new RecordingBackend(kernel, machine.get(), transcript());
            recording = started;
            return started;
        }

        void end() throws IOException {
            if (recording != null) {
                try {
                    recording.close();
                } catch (IOException e) {
                    throw new IOException("The transcript is not complete: " + e.getMessage(), e);
                }
            }
        }
    }

    private static Writer unclosed(Writer out) {
        return new FilterWriter(out) {
            @Override
            public void close() throws IOException {
                flush();
            }
        };
    }

    private Writer transcript() {
        try {
            return file == null ? unclosed(spec.commandLine().getOut()) : Files.newBufferedWriter(file);
        } catch (IOException e) {
            throw new ParameterException(spec.commandLine(),
                    "Nothing can be written to " + file + ": " + e.getMessage());
        }
    }
}
