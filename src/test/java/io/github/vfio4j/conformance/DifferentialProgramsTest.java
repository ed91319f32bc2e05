package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.conformance.Subject.Kind;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.Replayer;
import io.github.vfio4j.trace.Transcript;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The random programs of the kernel lane, with an emulated kernel in place of the real one. */
class DifferentialProgramsTest {

    private static final long SEED = 20260101;
    /** The build says how many: more of them in its long mode. */
    private static final long IOCTLS = Long.getLong("vfio4j.ioctls", 20_000);
    private static final String MTTY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
    private static final String MTTY_2 = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002";
    private static final String MDPY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1003";
    private static final String PF = "0000:01:00.0";
    private static final String PLAIN = "0000:02:00.0";

    private static final List<Subject> MACHINE = List.of(new Subject(Kind.PHYSICAL_FUNCTION, PF),
            new Subject(Kind.VIRTUAL_FUNCTION, PF, 0), new Subject(Kind.VIRTUAL_FUNCTION, PF, 1),
            new Subject(Kind.PLAIN_FUNCTION, PLAIN), new Subject(Kind.MTTY, MTTY, 1), new Subject(Kind.MTTY, MTTY_2, 2),
            new Subject(Kind.MDPY, MDPY));

    private final StringWriter output = new StringWriter();

    private static Environment environment(String kernel) throws IOException {
        return Environment.parse("{\"transcript\":1,\"kernel\":\"" + kernel
                + "\",\"options\":{\"iommufdDriver\":true},\"devices\":[{\"kind\":\"pci\",\"name\":\"" + PF
                + "\",\"group\":4,\"sriov\":{\"totalVfs\":2},\"bars\":[{\"index\":0,\"size\":16384,\"kind\":\"memory\"}]},"
                + "{\"kind\":\"pci\",\"name\":\"" + PLAIN
                + "\",\"group\":5,\"bars\":[{\"index\":0,\"size\":1048576,\"kind\":\"memory\"}]},"
                + "{\"kind\":\"mtty\",\"name\":\"" + MTTY + "\",\"group\":9,\"ports\":1},{\"kind\":\"mtty\",\"name\":\""
                + MTTY_2 + "\",\"group\":10,\"ports\":2},{\"kind\":\"mdpy\",\"name\":\"" + MDPY + "\",\"group\":11}]}");
    }

    /** Time passes on the kernel that stands for the real one, so that devices sometimes fall asleep. */
    private static final class Restless extends ForwardingBackend {
        private final EmulatedKernel kernel;
        private final Random random = new Random(1);

        Restless(EmulatedKernel kernel) {
            super(kernel.newProcess());
            this.kernel = kernel;
        }

        @Override
        public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            kernel.advance(random.nextBoolean() ? Duration.ZERO : Duration.ofMillis(1));
            return super.ioctl(fd, request, argument, pointees);
        }
    }

    private DifferentialPrograms programs(String kernel, Function<EmulatedProcess, IoctlBackend> wrong)
            throws IOException {
        Environment environment = environment(kernel);
        return new DifferentialPrograms(environment, new Restless(environment.boot()), environment.boot(), wrong,
                MACHINE, new PrintWriter(output, true));
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.7", "6.1", "6.12", "7.2"})
    void twoKernelsAlikeDoNotDiffer(String kernel) throws IOException {
        DifferentialPrograms programs = programs(kernel, process -> process);
        assertThat(programs.run(IOCTLS, SEED)).as(output.toString()).isZero();
        assertThat(programs.tally().ioctls()).isGreaterThanOrEqualTo(IOCTLS);
        if (!kernel.equals("5.7")) {
            assertThat(programs.tally().wakeUps()).isPositive();
        }
    }

    /** Each feature's answers that programs have to come upon, or they compare less than they say. */
    private static final Map<Integer, String> ANSWERS = Map.ofEntries(
            Map.entry(0, "carried out,0,EINVAL,EFAULT,ENOTTY"), Map.entry(1, "carried out,0,EINVAL,EFAULT,ENOTTY"),
            Map.entry(2, "carried out,0,EINVAL,EFAULT,ENOTTY"), Map.entry(3, "carried out,0,EINVAL,EFAULT,ENOTTY"),
            Map.entry(4, "carried out,0,EINVAL,EFAULT,EBADF,ENOTTY"),
            Map.entry(5, "carried out,0,EINVAL,EFAULT,ENOTTY"),
            Map.entry(6, "carried out,0,EINVAL,EFAULT,E2BIG,EOVERFLOW,ENOTTY"),
            Map.entry(7, "carried out,0,EINVAL,EFAULT,ENOTTY"),
            Map.entry(8, "carried out,0,EINVAL,EFAULT,EOVERFLOW,ENOTTY"),
            Map.entry(9, "carried out,0,EINVAL,EFAULT,ENOTTY"), Map.entry(10, "EINVAL,EFAULT,ENOTTY"),
            Map.entry(11, "carried out,0,EINVAL,EFAULT,ENODEV,ENOMEM,ENOTTY"),
            Map.entry(12, "carried out,0,EINVAL,EFAULT"), Map.entry(13, "EINVAL,EFAULT,ENOTTY"));

    @Test
    void programsComeUponEveryAnswer() throws IOException {
        DifferentialPrograms programs = programs("7.2", process -> process);
        programs.run(2 * IOCTLS, SEED + 1);
        ANSWERS.forEach((feature, answers) -> assertThat(answers.split(",", -1))
                .allSatisfy(answer -> assertThat(programs.tally().count(feature, answer))
                        .as("%s of feature %d", answer, feature).isPositive()));
    }

    @ParameterizedTest
    @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = {"DESCRIPTOR_LEAKED"})
    void aWrongKernelIsFound(WrongKernel wrong) throws IOException {
        DifferentialPrograms programs = programs("7.2", wrong::inFrontOf);
        assertThat(programs.run(IOCTLS, SEED)).isPositive();
        String report = output.toString();
        assertThat(report).contains("seed ", "Cut down to ").doesNotContain(RandomProgram.token(0),
                RandomProgram.token(1));
        // A few steps are left of some hundred.
        String steps = report.substring(report.indexOf("Cut down to ") + 12);
        assertThat(Integer.parseInt(steps.substring(0, steps.indexOf(' ')))).isLessThan(20);
        // And the transcript is one.
        String transcript = report.lines().dropWhile(line -> !line.startsWith("Transcript")).skip(1)
                .takeWhile(line -> line.startsWith("{")).collect(Collectors.joining("\n"));
        assertThat(Replayer
                .replayEmulated(Transcript.read(new ByteArrayInputStream(transcript.getBytes(StandardCharsets.UTF_8))))
                .divergences()).isEmpty();
    }
}
