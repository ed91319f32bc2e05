package io.github.vfio4j.packaging;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import java.io.File;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.jar.JarFile;
import java.util.spi.ToolProvider;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import net.jqwik.api.Property;
import net.jqwik.engine.JqwikTestEngine;
import org.apiguardian.api.API;
import org.assertj.core.api.Assertions;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.engine.JupiterTestEngine;
import org.junit.platform.commons.util.ReflectionUtils;
import org.junit.platform.engine.TestEngine;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.reporting.legacy.xml.LegacyXmlReportGeneratingListener;
import org.opentest4j.AssertionFailedError;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;

/** The conformance kit as it is published: what somebody else's tests need besides it, and that they need no more. */
@Tag("packaged")
@SuppressWarnings("NullAway.Init") // JUnit fills fields
class ConformanceJarTest {

    private static final String EXTENSION_TEST = """
            package consumer;

            import io.github.vfio4j.PciAddress;
            import io.github.vfio4j.Vfio;
            import io.github.vfio4j.VfioContainer;
            import io.github.vfio4j.VfioDevice;
            import io.github.vfio4j.conformance.junit.EmulatedVfio;
            import org.junit.jupiter.api.Assertions;
            import org.junit.jupiter.api.Test;

            @EmulatedVfio(kernel = "6.12")
            class ApplicationTest {
                @Test
                void theFunctionHasAToken(Vfio vfio) throws Exception {
                    try (VfioContainer container = vfio.openContainer();
                            VfioDevice device = container.openDevice(PciAddress.parse("0000:01:00.0"))) {
                        Assertions.assertTrue(device.vfToken().isPresent());
                    }
                }
            }
            """;

    private static final String SUITE = """
            package consumer;

            import io.github.vfio4j.PciAddress;
            import io.github.vfio4j.conformance.FeatureConformance;
            import io.github.vfio4j.conformance.TestBed;
            import io.github.vfio4j.emulation.EmulatedKernel;
            import io.github.vfio4j.emulation.KernelProfile;
            import java.util.List;

            class DriverTest extends FeatureConformance {
                @Override
                protected List<TestBed> testBeds() {
                    EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                            .pciFunction("0000:01:00.0", function -> function.sriov(1).memoryBar(0, 4096)).build();
                    return List.of(TestBed.on("mine", kernel::newProcess).device(PciAddress.parse("0000:01:00.0")));
                }
            }
            """;

    /** Runs classes, and says how many tests have passed and failed. */
    private static final String MAIN = """
            package consumer;

            import java.util.stream.Stream;
            import org.junit.platform.engine.discovery.DiscoverySelectors;
            import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
            import org.junit.platform.launcher.core.LauncherFactory;
            import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

            public class Main {
                public static void main(String[] classes) {
                    SummaryGeneratingListener listener = new SummaryGeneratingListener();
                    LauncherFactory.create().execute(LauncherDiscoveryRequestBuilder.request()
                            .selectors(Stream.of(classes).map(DiscoverySelectors::selectClass).toList())
                            .configurationParameter("jqwik.tries.default", "20")
                            .configurationParameter("jqwik.database", "").build(), listener);
                    listener.getSummary().getFailures().forEach(failure -> System.out.println(failure.getException()));
                    System.out.println(listener.getSummary().getTestsSucceededCount() + " passed, "
                            + listener.getSummary().getTotalFailureCount() + " failed");
                }
            }
            """;

    private static final Path VFIO4J = jar("vfio4j.jar");
    private static final Path KIT = jar("vfio4j.conformance.jar");

    /** What Maven resolves by itself for whoever depends on vfio4j and junit-jupiter. */
    private static final List<Class<?>> JUPITER = List.of(LoggerFactory.class, Test.class, JupiterTestEngine.class,
            ReflectionUtils.class, TestEngine.class, AssertionFailedError.class, API.class, Launcher.class);

    /** With what the properties need. */
    private static final List<Class<?>> JQWIK = and(JUPITER, Property.class, JqwikTestEngine.class, Assertions.class,
            JsonFactory.class);

    /** With what the runner needs. */
    private static final List<Class<?>> RUNNER = and(JQWIK, LegacyXmlReportGeneratingListener.class, CommandLine.class);

    @TempDir
    private Path directory;

    private static Path jar(String property) {
        return Path.of(Objects.requireNonNull(System.getProperty(property), () -> property + " is set by the build"));
    }

    private static List<Class<?>> and(List<Class<?>> some, Class<?>... more) {
        return Stream.concat(some.stream(), Stream.of(more)).toList();
    }

    private static String path(List<Class<?>> libraries) {
        return Stream.concat(Stream.of(VFIO4J, KIT), libraries.stream().map(ConformanceJarTest::jarOf))
                .map(Path::toString).distinct().collect(Collectors.joining(File.pathSeparator));
    }

    private static Path jarOf(Class<?> type) {
        try {
            return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String tool(String name, String... arguments) {
        StringWriter output = new StringWriter();
        PrintWriter out = new PrintWriter(output);
        int status = ToolProvider.findFirst(name).orElseThrow().run(out, out, arguments);
        assertThat(status).as("%s: %s", name, output).isZero();
        return output.toString();
    }

    private void compile(List<String> options, String... sources) throws IOException {
        List<String> arguments = new ArrayList<>(options);
        arguments.addAll(List.of("-d", directory.resolve("classes").toString(), "-proc:none"));
        for (String source : sources) {
            String name = source.startsWith("module") ? "module-info" : source.replaceAll("(?s).*class (\\w+).*", "$1");
            Path file = directory.resolve(name + ".java");
            Files.writeString(file, source);
            arguments.add(file.toString());
        }
        tool("javac", arguments.toArray(String[]::new));
    }

    private String java(int expected, String... arguments) throws IOException, InterruptedException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-XX:TieredStopAtLevel=1",
                        "-Dstdout.encoding=UTF-8"));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).directory(directory.toFile()).redirectErrorStream(true).start();
        String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertThat(process.waitFor()).as(output).isEqualTo(expected);
        return output;
    }

    private String onClassPath(String path) {
        return directory.resolve("classes") + File.pathSeparator + path;
    }

    @Test
    void theExtensionNeedsJupiterOnly() throws Exception {
        String path = path(JUPITER);
        compile(List.of("-cp", path), EXTENSION_TEST, MAIN);
        assertThat(java(0, "-cp", onClassPath(path), "consumer.Main", "consumer.ApplicationTest"))
                .endsWith("1 passed, 0 failed" + System.lineSeparator());
    }

    @Test
    void thePropertiesNeedJqwikToo() throws Exception {
        String path = path(JQWIK);
        compile(List.of("-cp", path), SUITE, MAIN);
        assertThat(java(0, "--enable-native-access=ALL-UNNAMED", "-cp", onClassPath(path), "consumer.Main",
                "consumer.DriverTest")).containsPattern("[1-9][0-9]* passed, 0 failed");
    }

    @Test
    void aModuleCanUseIt() throws Exception {
        String path = path(JQWIK);
        compile(List.of("-p", path), """
                module consumer {
                    requires io.github.vfio4j;
                    requires io.github.vfio4j.conformance;
                    requires org.junit.jupiter.api;
                    requires org.junit.platform.launcher;
                    requires net.jqwik.api;
                    opens consumer;
                }
                """, EXTENSION_TEST, SUITE, MAIN);
        assertThat(java(0, "--enable-native-access=io.github.vfio4j", "-p", onClassPath(path), "--add-modules",
                "ALL-MODULE-PATH", "-m", "consumer/consumer.Main", "consumer.ApplicationTest", "consumer.DriverTest"))
                .containsPattern("[1-9][0-9]* passed, 0 failed");
    }

    @Test
    void theRunnerRunsFromTheJars() throws Exception {
        String output = java(0, "--enable-native-access=ALL-UNNAMED", "-cp", path(RUNNER),
                "io.github.vfio4j.conformance.ConformanceRunner", "--emulated", "--kernel", "7.2", "--tries", "20",
                "--report", "report");
        assertThat(output).contains("properties hold; seed ");
        assertThat(Files.readString(directory.resolve("report/index.html"))).contains(
                "<code>" + System.getProperty("vfio4j.version") + "</code>", "✓ Passed", "prefers-color-scheme");
        assertThat(directory.resolve("report/TEST-jqwik.xml")).isNotEmptyFile();
    }

    /** No class of it needs one that was left out, and none that is not for others is in it. */
    @Test
    void theJarIsWholeAndHasNothingElse() throws IOException {
        List<String> dependences = tool("jdeps", "--multi-release", "base", "-verbose:class", "-cp",
                path(and(RUNNER, NullMarked.class)), KIT.toString()).lines().toList();
        assertThat(dependences).anyMatch(line -> line.contains("FeatureConformance"))
                .noneMatch(line -> line.contains("not found"));
        try (JarFile jar = new JarFile(KIT.toFile())) {
            assertThat(jar.stream().map(Object::toString).filter(name -> !name.endsWith("/"))
                    .filter(name -> !name.startsWith("META-INF/"))).isNotEmpty()
                    .allMatch(name -> name.startsWith("io/github/vfio4j/conformance/"))
                    .noneMatch(name -> name.matches(".*(Calls|Contract|KernelLane|WrongKernel).*")
                            || name.matches(".*(?<!/junit/Emulated)Test(\\$.*)?\\.class"));
            assertThat(jar.getManifest().getMainAttributes().getValue("Automatic-Module-Name"))
                    .isEqualTo("io.github.vfio4j.conformance");
        }
    }
}
