package io.github.vfio4j.cli.doctor;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/** The files below a directory, which is / for the machine this runs on. Needs no native access. */
class HostFiles implements SystemFiles {

    private final Path root;

    HostFiles(Path root) {
        this.root = root;
    }

    private Path at(String path) {
        return root.resolve(path.substring(1));
    }

    @Override
    public boolean exists(String path) {
        return Files.exists(at(path), LinkOption.NOFOLLOW_LINKS);
    }

    @Override
    public Optional<String> target(String path) {
        try {
            return Optional.of(Files.readSymbolicLink(at(path)).toString());
        } catch (IOException | UnsupportedOperationException e) {
            return Optional.empty();
        }
    }

    @Override
    public Optional<String> read(String path) {
        try {
            return Optional.of(Files.readString(at(path), StandardCharsets.ISO_8859_1).strip());
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    @Override
    public List<String> list(String path) {
        try (Stream<Path> entries = Files.list(at(path))) {
            return entries.map(entry -> entry.getFileName().toString()).sorted().toList();
        } catch (IOException | UncheckedIOException e) {
            // The second: a process that ends takes its directory with it.
            return List.of();
        }
    }

    @Override
    public Access access(String path) {
        Path file = at(path);
        if (!Files.exists(file)) {
            return Access.ABSENT;
        }
        return Files.isReadable(file) && Files.isWritable(file) ? Access.ALLOWED : Access.DENIED;
    }
}
