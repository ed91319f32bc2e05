package io.github.vfio4j.bench;

import java.io.IOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Whole processes, from their start to their end. All in turn, so that a machine that is slow for a while is so for all of
 * them.
 */
final class ColdStart {

    private static final String[] JVM = {"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "--enable-native-access=ALL-UNNAMED"};

    private final String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    private final Path directory;
    private final Map<String, List<String>> commands = new LinkedHashMap<>();

    /** The archives are made in the directory that has the jars. */
    ColdStart(Path directory, Path cli) throws IOException, InterruptedException {
        this.directory = directory;
        String application = directory.resolve("first-ioctl.jar") + ":" + directory.resolve("vfio4j.jar") + ":"
                + System.getProperty("vfio4j.bench.slf4j");
        String[] empty = {"-cp", directory.resolve("empty.jar").toString(), EmptyMain.class.getName()};
        String[] firstIoctl = {"-cp", application, FirstIoctl.class.getName()};
        String[] byHand = {"-cp", directory.resolve("by-hand.jar").toString(), FirstIoctlByHand.class.getName()};
        String[] features = {"-jar", cli.toString(), "features", "--emulated", "0000:01:00.0"};
        add("empty", empty);
        add("java-version", "-version");
        add("first-ioctl", firstIoctl);
        add("first-ioctl.archive", archived("first-ioctl", firstIoctl));
        add("first-ioctl-by-hand.archive", archived("first-ioctl-by-hand", byHand));
        add("features", features);
        add("features.archive", archived("features", features));
    }

    private void add(String name, String... arguments) {
        List<String> command = new ArrayList<>(List.of(java));
        command.addAll(List.of(JVM));
        command.addAll(List.of(arguments));
        commands.put(name, command);
    }

    private String[] archived(String name, String... arguments) throws IOException, InterruptedException {
        Path archive = directory.resolve(name + ".aot");
        Files.deleteIfExists(archive);
        boolean aot = Runtime.version().feature() >= 25;
        List<String> training = new ArrayList<>(List.of(java));
        training.addAll(List.of(JVM));
        training.add((aot ? "-XX:AOTCacheOutput=" : "-XX:ArchiveClassesAtExit=") + archive);
        training.addAll(List.of(arguments));
        run(training);
        return Stream.concat(Stream.of((aot ? "-XX:AOTCache=" : "-XX:SharedArchiveFile=") + archive),
                Arrays.stream(arguments)).toArray(String[]::new);
    }

    /** Milliseconds of each, once. */
    void measure(Measurements measurements) throws IOException, InterruptedException {
        for (Map.Entry<String, List<String>> command : commands.entrySet()) {
            long start = System.nanoTime();
            run(command.getValue());
            measurements.add("cold." + command.getKey(), (System.nanoTime() - start) / 1e6);
        }
    }

    private static void run(List<String> command) throws IOException, InterruptedException {
        Path messages = Files.createTempFile("vfio4j-bench", ".log");
        try {
            int status = new ProcessBuilder(command).redirectOutput(Redirect.DISCARD)
                    .redirectError(Redirect.to(messages.toFile())).start().waitFor();
            if (status != 0) {
                throw new IOException(
                        String.join(" ", command) + " ended with " + status + ": " + Files.readString(messages));
            }
        } finally {
            Files.delete(messages);
        }
    }
}
