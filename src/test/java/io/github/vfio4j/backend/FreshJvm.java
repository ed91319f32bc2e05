package io.github.vfio4j.backend;

import java.io.File;
import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.Logger;

/** Runs a main class on the class path of a new JVM, where neither flags nor profiles of this one count. */
public final class FreshJvm {

    private FreshJvm() {
    }

    /** What it printed to both streams. */
    public static String run(Class<?> main, String... options) throws IOException, InterruptedException {
        return run(main, List.of(), options);
    }

    /** The same with the libraries that these classes are from. */
    public static String run(Class<?> main, List<Class<?>> libraries, String... options)
            throws IOException, InterruptedException {
        String classPath = Stream.concat(Stream.of(NativeBackend.class, main, Logger.class), libraries.stream())
                .map(FreshJvm::location).distinct().collect(Collectors.joining(File.pathSeparator));
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp", classPath));
        command.addAll(List.of(options));
        command.add(main.getName());
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        process.waitFor();
        return output;
    }

    private static String location(Class<?> type) {
        try {
            return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI()).toString();
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }
}
