package io.github.vfio4j.examples.guide;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.SystemCall;
import io.github.vfio4j.cli.Main;
import io.github.vfio4j.conformance.ConformanceRunner;
import io.github.vfio4j.conformance.junit.EmulatedVfio;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.examples.guide.Guide.Block;
import io.github.vfio4j.examples.guide.Guide.Command;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;

/** The guides show programs that are compiled here, and what they really print. */
@SuppressWarnings("NullAway.Init") // JUnit fills fields
class GuidesTest {

    private static final PciAddress FUNCTION = PciAddress.parse("0000:01:00.0");
    private static final UUID SOURCE = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final UUID DESTINATION = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1002");

    @TempDir
    private Path directory;

    /** A program of this package, and the machine a guide shows it on. */
    @FunctionalInterface
    private interface Program {
        void run(PrintStream out) throws IOException;
    }

    private final Map<String, Program> programs = Map.of("FirstRequest",
            out -> FirstRequest.run(Vfio.using(sriovMachine().newProcess()), FUNCTION, out), "SharedToken", out -> {
                EmulatedKernel kernel = sriovMachine();
                SharedToken.run(Vfio.using(kernel.newProcess()), Vfio.using(kernel.newProcess()), FUNCTION, out);
            }, "SaveAndRestore", out -> {
                EmulatedKernel kernel = mdevMachine();
                try (VfioContainer container = Vfio.using(kernel.newProcess()).openContainer()) {
                    SaveAndRestore.run(container.openMediatedDevice(SOURCE), container.openMediatedDevice(DESTINATION),
                            directory.resolve("state"), out);
                }
            }, "SaveAndRestore#failure", out -> {
                FaultInjectingBackend faults = new FaultInjectingBackend(mdevMachine().newProcess());
                try (VfioContainer container = Vfio.using(faults).openContainer();
                        VfioDevice device = container.openMediatedDevice(SOURCE)) {
                    faults.inject(Fault.on(SystemCall.READ).fails(Errno.EIO));
                    SaveAndRestore.saveWithFailure(device, directory.resolve("half"), out);
                }
            }, "SaveAndRestore#feature", out -> {
                try (VfioContainer container = Vfio.using(mdevMachine().newProcess()).openContainer()) {
                    SaveAndRestore.ask(container.openMediatedDevice(SOURCE), out);
                }
            }, "Leak", GuidesTest::runLeak);

    /** A test that leaves something open. */
    @EmulatedVfio
    static class Leak {
        @Test
        void forgetsAContainer(Vfio vfio) throws VfioException {
            vfio.openContainer();
        }
    }

    private static void runLeak(PrintStream out) {
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        LauncherFactory.create()
                .execute(LauncherDiscoveryRequestBuilder.request().selectors(DiscoverySelectors.selectClass(Leak.class))
                        .filters(EngineFilter.includeEngines("junit-jupiter")).build(), listener);
        listener.getSummary().getFailures().forEach(failure -> out.println(failure.getException().getMessage()));
    }

    private static EmulatedKernel sriovMachine() {
        return EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(FUNCTION.toString(), function -> function.sriov(2).memoryBar(0, 16384)).build();
    }

    private static EmulatedKernel mdevMachine() {
        return EmulatedKernel.builder(KernelProfile.LINUX_7_2).mtty(SOURCE, 1).mtty(DESTINATION, 1).build();
    }

    /** All but the one that has a test of its own. */
    private static Stream<Guide> guides() {
        return Guide.all().stream().filter(guide -> !guide.file().endsWith("first-device.md"));
    }

    private static Stream<Block> blocks(Guide guide, String language) {
        return guide.blocks().stream().filter(block -> block.language().equals(language));
    }

    @ParameterizedTest
    @MethodSource("guides")
    void showsWhatIsCompiled(Guide guide) throws IOException {
        for (Block block : blocks(guide, "java").toList()) {
            assertThat(block.text()).as("%s: %s", guide, block.name()).isEqualTo(Guide.source(block.name()));
        }
    }

    @ParameterizedTest
    @MethodSource("guides")
    void showsWhatProgramsPrint(Guide guide) throws IOException {
        for (Block block : blocks(guide, "text").toList()) {
            assertThat(programs).as("programs in blocks marked text of %s", guide).containsKey(block.name());
            ByteArrayOutputStream printed = new ByteArrayOutputStream();
            programs.get(block.name()).run(new PrintStream(printed, true, StandardCharsets.UTF_8));
            assertShown(guide, block.name(), block.text(), printed.toString(StandardCharsets.UTF_8));
        }
    }

    /** But for those that need the jars, which ConsumerTest runs. */
    @ParameterizedTest
    @MethodSource("guides")
    void showsWhatCommandsPrint(Guide guide) {
        for (Command command : guide.commands()) {
            if (!command.words().getFirst().equals("java")) {
                assertShown(guide, command.toString(), command.output(), run(command.words()));
            }
        }
    }

    private String run(List<String> command) {
        String[] arguments = command.stream().skip(1)
                .map(word -> word.endsWith(".jsonl") ? directory.resolve(word).toString() : word)
                .toArray(String[]::new);
        StringWriter written = new StringWriter();
        PrintWriter out = new PrintWriter(written, true);
        switch (command.getFirst()) {
            case "scripts/vfio4j" -> Main.run(out, out, arguments);
            case "scripts/conformance" -> ConformanceRunner.run(out, out,
                    Stream.concat(Stream.of(arguments),
                            Stream.of("--report", directory.resolve("target/conformance").toString()))
                            .toArray(String[]::new));
            default -> throw new AssertionError("Nobody runs " + command + ": mark the block sh");
        }
        return written.toString().replace(System.lineSeparator(), "\n").replace(directory + File.separator, "");
    }

    private static void assertShown(Guide guide, String what, String shown, String printed) {
        assertThat("\n" + printed).as("%s: %s", guide, what).matches(Guide.pattern(shown));
    }

    @Test
    void thereAreGuides() {
        assertThat(guides().map(guide -> guide.file().getFileName().toString())).contains("README.md",
                "first-request.md", "vf-tokens.md", "testing-without-hardware.md", "migration.md", "conformance.md",
                "native-access.md", "graalvm.md");
    }
}
