package io.github.vfio4j.cli;

import io.github.vfio4j.VfToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Where a VF token comes from: never from the arguments, which every user of the machine can see. */
final class TokenSource {

    @Option(names = "--file", required = true, paramLabel = "FILE", description = "read the VF token (a UUID) from FILE")
    private @Nullable Path file;

    @Option(names = "--stdin", required = true, description = "read the VF token from standard input")
    @SuppressWarnings("UnusedVariable") // there is no third possibility
    private boolean stdin;

    /** Reads it. */
    VfToken read(CommandLine commandLine) {
        try {
            byte[] text = file != null ? Files.readAllBytes(file) : System.in.readAllBytes();
            return VfToken.parse(new String(text, StandardCharsets.US_ASCII).strip());
        } catch (NoSuchFileException e) {
            throw new ParameterException(commandLine, "There is no file " + file + " to read the VF token from");
        } catch (IOException e) {
            throw new ParameterException(commandLine, "The VF token can't be read: " + e.getMessage());
        } catch (IllegalArgumentException e) {
            throw new ParameterException(commandLine, e.getMessage());
        }
    }
}
