package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.Replayer;
import io.github.vfio4j.trace.Transcript;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AddLifecycleHook;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command as a driver author runs it, against emulated kernels in the place of his machine's. */
@SuppressWarnings("NullAway.Init") // JUnit fills fields
class ConformanceRunnerTest {

    private static final String PF = "0000:01:00.0";
    private static final int PROBE = 1 << 18;
    private static final int SET = 1 << 17;

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

    private Run run(Class<?> suite, IoctlBackend backend, String... arguments) {
        StringWriter out = new StringWriter();
        StringWriter err = new StringWriter();
        List<String> all = new ArrayList<>(List.of(arguments));
        all.addAll(List.of("--report", directory.toString()));
        int exitCode = ConformanceRunner.commandLine(() -> backend, () -> environment, List.of(suite))
                .setOut(new PrintWriter(out)).setErr(new PrintWriter(err)).execute(all.toArray(String[]::new));
        return new Run(exitCode, out.toString().replace(System.lineSeparator(), "\n"),
                err.toString().replace(System.lineSeparator(), "\n"));
    }

    private Run run(Class<?> suite, String... arguments) {
        return run(suite, kernel.newProcess(), arguments);
    }

    /** A property class in the place of the kit's. */
    abstract static class Suite {

        @Provide
        Arbitrary<DeviceUnderTest> devices() {
            return Arbitraries.of(ConformanceRun.current().devices());
        }

        /** Asks, and gives evidence. */
        static int ask(DeviceUnderTest device, DeviceUnderTest.Opened opened, int feature, int operation) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment request = arena.allocate(24, 8);
                request.set(ValueLayout.JAVA_INT, 0, 24);
                request.set(ValueLayout.JAVA_INT, 4, feature | operation);
                if (operation == SET) {
                    request.set(ValueLayout.JAVA_LONG, 8, 0x7777_7777_7777_7777L);
                }
                int result = opened.device().executeRaw(FeatureRequest.raw(request));
                ConformanceRun.current().evidence().answered(device.name(), device.kernel(), feature,
                        operation == PROBE ? "PROBE" : "SET",
                        result < 0 ? Errno.ofResult(result).name() : operation == PROBE ? "0" : "carried out");
                return result;
            }
        }
    }

    @AddLifecycleHook(TranscriptOnFailure.class)
    @AddLifecycleHook(SeedOfRun.class)
    static class Holding extends Suite {

        static final List<Integer> ASKED = new ArrayList<>();

        @Property
        void probesAnswerAlike(@ForAll("devices") DeviceUnderTest device, @ForAll @IntRange(max = 14) int feature,
                @ForAll int unused) throws VfioException {
            ASKED.add(feature);
            try (DeviceUnderTest.Opened opened = device.open()) {
                assertThat(ask(device, opened, feature, PROBE)).isEqualTo(ask(device, opened, feature, PROBE));
            }
        }
    }

    @AddLifecycleHook(TranscriptOnFailure.class)
    @AddLifecycleHook(SeedOfRun.class)
    static class Failing extends Suite {

        /** Wrong of whatever has low power. */
        @Property
        void nothingSleeps(@ForAll("devices") DeviceUnderTest device,
                @ForAll @Size(max = 20) List<@IntRange(max = 14) Integer> features) throws VfioException {
            try (DeviceUnderTest.Opened opened = device.open()) {
                for (int feature : features) {
                    assertThat(ask(device, opened, feature, PROBE) == 0 && feature == 3).as("low power").isFalse();
                }
            }
        }
    }

    @AddLifecycleHook(TranscriptOnFailure.class)
    @AddLifecycleHook(SeedOfRun.class)
    static class FailingWithToken extends Suite {

        @Property
        void noTokenIsTaken(@ForAll("devices") DeviceUnderTest device) throws VfioException {
            try (DeviceUnderTest.Opened opened = device.open()) {
                assertThat(ask(device, opened, 0, SET)).isNegative();
            }
        }
    }

    /** Nothing of it can be made. */
    static class Broken {
        Broken() {
            throw new IllegalStateException("not to be made");
        }

        @Property
        void property(@ForAll int number) {
            assertThat(number).isEqualTo(number);
        }
    }

    static class Empty {
    }

    @Test
    void reportsOfARunThatHolds() throws IOException {
        Run run = run(Holding.class, "--device", PF, "--device", "83B8F4F2-509F-382F-3C1E-E6BFE0FA1001", "--tries",
                "40", "--seed", "17");
        assertThat(run.err()).isEmpty();
        assertThat(run.out()).contains("Device " + PF + " on Linux ", ", driver vfio-pci",
                "PCI_VF_TOKEN SET: its VF token is overwritten", "to leave it out: --exclude PCI_VF_TOKEN",
                "MIG_DEVICE_STATE SET: ", "it is stopped", "Seed 17, 40 tries", "holds    probesAnswerAlike",
                "1 property holds; seed 17", "Report: " + directory.resolve("index.html"));
        assertThat(run.exitCode()).isZero();
        // What is to be done is said before.
        assertThat(run.out().indexOf("PCI_VF_TOKEN SET")).isLessThan(run.out().indexOf("Seed 17"));
        assertThat(Files.readString(directory.resolve("index.html"))).contains("✓ Passed: ", "PROBE", "LOW_POWER_ENTRY",
                PF, "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "scripts/conformance --device " + PF + " --device"
                        + " 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 --tries 40 --seed 17");
        assertThat(Files.readString(directory.resolve("TEST-jqwik.xml")))
                .contains("<testcase name=\"probesAnswerAlike\"", "tests=\"1\"", "failures=\"0\"");
        try (var files = Files.list(directory)) {
            assertThat(files).hasSize(2);
        }
    }

    @Test
    void theSameSeedMakesTheSameRun() {
        List<List<Integer>> runs = new ArrayList<>();
        for (String seed : List.of("5", "5", "6")) {
            Holding.ASKED.clear();
            assertThat(run(Holding.class, "--device", PF, "--tries", "30", "--seed", seed).exitCode()).isZero();
            assertThat(Holding.ASKED).hasSize(30);
            runs.add(List.copyOf(Holding.ASKED));
        }
        assertThat(runs.get(1)).isEqualTo(runs.get(0)).isNotEqualTo(runs.get(2));
    }

    @Test
    void aFailureComesWithSeedShrunkProgramAndTranscript() throws IOException {
        Run run = run(Failing.class, "--device", PF, "--tries", "100", "--seed", "3");
        assertThat(run.exitCode()).isEqualTo(1);
        Path file = directory.resolve("nothingSleeps-" + PF.replace(':', '-') + ".jsonl");
        assertThat(run.out()).contains("FAILED   nothingSleeps", "FAILED: nothingSleeps on " + PF, "[low power]",
                "Seed:       3", "Transcript: " + file, "Replay it:  scripts/vfio4j replay " + file,
                "--tries 100 --seed 3", "0 properties hold, 1 does not");
        // Of all that was asked, one probe is left.
        Transcript transcript = Transcript.read(file);
        assertThat(transcript.describe()).filteredOn(call -> call.startsWith("VFIO_DEVICE_FEATURE")).singleElement()
                .asString().startsWith("VFIO_DEVICE_FEATURE PROBE LOW_POWER_ENTRY, argsz 24 on device0 = 0");
        assertThat(run.out()).contains(transcript.describe());
        assertThat(Replayer.replayEmulated(transcript).divergences()).isEmpty();
        assertThat(Files.readString(directory.resolve("index.html"))).contains("✗ Failed: ", "✗ failed",
                "VFIO_DEVICE_FEATURE PROBE LOW_POWER_ENTRY, argsz 24 on device0 = 0", file.getFileName().toString());
        assertThat(Files.readString(directory.resolve("TEST-jqwik.xml"))).contains("failures=\"1\"", "low power");
    }

    /** The bytes of the token are 0x77. */
    @Test
    void noTokenGetsIntoAnyReport() throws IOException {
        Run run = run(FailingWithToken.class, "--device", PF, "--tries", "20", "--seed", "4");
        assertThat(run.out()).contains("VFIO_DEVICE_FEATURE SET PCI_VF_TOKEN, argsz 24 on device0 = 0")
                .doesNotContain("77777777").doesNotContain("8608480567731124087");
        try (var files = Files.list(directory)) {
            assertThat(files.toList()).hasSize(3).allSatisfy(file -> assertThat(Files.readString(file))
                    .doesNotContain("77777777").doesNotContain("8608480567731124087"));
        }
    }

    @Test
    void whatCannotBeginIsAFailureToo() throws IOException {
        Run broken = run(Broken.class, "--device", PF);
        assertThat(broken.exitCode()).isEqualTo(1);
        assertThat(broken.out()).contains("FAILED: property on no device", "not to be made");
        assertThat(Files.readString(directory.resolve("index.html"))).contains("not to be made", "No device was asked");
        Run empty = run(Empty.class, "--device", PF);
        assertThat(empty.exitCode()).isEqualTo(1);
        assertThat(empty.out()).contains("0 properties hold; seed ");
    }

    @Test
    void thePlanChangesNothingAndWritesNothing() throws IOException {
        Run run = run(Failing.class, "--device", PF, "--plan", "--exclude", "0,low_power_entry");
        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).contains(
                "  features: PCI_VF_TOKEN, LOW_POWER_ENTRY, LOW_POWER_ENTRY_WITH_WAKEUP, LOW_POWER_EXIT, DMA_BUF\n",
                "  excluded: PCI_VF_TOKEN SET: its VF token is overwritten",
                "  excluded: LOW_POWER_ENTRY SET: it is put into low power\n", "  LOW_POWER_ENTRY_WITH_WAKEUP SET: ",
                "  DMA_BUF GET: ").doesNotContain("Seed");
        try (var files = Files.list(directory)) {
            assertThat(files).isEmpty();
        }
        Run emulated = run(Failing.class, "--emulated", "--kernel", "6.1,7.2", "--device", "0000:02:00.0", "--plan");
        assertThat(emulated.out()).contains("Device 0000:02:00.0 on Linux 6.1 (emulated), driver vfio-pci",
                "Device 0000:02:00.0 on Linux 7.2 (emulated)").doesNotContain(PF);
    }

    @Test
    void everyDeviceOfEachEmulatedKernelIsAsked() throws IOException {
        Run run = run(Holding.class, "--emulated", "--tries", "400");
        assertThat(run.exitCode()).isZero();
        assertThat(run.out()).contains("Emulated devices, 20 in all, on Linux 5.7 (emulated), ").doesNotContain("SET:");
        String page = Files.readString(directory.resolve("index.html"));
        for (String version : List.of("5.7", "6.1", "6.12", "7.2")) {
            for (String device : EmulatedTargets.NAMES) {
                assertThat(run.out()).contains(device + " on Linux " + version + " (emulated): ");
            }
            assertThat(page).contains("<span class=\"kernel\">Linux " + version + " (emulated)</span>");
        }
    }

    @Test
    void excludedFeaturesAreToldToTheProperties() throws VfioException {
        DeviceUnderTest device = DeviceUnderTest.of(PF, kernel.newProcess(), environment,
                java.util.Set.of(io.github.vfio4j.feature.FeatureId.LOW_POWER_ENTRY));
        assertThat(device.excludes(3)).isTrue();
        assertThat(device.excludes(4)).isFalse();
        assertThat(device.excludes(65535)).isFalse();
    }

    @Test
    void devicesInUseAreRefused() {
        try (EmulatedProcess other = kernel.newProcess()) {
            assertThat(other.open("/dev/vfio/4", Fcntl.O_RDWR)).isPositive();
            run(Failing.class, "--device", PF).assertRefused(3, "EBUSY", "The group is in use");
        }
        assertThat(run(Holding.class, "--device", PF, "--tries", "1").exitCode()).isZero();
    }

    @Test
    void physicalFunctionsWithVirtualOnesAreRefused() throws VfioException {
        Vfio vfio = Vfio.using(kernel.newProcess());
        try (VfioContainer container = vfio.openContainer()) {
            container.openDevice(PciAddress.parse(PF));
            vfio.pciDevice(PciAddress.parse(PF)).setSriovNumVfs(1);
        }
        run(Failing.class, "--device", PF).assertRefused(3, "EBUSY", "It has 1 virtual function, whose users",
                "echo 0 > /sys/bus/pci/devices/" + PF + "/sriov_numvfs");
    }

    @Test
    void devicesThatAreNotThereOrNotOfVfioAreRefused() {
        run(Failing.class, "--device", "0000:02:00.0").assertRefused(3, "is bound to no driver", "drivers_probe");
        run(Failing.class, "--device", "0000:03:00.0").assertRefused(3, "is bound to nvme, not to vfio-pci");
        run(Failing.class, "--device", "0000:09:00.0").assertRefused(3, "There is no PCI function");
        run(Failing.class, "--device", "00000000-0000-0000-0000-000000000001").assertRefused(3,
                "There is no mediated device of this name");
    }

    @Test
    void whoMayNotIsRefused() {
        run(Failing.class, kernel.newUnprivilegedProcess(), "--device", PF).assertRefused(4, "EACCES", "chown");
    }

    @Test
    void nothingIsDoneWhereOneOfSeveralIsRefused() {
        Run run = run(Failing.class, "--device", PF, "--device", "0000:02:00.0");
        run.assertRefused(3, "is bound to no driver");
        assertThat(directory).isEmptyDirectory();
    }

    @Test
    void badUsageIsToldInOneLine() {
        run(Failing.class).assertRefused(2, "--device DEVICE, or --emulated");
        run(Failing.class, "--device", "nonsense").assertRefused(2, "nonsense");
        run(Failing.class, "--device", PF, "--kernel", "6.1").assertRefused(2, "add --emulated");
        run(Failing.class, "--emulated", "--kernel", "6.2").assertRefused(2, "6.2 is not emulated");
        run(Failing.class, "--emulated", "--device", "0000:09:00.0").assertRefused(2, "The emulated machine has " + PF);
        run(Failing.class, "--emulated", "--tries", "0").assertRefused(2, "--tries is 1 or more");
        run(Failing.class, "--emulated", "--tries", "many").assertRefused(2, "--tries", "many");
        run(Failing.class, "--emulated", "--exclude", "TOKEN").assertRefused(2, "There is no feature 'TOKEN'",
                "PCI_VF_TOKEN");
        run(Failing.class, "--emulated", "--exclude", "65536").assertRefused(2, "no device feature 65536");
    }
}
