package io.github.vfio4j.cli;

import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.Replay;
import io.github.vfio4j.trace.Replayer;
import io.github.vfio4j.trace.Transcript;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.AccessDeniedException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code vfio4j replay}. */
@Command(name = "replay", mixinStandardHelpOptions = true, description = {
        "Makes the calls of transcripts again, and tells every call that is answered otherwise.",
        "Each transcript is replayed on an emulated machine like the one it was made on, or with --native on the real"
                + " kernel, where it does whatever is in it: read it first."})
final class ReplayCommand implements Callable<Integer> {

    @Spec
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private CommandSpec spec;

    @Option(names = "--native", description = "use the real kernel")
    private boolean real;

    @Option(names = "--kernel", paramLabel = "V", description = "which kernel to emulate: 5.7, 6.1, 6.12 or 7.2 (default: the transcript's)")
    private @Nullable KernelProfile profile;

    @Parameters(paramLabel = "FILE", arity = "1..*", description = "a transcript: JSON lines, or those compressed (.gz)")
    @SuppressWarnings("NullAway.Init") // picocli injects it
    private List<Path> files;

    @Override
    public Integer call() {
        if (real && profile != null) {
            throw new ParameterException(spec.commandLine(), "--kernel chooses what to emulate: leave --native out");
        }
        // A file that cannot be understood is found before anything is done.
        Map<Path, Transcript> transcripts = new LinkedHashMap<>();
        files.forEach(file -> transcripts.put(file, read(file)));
        Replayer kernel = real ? Replayer.on(Main.realKernel(spec)) : null;
        PrintWriter out = spec.commandLine().getOut();
        int calls = 0;
        int divergences = 0;
        try (Progress progress = Progress.of(spec.commandLine().getErr(), "transcripts", transcripts.size())) {
            for (Map.Entry<Path, Transcript> transcript : transcripts.entrySet()) {
                Replay replay = kernel == null ? emulated(transcript.getValue()) : kernel.replay(transcript.getValue());
                replay.divergences().forEach(divergence -> out.println(transcript.getKey() + ": " + divergence));
                calls += replay.calls();
                divergences += replay.divergences().size();
                progress.advance();
            }
        }
        out.println(calls + " calls, " + divergences + " divergences");
        out.flush();
        return divergences == 0 ? 0 : 1;
    }

    private Replay emulated(Transcript transcript) {
        Environment machine = transcript.environment();
        try (EmulatedProcess process = machine.boot(profile == null ? machine.kernel() : profile).newProcess()) {
            return Replayer.on(process).replay(transcript);
        }
    }

    private Transcript read(Path file) {
        String problem;
        try {
            return Transcript.read(file);
        } catch (NoSuchFileException e) {
            problem = "there is no such file";
        } catch (AccessDeniedException e) {
            problem = "this user may not read it";
        } catch (IOException e) {
            problem = String.valueOf(e.getMessage());
        }
        throw new ParameterException(spec.commandLine(), "No transcript in " + file + ": " + problem);
    }
}
