package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.InstanceOfAssertFactories.LIST;
import static org.assertj.core.api.InstanceOfAssertFactories.map;

import io.github.vfio4j.VfToken;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class FeaturesCommandTest {

    private static final String OWNER = "0000:01:00.0";
    private static final String PLAIN = "0000:02:00.0";
    private static final String VIRTUAL = "0000:03:00.1";
    private static final String MEDIATED = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

    private static final Map<String, Set<Integer>> WITHOUT_TOKEN = Map.of("5.7", Set.of(), "6.1", Set.of(3, 4, 5),
            "6.12", Set.of(3, 4, 5), "7.2", Set.of(3, 4, 5, 11));

    static Stream<Arguments> devices() {
        return KernelProfile.all().stream().map(KernelProfile::version)
                .flatMap(kernel -> Stream.of(OWNER, PLAIN, VIRTUAL).map(device -> Arguments.of(kernel, device)));
    }

    private static boolean isPresent(String kernel, String device, int feature) {
        return feature == 0 ? device.equals(OWNER) : WITHOUT_TOKEN.getOrDefault(kernel, Set.of()).contains(feature);
    }

    private static @Nullable String errno(String kernel, String device, int feature) {
        if (isPresent(kernel, device, feature)) {
            return null;
        }
        return feature == 12 && kernel.equals("7.2") ? "EINVAL" : "ENOTTY";
    }

    @ParameterizedTest
    @MethodSource("devices")
    void jsonHasTheKeysThatAreDocumentedAndNoOthers(String kernel, String device) throws IOException {
        CommandRun run = CommandRun.of("features", device, "--emulated", "--kernel", kernel, "--json").assertDone();
        Map<String, @Nullable Object> expected = new LinkedHashMap<>();
        expected.put("device", device);
        expected.put("backend", "emulated");
        expected.put("kernel", kernel);
        List<@Nullable Object> features = new ArrayList<>();
        for (FeatureId feature : FeatureId.known()) {
            boolean present = isPresent(kernel, device, feature.index());
            Map<String, @Nullable Object> entry = new LinkedHashMap<>();
            entry.put("index", feature.index());
            entry.put("name", feature.name());
            entry.put("supported", present);
            entry.put("get", present && feature.equals(FeatureId.DMA_BUF));
            entry.put("set", present && !feature.equals(FeatureId.DMA_BUF));
            entry.put("errno", errno(kernel, device, feature.index()));
            features.add(entry);
        }
        expected.put("features", features);
        assertThat(Json.parse(run.out())).isEqualTo(expected);
        assertThat(run.out()).endsWith("}\n");
    }

    @Test
    void theKeysComeInTheOrderThatIsDocumented() throws IOException {
        CommandRun run = CommandRun.of("features", OWNER, "--emulated", "--json").assertDone();
        assertThat(Json.parse(run.out())).asInstanceOf(map(String.class, Object.class)).satisfies(fields -> {
            assertThat(fields.keySet()).containsExactly("device", "backend", "kernel", "features");
            assertThat(fields.get("kernel")).isEqualTo("7.2");
            assertThat(fields.get("features")).asInstanceOf(LIST).hasSize(13).first()
                    .asInstanceOf(map(String.class, Object.class)).satisfies(entry -> assertThat(entry.keySet())
                            .containsExactly("index", "name", "supported", "get", "set", "errno"));
        });
    }

    @ParameterizedTest
    @MethodSource("devices")
    void theTableHasALineForEachFeature(String kernel, String device) {
        CommandRun run = CommandRun.of("features", device, "--emulated", "--kernel", kernel).assertDone();
        List<String> lines = run.out().lines().toList();
        assertThat(lines).hasSize(16);
        assertThat(lines.getFirst()).isEqualTo("Device " + device + " on emulated Linux " + kernel);
        assertThat(lines.get(2)).containsSubsequence("INDEX", "FEATURE", "SUPPORTED", "OPERATIONS");
        for (FeatureId feature : FeatureId.known()) {
            boolean present = isPresent(kernel, device, feature.index());
            String why = String.valueOf(errno(kernel, device, feature.index()));
            assertThat(Arrays.asList(lines.get(3 + feature.index()).strip().split(" +", 4)))
                    .startsWith(String.valueOf(feature.index()), feature.name(), present ? "yes" : "no").last()
                    .asString().startsWith(present ? (feature.index() == 11 ? "GET" : "SET") : why + " (");
        }
    }

    /** What mtty has in each kernel is another matter (semantics §F.3); here it is that it can be asked by its UUID. */
    @ParameterizedTest
    @CsvSource({"5.7, ''", "6.1, ''", "6.12, '1,2,6,7,8,9'", "7.2, '1,2,6,7,8,9,12'"})
    void aMediatedDeviceIsNamedByItsUuid(String kernel, String present) {
        CommandRun run = CommandRun.of("features", MEDIATED, "--emulated", "--kernel", kernel).assertDone();
        assertThat(run.out()).startsWith("Device " + MEDIATED + " on emulated Linux " + kernel + "\n");
        assertThat(run.out().lines().filter(line -> line.contains(" yes ")).map(line -> line.strip().split(" ", 2)[0])
                .collect(Collectors.joining(","))).isEqualTo(present);
    }

    @Test
    void withoutAKernelTheNewestIsEmulated() {
        assertThat(CommandRun.of("features", OWNER, "--emulated").assertDone().out())
                .startsWith("Device 0000:01:00.0 on emulated Linux 7.2\n");
    }

    @Test
    void theDomainOfTheDeviceMayBeLeftOut() {
        assertThat(CommandRun.of("features", "01:00.0", "--emulated").assertDone().out())
                .startsWith("Device 0000:01:00.0 ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"foo", "0000:01:00", "0000:01:20.0", "", "0000:01:00.0\u001b[2J\nsecond line"})
    void aMalformedAddressIsBadUsage(String address) {
        CommandRun.of("features", address, "--emulated").assertFailed(2, "vfio4j: DEVICE: '", "is not a PCI address",
                "dddd:bb:dd.f", "'vfio4j features --help' explains").assertNoOutput();
    }

    @Test
    void aMissingAddressIsBadUsage() {
        CommandRun.of("features").assertFailed(2, "DEVICE", "'vfio4j features --help' explains").assertNoOutput();
    }

    @Test
    void aKernelIsChosenOnlyForTheEmulation() {
        CommandRun.of("features", OWNER, "--kernel", "6.1").assertFailed(2, "add --emulated").assertNoOutput();
    }

    @Test
    void aKernelThatIsNotEmulatedIsBadUsageAndTheOthersAreNamed() {
        CommandRun.of("features", OWNER, "--emulated", "--kernel", "6.6")
                .assertFailed(2, "vfio4j: --kernel: Linux 6.6 is not emulated", "5.7, 6.1, 6.12, 7.2").assertNoOutput();
    }

    @Test
    void aDeviceTheEmulatedMachineDoesNotHaveIsUnavailableAndTheOthersAreNamed() {
        CommandRun.of("features", "0000:0f:00.0", "--emulated").assertFailed(3, "ENODEV", OWNER, PLAIN, VIRTUAL)
                .assertNoOutput();
        // It is there, but on a host driver.
        CommandRun.of("features", "0000:03:00.0", "--emulated").assertFailed(3, "is bound to nvme, not to vfio-pci")
                .assertNoOutput();
    }

    @Test
    void aDeviceThisMachineDoesNotHaveIsUnavailable() {
        CommandRun.of("features", "ffffffff:ff:1f.7").assertFailedForWantOfTheDevice().assertNoOutput();
    }

    @Test
    void aPhysicalFunctionIsOpenedWithATokenToo(@TempDir Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("token"), VfToken.random().toText() + "\n");
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
        CommandRun.of("features", OWNER, "--emulated", "--file", file.toString()).assertDone();
        CommandRun.withoutKernel(VfToken.random().toText(), "features", OWNER, "--emulated", "--stdin").assertDone();
    }

    @ParameterizedTest
    @ValueSource(strings = {PLAIN, VIRTUAL})
    void aTokenForAFunctionThatTakesNoneIsRefused(String device) {
        CommandRun.withoutKernel(VfToken.random().toText(), "features", device, "--emulated", "--stdin")
                .assertFailed(1, "EINVAL", "takes no VF token", "Open it without one").assertNoOutput();
    }

    @Test
    void aMalformedTokenIsBadUsageBeforeAnyKernelIsAsked() {
        CommandRun.withoutKernel("not a token", "features", OWNER, "--stdin")
                .assertFailed(2, "standard input", "8-4-4-4-12").assertNoOutput();
    }

    @Test
    void theRealKernelIsAskedUnlessToldOtherwise() throws IOException {
        EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_6_1)
                .pciFunction(OWNER, function -> function.sriov(1)).build().newProcess();
        CommandRun run = CommandRun.on(() -> process, "", "features", OWNER, "--json").assertDone();
        assertThat(Json.parse(run.out())).asInstanceOf(map(String.class, Object.class))
                .containsEntry("backend", "native").containsEntry("kernel", System.getProperty("os.version"));
        assertThat(process.openDescriptors()).isEqualTo(3);
        CommandRun.on(() -> process, "", "features", PLAIN).assertFailed(3, "There is no PCI function at this address")
                .assertNoOutput();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void helpTellsWhatTheEmulatedMachineHas() {
        CommandRun run = CommandRun.of("features", "--help").assertDone();
        assertThat(run.out()).contains("Usage: vfio4j features", "--emulated", "--kernel", "--json", "--file",
                "--stdin", OWNER, PLAIN, VIRTUAL, "5.7, 6.1, 6.12");
    }
}
