package io.github.vfio4j.cli;

import io.github.vfio4j.VfToken;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributeView;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Collections;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;

/** Where a VF token comes from: never from the arguments, which every user of the machine can see. */
final class TokenSource {

    /** Room for a token and much white space. What is longer is another file, perhaps one without an end. */
    private static final int LIMIT = 1024;

    private static final Set<PosixFilePermission> OTHERS = EnumSet.of(PosixFilePermission.GROUP_READ,
            PosixFilePermission.OTHERS_READ);

    @Option(names = "--file", required = true, paramLabel = "FILE", description = "read the VF token (a UUID) from FILE, which only its owner should be able to read (chmod 600)")
    private @Nullable Path file;

    @Option(names = "--stdin", required = true, description = "read the VF token from standard input")
    @SuppressWarnings("UnusedVariable") // there is no third possibility
    private boolean stdin;

    /** Reads it. */
    VfToken read(CommandSpec command) {
        String source = file == null ? "standard input" : file.toString();
        String problem;
        try {
            VfToken token = VfToken.parse(new String(bytes(command), StandardCharsets.US_ASCII).strip());
            warnOfReaders(command);
            return token;
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

    /** A token that others can read is none; it is used all the same, as whoever keeps it so may have a reason. */
    private void warnOfReaders(CommandSpec command) throws IOException {
        if (file != null && Files.isRegularFile(file)
                && Files.getFileStore(file).supportsFileAttributeView(PosixFileAttributeView.class)
                && !Collections.disjoint(Files.getPosixFilePermissions(file), OTHERS)) {
            Main.printError(command.commandLine(), "Other users of this machine can read the VF token in " + file
                    + ": 'chmod 600 " + file + "', and set another if they should not know it");
        }
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
