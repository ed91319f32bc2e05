package io.github.vfio4j.packaging;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.examples.guide.Guide;
import io.github.vfio4j.examples.guide.Guide.Command;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The application in examples/consumer, built by Maven against the jar and the POM as they are installed, and started in every
 * way that docs/native-access.md shows. What it needs is taken from the local repository of this build, and its own is
 * another one, so that nothing is installed on this machine.
 */
@Tag("packaged")
class ConsumerTest {

    private static final Path PROJECT = Path.of("examples", "consumer").toAbsolutePath();
    private static final Path DIRECTORY = Path.of("target", "consumer").toAbsolutePath();
    private static final Path GUIDE = Path.of("docs", "native-access.md");

    /** From here on the JVM has this option. */
    private static final int STRICT = 24;
    private static final String DENY = "--illegal-native-access=deny";

    private static String property(String name) {
        return Objects.requireNonNull(System.getProperty(name), () -> name + " is set by the build");
    }

    @BeforeAll
    static void build() throws Exception {
        String version = property("vfio4j.version");
        Path installed = Files
                .createDirectories(DIRECTORY.resolve("repository/io/github/vfio4j/vfio4j").resolve(version));
        copy(Path.of(property("vfio4j.jar")), installed.resolve("vfio4j-" + version + ".jar"));
        copy(Path.of("pom.xml"), installed.resolve("vfio4j-" + version + ".pom"));
        Path settings = DIRECTORY.resolve("settings.xml");
        Files.writeString(settings, settings(Path.of(property("vfio4j.repository"))));
        Result maven = run(PROJECT, Path.of(property("maven.home"), "bin", "mvn").toString(), "-B", "-q", "-s",
                settings.toString(), "-Dmaven.repo.local=" + DIRECTORY.resolve("repository"),
                "-Dvfio4j.version=" + version, "-DbuildDirectory=" + DIRECTORY.resolve("target"), "package");
        assertThat(maven.status()).as(maven.output()).isZero();
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.copy(from, to, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    }

    /** The local repository of this build comes before Central. */
    private static String settings(Path repository) {
        String place = """
                <id>build</id><url>%s</url>\
                <snapshots><enabled>false</enabled></snapshots>""".formatted(repository.toUri());
        return """
                <settings>
                  <profiles>
                    <profile>
                      <id>build</id>
                      <repositories><repository>%s</repository></repositories>
                      <pluginRepositories><pluginRepository>%s</pluginRepository></pluginRepositories>
                    </profile>
                  </profiles>
                  <activeProfiles><activeProfile>build</activeProfile></activeProfiles>
                </settings>
                """.formatted(place, place);
    }

    /** What a process has done. */
    private record Result(int status, String output) {
    }

    private static Result run(Path directory, String... command) throws IOException, InterruptedException {
        ProcessBuilder builder = new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true);
        builder.environment().put("JAVA_HOME", System.getProperty("java.home"));
        Process process = builder.start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Result(process.waitFor(), output);
    }

    private static Stream<Command> shown() {
        return Guide.of(GUIDE).commands().stream().filter(command -> command.words().getFirst().equals("java"));
    }

    @ParameterizedTest
    @MethodSource("shown")
    void runsAsTheGuideShows(Command command) throws IOException, InterruptedException {
        List<String> words = new ArrayList<>(command.words());
        words.set(0, Path.of(System.getProperty("java.home"), "bin", "java").toString());
        words.add(1, "-Dstdout.encoding=UTF-8");
        if (Runtime.version().feature() < STRICT) {
            words.remove(DENY);
        }
        Result result = run(DIRECTORY,
                words.stream().map(word -> word.replace(':', File.pathSeparatorChar)).toArray(String[]::new));
        assertThat("\n" + result.output().replace(System.lineSeparator(), "\n")).matches(command.pattern());
        assertThat(result.status()).isEqualTo(command.output().contains("native access") ? 1 : 0);
    }

    @Test
    void theGuideShowsEveryWay() {
        assertThat(shown().map(Command::toString)).hasSize(5).filteredOn(command -> command.contains(DENY)).hasSize(3);
    }
}
