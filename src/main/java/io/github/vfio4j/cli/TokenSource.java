package io.github.vfio4j.cli;

import io.github.vfio4j.VfToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Where a VF token comes from: never from the arguments, which every user of the machine can see. */
final class TokenSource {

    /** Room for a token and much white space. What is longer is another file, perhaps one without an end. */
    private static final int LIMIT = 1024;

    @Option(names = "--file", required = true, paramLabel = "FILE", description = "read the VF token (a UUID) from FILE")
    private @Nullable Path file;

    @Option(names = "--stdin", required = true, description = "read the VF token from standard input")
    @SuppressWarnings("UnusedVariable") // there is no third possibility
    private boolean stdin;

    /** Reads it. */
    VfToken read(CommandSpec command) {
        String source = file == null ? "standard input" : file.toString();
        String problem;
        try {
            return VfToken.parse(new String(bytes(command), StandardCharsets.US_ASCII).strip());
        } catch (NoSuchFileException e) {
            problem = "there is no such file";
        } catch (AccessDeniedException e) {
            problem = "this user may not read it";
        } catch (IOException e) {
            problem = String.valueOf(e.getMessage());
        } catch (IllegalArgumentException e) {
            problem = String.valueOf(e.getMessage());
        }
        throw new ParameterException(command.commandLine(), "No VF token in " + source + ": " + problem);
    }

    private byte[] bytes(CommandSpec command) throws IOException {
        if (file == null) {
            return Main.stdin(command).readNBytes(LIMIT);
        }
        try (InputStream in = Files.newInputStream(file)) {
            return in.readNBytes(LIMIT);
        }
    }
}
