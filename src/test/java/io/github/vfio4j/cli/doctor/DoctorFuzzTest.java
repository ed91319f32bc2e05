package io.github.vfio4j.cli.doctor;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.faults.Fuzz;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.function.Supplier;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import picocli.CommandLine.Help.Ansi;

/** Whatever stands in sysfs, procfs and /dev, there is a report. */
class DoctorFuzzTest {

    private static final String OWNER = "0000:01:00.0";
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    private final EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2.withCdev())
            .pciFunction(OWNER, function -> function.sriov(1).virtualFunctions(1, "vfio-pci"))
            .pciFunction("0000:02:00.0", function -> function.driver("nvme")).mtty(MTTY, 1).build().newProcess();

    /** What there is to be seen does not change, and looking costs more than all that is done with it. */
    private final SystemFiles files = new Remembered(new EmulatedFiles(process), new HashMap<>());

    private record Remembered(SystemFiles files, Map<String, Object> seen) implements SystemFiles {

        @SuppressWarnings("unchecked") // it was put there for the same question
        private <T> T ask(String question, Supplier<T> answer) {
            return (T) seen.computeIfAbsent(question, asked -> answer.get());
        }

        @Override
        public boolean exists(String path) {
            return ask("exists " + path, () -> files.exists(path));
        }

        @Override
        public Optional<String> target(String path) {
            return ask("target " + path, () -> files.target(path));
        }

        @Override
        public Optional<String> read(String path) {
            return ask("read " + path, () -> files.read(path));
        }

        @Override
        public List<String> list(String path) {
            return ask("list " + path, () -> files.list(path));
        }

        @Override
        public Access access(String path) {
            return ask("access " + path, () -> files.access(path));
        }
    }

    /** The files of a machine, of which some are not as they should be. */
    private record Nonsense(SystemFiles files, SplittableRandom random, int oneIn) implements SystemFiles {

        private boolean happens() {
            return random.nextInt(oneIn) == 0;
        }

        private String changed(String text) {
            return new String(Fuzz.mutated(text.getBytes(StandardCharsets.ISO_8859_1), random),
                    StandardCharsets.ISO_8859_1);
        }

        private Optional<String> changed(Optional<String> text) {
            if (!happens()) {
                return text;
            }
            return random.nextInt(4) == 0 ? Optional.empty() : Optional.of(changed(text.orElse("0x0604 vfio-pci N")));
        }

        @Override
        public boolean exists(String path) {
            return happens() ? random.nextBoolean() : files.exists(path);
        }

        @Override
        public Optional<String> target(String path) {
            return changed(files.target(path));
        }

        @Override
        public Optional<String> read(String path) {
            return changed(files.read(path)).map(String::strip);
        }

        @Override
        public List<String> list(String path) {
            List<String> names = files.list(path);
            return !happens()
                    ? names
                    : random.nextInt(4) == 0 ? List.of() : names.stream().map(this::changed).sorted().toList();
        }

        @Override
        public Access access(String path) {
            return happens() ? List.of(Access.values()).get(random.nextInt(3)) : files.access(path);
        }
    }

    @Property
    void whateverIsThereIsReported(@ForAll long seed, @ForAll @IntRange(min = 1, max = 6) int oneIn,
            @ForAll @IntRange(max = 2) int which) throws Exception {
        Machine machine = Machine.of(new Nonsense(files, new SplittableRandom(seed), oneIn), "Linux", "?",
                () -> process);
        Fuzz.inProportion(() -> {
            try {
                Report report = switch (which) {
                    case 0 -> Doctor.examine(machine);
                    case 1 -> Doctor.examine(machine, PciAddress.parse("0000:01:00.1"));
                    default -> Doctor.examine(machine, MTTY);
                };
                StringWriter text = new StringWriter();
                report.print(new PrintWriter(text, true), Ansi.OFF);
                assertThat(text.toString()).contains("Next: ");
                StringWriter json = new StringWriter();
                report.printJson(new PrintWriter(json, true));
                try (JsonParser parser = new JsonFactory().createParser(json.toString())) {
                    int arrays = 0;
                    while (parser.nextToken() != null) {
                        arrays++;
                    }
                    assertThat(arrays).isGreaterThan(10);
                }
            } catch (VfioException e) {
                assertThat(e.errno()).isPresent();
            }
        });
        assertThat(process.openFiles()).isEmpty();
    }
}
