package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.TokenTraces;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.Replayer;
import io.github.vfio4j.trace.Transcript;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The command as a driver author runs it, against emulated kernels in the place of his machine's. */
@SuppressWarnings("NullAway.Init") // JUnit fills fields
class ConformanceRunnerTest {

    private static final String PF = "0000:01:00.0";
    private static final String MTTY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
    private static final int SET_TOKEN = 1 << 17;
    private static final int EBUSY = -16;
    private static final int ENOTTY = -25;

    private static final String MACHINE = """
            {"transcript":1,"kernel":"7.2","devices":[\
            {"kind":"pci","name":"0000:01:00.0","group":4,"driver":"vfio-pci","sriov":{"totalVfs":2},\
            "bars":[{"index":0,"size":16384,"kind":"memory"}]},\
            {"kind":"pci","name":"0000:02:00.0","group":5,"driver":null},\
            {"kind":"pci","name":"0000:03:00.0","group":6,"driver":"nvme"},\
            {"kind":"mtty","name":"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001","group":8,"ports":1}]}""";

    @TempDir
    private Path directory;

    private Environment environment;
    private EmulatedKernel kernel;

    @BeforeEach
    void boot() throws IOException {
        environment = Environment.parse(MACHINE);
        kernel = environment.boot();
    }

    /** What the command has done. */
    private record Run(int exitCode, String out, String err) {

        void assertRefused(int expected, String... words) {
            assertThat(err).startsWith("conformance: ").contains(words);
            assertThat(err.lines()).hasSize(1);
            assertThat(out).isEmpty();
            assertThat(exitCode).isEqualTo(expected);
        }
    }

    private Run run(Supplier<? extends IoctlBackend> realKernel, String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of("--report", directory.toString()));
        int exitCode = ConformanceRunner.commandLine(realKernel, () -> environment).setOut(new PrintWriter(out))
                .setErr(new PrintWriter(err)).execute(all.toArray(String[]::new));
        return new Run(exitCode, text(out), text(err));
    }

    private static String text(StringWriter written) {
        return written.toString().replace(System.lineSeparator(), "\n");
    }

    private Run run(String... arguments) {
        return run(kernel::newProcess, arguments);
    }

    private List<Path> reports() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.sorted().toList();
        }
    }

    private String page() throws IOException {
        return Files.readString(directory.resolve("index.html"));
    }

    @Test
    void reportsOfARunThatHolds() throws IOException {
        Run run = run("--device", PF, "--device", "83B8F4F2-509F-382F-3C1E-E6BFE0FA1001", "--tries", "40", "--seed",
                "17");
        assertThat(run.err()).isEmpty();
        assertThat(run.out()).contains("Device " + PF + ", Linux ", ", driver vfio-pci",
                "PCI_VF_TOKEN SET: its VF token is overwritten", "to leave it out: --exclude PCI_VF_TOKEN",
                "Device " + MTTY + ", Linux ", "MIG_DEVICE_STATE SET: ", "it is stopped", "Seed 17, 40 tries",
                "holds    probingDependsOnTheDeviceOnly", "properties hold; seed 17",
                "Report: " + directory.resolve("index.html"));
        assertThat(run.exitCode()).isZero();
        // What is to be done is said before.
        assertThat(run.out().indexOf("PCI_VF_TOKEN SET")).isLessThan(run.out().indexOf("Seed 17"));
        assertThat(page()).contains("✓ Passed: ", "LOW_<wbr>POWER_<wbr>ENTRY", "Device " + PF, "Device " + MTTY,
                "scripts/conformance --device " + PF + " --device 83B8F4F2-509F-382F-3C1E-E6BFE0FA1001 --tries 40"
                        + " --seed 17");
        assertThat(Files.readString(directory.resolve("TEST-jqwik.xml")))
                .contains("<testcase name=\"probingDependsOnTheDeviceOnly\"", "failures=\"0\"", "errors=\"0\"");
        assertThat(reports()).containsExactly(directory.resolve("TEST-jqwik.xml"), directory.resolve("index.html"));
        // Nothing is left open.
        assertThat(kernel.processes()).allSatisfy(process -> assertThat(process.openDescriptors()).isEqualTo(3));
    }

    /** The calls of all processes. */
    private static final class Calls extends ArrayList<String> {

        private static final long serialVersionUID = 1;

        IoctlBackend before(IoctlBackend next) {
            return new ForwardingBackend(next) {
                @Override
                public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                    int result = super.ioctl(fd, request, argument, pointees);
                    add(request + " "
                            + (argument.byteSize() < 8
                                    ? ""
                                    : Long.toHexString(argument.get(ValueLayout.JAVA_LONG_UNALIGNED, 0)))
                            + " = " + result);
                    return result;
                }
            };
        }
    }

    @Test
    void theSameSeedMakesTheSameRun() throws IOException {
        List<Calls> runs = new ArrayList<>();
        for (String seed : List.of("5", "5", "6")) {
            boot();
            Calls calls = new Calls();
            assertThat(run(() -> calls.before(kernel.newProcess()), "--device", MTTY, "--tries", "30", "--seed", seed)
                    .exitCode()).isZero();
            assertThat(calls).hasSizeGreaterThan(100);
            runs.add(calls);
        }
        assertThat(runs.get(1)).isEqualTo(runs.get(0)).isNotEqualTo(runs.get(2));
    }

    @Test
    void aFailureComesWithSeedShrunkProgramAndTranscript() throws IOException {
        Run run = run(() -> WrongKernel.LOW_POWER_ENTERED_TWICE.inFrontOf(kernel.newProcess()), "--device", PF,
                "--tries", "150", "--seed", "3");
        assertThat(run.exitCode()).isEqualTo(1);
        String property = "devicesStayInTheStateTheyArePutInto";
        Path file = directory.resolve(property + "-0000-01-00.0.jsonl");
        assertThat(run.out()).contains("FAILED   " + property, "FAILED: " + property + " on " + PF, "Seed:       3",
                "Transcript: " + file, "Replay it:  scripts/vfio4j replay " + file, "--tries 150 --seed 3",
                "hold, 1 does not");
        // Of all that was asked, two entries are left, and the second one should have been refused.
        Transcript transcript = Transcript.read(file);
        List<String> entries = transcript.describe().stream()
                .filter(call -> call.startsWith("VFIO_DEVICE_FEATURE SET LOW_POWER_ENTRY,")).toList();
        assertThat(entries).hasSize(2).allMatch(call -> call.endsWith(" = 0"));
        assertThat(transcript.describe()).endsWith(entries.getLast());
        assertThat(run.out()).contains(transcript.describe());
        // Another kernel than the one with the mistake answers otherwise, and only there.
        assertThat(Replayer.replayEmulated(transcript).divergences()).singleElement()
                .satisfies(divergence -> assertThat(divergence.actual()).contains("EINVAL"));
        assertThat(page()).contains("✗ Failed: ", "<b>✗ failed</b>", "<code>" + entries.getLast() + "</code>",
                "<code>" + file.getFileName() + "</code>", "last asked: feature 3 LOW_POWER_ENTRY, SET");
        assertThat(Files.readString(directory.resolve("TEST-jqwik.xml"))).contains("failures=\"1\"", property);
    }

    /** Mistakes by which properties fail that have just set a token. */
    enum Mistake {
        NONE, TAKES_ONE_TOKEN, CHANGES_THE_REQUEST, WRITES_TOO_FAR, IS_GONE
    }

    /** A kernel that remembers the tokens it was given, and then makes a mistake. */
    private static final class Keeper {

        private final Set<String> tokens = new LinkedHashSet<>();
        private final Mistake mistake;
        private @Nullable String lastToken;
        private int times;

        Keeper(Mistake mistake) {
            this.mistake = mistake;
        }

        IoctlBackend before(IoctlBackend next) {
            return new ForwardingBackend(next) {
                @Override
                public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                    boolean sets = argument.byteSize() >= 24
                            && Integer.compareUnsigned(argument.get(ValueLayout.JAVA_INT_UNALIGNED, 0), 24) >= 0
                            && argument.get(ValueLayout.JAVA_INT_UNALIGNED, 4) == SET_TOKEN;
                    if (sets) {
                        keep(argument.asSlice(8, 16).toArray(ValueLayout.JAVA_BYTE));
                    }
                    boolean again = sets && times++ > 0;
                    if (again && mistake == Mistake.TAKES_ONE_TOKEN) {
                        return EBUSY;
                    }
                    if (again && mistake == Mistake.IS_GONE) {
                        throw new IllegalStateException("The kernel is gone");
                    }
                    int result = super.ioctl(fd, request, argument, pointees);
                    if (again && mistake == Mistake.CHANGES_THE_REQUEST) {
                        argument.set(ValueLayout.JAVA_BYTE, 23, (byte) ~argument.get(ValueLayout.JAVA_BYTE, 23));
                    } else if (again && mistake == Mistake.WRITES_TOO_FAR && argument.byteSize() > 24) {
                        argument.set(ValueLayout.JAVA_BYTE, 24, (byte) ~argument.get(ValueLayout.JAVA_BYTE, 24));
                    }
                    return result;
                }
            };
        }

        /** Of those that are made at the edges of numbers, parts are everywhere. */
        private void keep(byte[] token) {
            lastToken = VfToken.of(token).toText();
            for (int at = 0; at < token.length; at += 4) {
                Set<Byte> different = new LinkedHashSet<>();
                for (int i = at; i < at + 4; i++) {
                    different.add(token[i]);
                }
                if (different.size() < 4 || different.contains((byte) 0)) {
                    return;
                }
            }
            tokens.add(lastToken);
        }
    }

    @ParameterizedTest
    @EnumSource
    void noTokenGetsIntoAnyReport(Mistake mistake) throws IOException {
        Keeper keeper = new Keeper(mistake);
        Run run = run(() -> keeper.before(kernel.newProcess()), "--device", PF, "--tries", "20", "--seed", "4");
        assertThat(run.exitCode()).isEqualTo(mistake == Mistake.NONE ? 0 : 1);
        if (mistake == Mistake.TAKES_ONE_TOKEN) {
            assertThat(run.out()).contains("FAILED: askedAgainTheyAnswerAlike on " + PF,
                    "VFIO_DEVICE_FEATURE SET PCI_VF_TOKEN, argsz 64 on device0 = EBUSY");
        }
        assertThat(reports()).hasSizeGreaterThan(mistake == Mistake.NONE ? 1 : 2);
        StringBuilder texts = new StringBuilder(run.out()).append(run.err());
        for (Path report : reports()) {
            texts.append('\n').append(Files.readString(report));
        }
        assertThat(keeper.tokens).hasSizeGreaterThan(1);
        TokenTraces.assertNoneIn(texts.toString(), keeper.tokens);
    }

    /** Without a try there is no program; and that is told, too. */
    @Test
    void whatCannotBeginIsAFailureToo() throws IOException {
        List<IoctlBackend> opened = new ArrayList<>();
        Run run = run(() -> {
            IoctlBackend process = new ForwardingBackend(kernel.newProcess()) {
                @Override
                public int open(String path, int flags) {
                    // The plan can be made, the properties have no container.
                    return opened.size() > 1 ? ENOTTY : super.open(path, flags);
                }
            };
            opened.add(process);
            return process;
        }, "--device", PF, "--tries", "2");
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.out()).contains("FAILED: everyHeaderAtItsLimits on no device", "open /dev/vfio/vfio: ENOTTY");
        assertThat(page()).contains("open /dev/vfio/vfio: ENOTTY", "✗ failed");
    }

    @Test
    void thePlanChangesNothingAndWritesNothing() {
        Run run = run("--device", PF, "--plan", "--exclude", "0,low_power_entry");
        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).contains(
                "  features: PCI_VF_TOKEN, LOW_POWER_ENTRY, LOW_POWER_ENTRY_WITH_WAKEUP, LOW_POWER_EXIT, DMA_BUF\n",
                "  excluded: PCI_VF_TOKEN SET: its VF token is overwritten",
                "  excluded: LOW_POWER_ENTRY SET: it is put into low power\n", "  LOW_POWER_ENTRY_WITH_WAKEUP SET: ",
                "  DMA_BUF GET: ").doesNotContain("Seed");
        assertThat(directory).isEmptyDirectory();
        Run emulated = run("--emulated", "--kernel", "6.1,7.2", "--plan");
        assertThat(emulated.exitCode()).isZero();
        assertThat(emulated.out())
                .contains("Device 0000:02:00.0, emulated 6.1, driver vfio-pci", "Device 0000:03:00.1, emulated 7.2")
                .doesNotContain("6.12");
    }

    @Test
    void everyDeviceOfEachEmulatedKernelIsAsked() throws IOException {
        Run run = run("--emulated", "--tries", "60", "--seed", "1", "--exclude", "MIG_DEVICE_STATE");
        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).contains("24 devices, emulated 5.7, emulated 6.1, ").doesNotContain("SET:");
        for (String version : List.of("5.7", "6.1", "6.12", "7.2")) {
            assertThat(run.out()).contains(PF + " on emulated " + version + ": ", MTTY + " on emulated " + version,
                    "0000:03:00.1 on emulated " + version);
            assertThat(page()).contains("<span class=\"kernel\">emulated " + version + "</span>");
        }
    }

    /** What is excluded is not carried out, though it is asked wrongly. */
    @Test
    void excludedFeaturesAreLeftAsTheyAre() {
        Keeper seen = new Keeper(Mistake.NONE);
        run(() -> seen.before(kernel.newProcess()), "--device", PF, "--tries", "60", "--seed", "8", "--exclude", "0");
        assertThat(seen.tokens).isEmpty();
    }

    @Test
    void devicesInUseAreRefused() {
        try (EmulatedProcess other = kernel.newProcess()) {
            assertThat(other.open("/dev/vfio/4", Fcntl.O_RDWR)).isPositive();
            run("--device", PF).assertRefused(3, "EBUSY", "The group is in use");
        }
        assertThat(run("--device", PF, "--plan").exitCode()).isZero();
    }

    @Test
    void physicalFunctionsWithVirtualOnesAreRefused() throws VfioException {
        Vfio vfio = Vfio.using(kernel.newProcess());
        try (VfioContainer container = vfio.openContainer()) {
            container.openDevice(PciAddress.parse(PF));
            vfio.pciDevice(PciAddress.parse(PF)).setSriovNumVfs(1);
        }
        run("--device", PF).assertRefused(3, "EBUSY", "It has a virtual function, whose user",
                "echo 0 > /sys/bus/pci/devices/" + PF + "/sriov_numvfs");
    }

    @Test
    void devicesThatAreNotThereOrNotOfVfioAreRefused() {
        run("--device", "0000:02:00.0").assertRefused(3, "is bound to no driver", "drivers_probe");
        run("--device", "0000:03:00.0").assertRefused(3, "is bound to nvme, not to vfio-pci");
        run("--device", "0000:09:00.0").assertRefused(3, "There is no PCI function");
        run("--device", "00000000-0000-0000-0000-000000000001").assertRefused(3, "There is none with this UUID");
    }

    @Test
    void whoMayNotIsRefused() {
        run(kernel::newUnprivilegedProcess, "--device", PF).assertRefused(4, "EACCES", "chown");
    }

    /** The tokens of a run come from its seed, which stands in the reports. */
    @Test
    void inTheEndTheTokenIsOneThatNoReportTellsOf() throws IOException {
        List<String> last = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            boot();
            Keeper keeper = new Keeper(Mistake.NONE);
            assertThat(run(() -> keeper.before(kernel.newProcess()), "--device", PF, "--tries", "5", "--seed", "4")
                    .exitCode()).isZero();
            last.add(keeper.lastToken);
        }
        assertThat(last).doesNotContainNull().doesNotHaveDuplicates();
    }

    /** Who gives one by mistake need not find it in a log as well. */
    @Test
    void aTokenInAnotherPlaceIsNotRepeated() {
        String token = "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d";
        for (String[] line : new String[][]{{"--device", token}, {"--device", PF, "--device", token},
                {"--device", token.replace("-", "")}, {"--device", PF, "--exclude", token},
                {"--emulated", "--kernel", token}, {"--device", PF, token}, {"--device", PF, "--token=" + token},
                {"--device", PF, "--seed", token}}) {
            Run run = run(line);
            assertThat(run.exitCode()).isIn(2, 3);
            TokenTraces.assertNoneIn(run.out() + run.err(), List.of(token));
        }
    }

    @Test
    void nothingIsDoneWhereOneOfSeveralIsRefused() {
        run("--device", PF, "--device", "0000:02:00.0").assertRefused(3, "is bound to no driver");
        assertThat(directory).isEmptyDirectory();
    }

    @Test
    void badUsageIsToldInOneLine() {
        run().assertRefused(2, "--device DEVICE, or --emulated");
        run("--emulated", "--device", PF).assertRefused(2, "--device DEVICE, or --emulated");
        run("--device", "nonsense").assertRefused(2, "nonsense");
        run("--device", PF, "--kernel", "6.1").assertRefused(2, "add --emulated");
        run("--emulated", "--kernel", "6.2").assertRefused(2, "6.2 is not emulated");
        run("--emulated", "--tries", "0").assertRefused(2, "--tries is 1 or more");
        run("--emulated", "--tries", "many").assertRefused(2, "--tries", "many");
        run("--emulated", "--exclude", "TOKEN").assertRefused(2, "There is no feature 'TOKEN'", "PCI_VF_TOKEN");
        run("--emulated", "--exclude", "65536").assertRefused(2, "no device feature 65536");
    }
}
