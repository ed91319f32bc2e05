package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** {@code vfio4j record} and {@code vfio4j replay}. */
class TranscriptCommandsTest {

    private static final Path BY_HAND = Path.of("src/test/resources/transcripts/f5");

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit injects it
    private Path directory;

    static Stream<String> kernels() {
        return KernelProfile.all().stream().map(KernelProfile::version);
    }

    private String file(String name, String text) throws IOException {
        return Files.writeString(directory.resolve(name), text.replace('\'', '"')).toString();
    }

    private String recordedDemo(String kernel) {
        String file = directory.resolve("demo-" + kernel + ".jsonl").toString();
        CommandRun demo = CommandRun.withoutKernel("", "demo", "--kernel", kernel);
        assertThat(CommandRun.withoutKernel("", "record", "-o", file, "demo", "--kernel", kernel).assertDone().out())
                .isEqualTo(demo.out());
        return file;
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void aRecordedDemoIsAnsweredAlike(String kernel) throws IOException {
        String file = recordedDemo(kernel);
        int calls = Files.readAllLines(Path.of(file)).size() - 1;
        assertThat(calls).isGreaterThan(50);
        assertThat(CommandRun.withoutKernel("", "replay", file).assertDone().out())
                .isEqualTo(calls + " calls, 0 divergences\n");
    }

    /** Between 6.12 and 7.2, the demo's probes see two features come. */
    @Test
    void anotherKernelAnswersOtherwise() {
        String file = recordedDemo("7.2");
        CommandRun run = CommandRun.withoutKernel("", "replay", "--kernel", "6.12", file);
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.err()).isEmpty();
        List<String> lines = run.out().lines().toList();
        String enotty = "ENOTTY (inappropriate ioctl for device)";
        String einval = "EINVAL (invalid argument)";
        List<String> device = List.of("PROBE DMA_BUF, argsz 8 on %s: expected 0, but was " + enotty,
                "PROBE|GET DMA_BUF, argsz 8 on %s: expected 0, but was " + enotty,
                "PROBE|SET DMA_BUF, argsz 8 on %s: expected " + einval + ", but was " + enotty,
                "PROBE MIG_PRECOPY_INFOv2, argsz 8 on %s: expected " + einval + ", but was " + enotty);
        List<String> expected = Stream.of("device0", "device1")
                .flatMap(name -> device.stream().map(words -> "VFIO_DEVICE_FEATURE " + words.formatted(name))).toList();
        assertThat(lines.subList(0, lines.size() - 1)).map(line -> line.replaceFirst("^" + file + ": line \\d+: ", ""))
                .containsExactlyElementsOf(expected);
        assertThat(lines.getLast()).matches("\\d+ calls, 8 divergences");
    }

    @Test
    void manyFilesHaveOneCount() {
        String one = BY_HAND.resolve("13-dma-buf.7.2.jsonl").toString();
        String other = BY_HAND.resolve("03-low-power-twice.6.1.jsonl").toString();
        assertThat(CommandRun.withoutKernel("", "replay", one, other).assertDone().out())
                .isEqualTo("15 calls, 0 divergences\n");
    }

    @Test
    void aMalformedTranscriptIsRefusedBeforeAnythingIsDone() throws IOException {
        String good = BY_HAND.resolve("13-dma-buf.7.2.jsonl").toString();
        String bad = file("bad.jsonl", "{'transcript':1,'kernel':'7.2'}\n{'op':'close','fd':3,'result':'no'}\n");
        CommandRun.withoutKernel("", "replay", good, bad)
                .assertFailed(2, "No transcript in " + bad, "line 2, column 31: a result is a number").assertNoOutput();
        CommandRun.withoutKernel("", "replay", good, "--native", bad).assertFailed(2, "line 2, column 31")
                .assertNoOutput();
        CommandRun.withoutKernel("", "replay", directory.resolve("none").toString())
                .assertFailed(2, "there is no such file").assertNoOutput();
        CommandRun.withoutKernel("", "replay", directory.toString()).assertFailed(2, "No transcript in " + directory)
                .assertNoOutput();
        CommandRun.withoutKernel("", "replay", file("not-compressed.gz", "{}")).assertFailed(2, "No transcript in")
                .assertNoOutput();
        CommandRun.withoutKernel("", "replay").assertFailed(2, "FILE").assertNoOutput();
        CommandRun.withoutKernel("", "replay", "--native", "--kernel", "6.1", good)
                .assertFailed(2, "leave --native out").assertNoOutput();
    }

    @Test
    void theRealKernelIsReplayedOn() throws IOException {
        String file = file("local.jsonl", """
                {'transcript':1,'kernel':'7.2'}
                {'op':'open','as':'n','path':'/dev/null','flags':2,'result':'fd'}
                {'op':'ioctl','fd':'n','request':'0x3b75','arg':'0800000000000400','result':-22}
                """);
        CommandRun run = CommandRun.on(NativeBackend::create, "", "replay", "--native", file);
        assertThat(run.exitCode()).isEqualTo(1);
        assertThat(run.out()).isEqualTo(file
                + ": line 3: VFIO_DEVICE_FEATURE PROBE PCI_VF_TOKEN, argsz 8 on n: expected"
                + " EINVAL (invalid argument), but was ENOTTY (inappropriate ioctl for device)\n2 calls, 1 divergences\n");
    }

    @Test
    void withoutAFileTheTranscriptIsTheOutput() throws IOException {
        CommandRun run = CommandRun.withoutKernel("", "record", "features", "0000:01:00.0", "--emulated", "--kernel",
                "6.1");
        assertThat(run.exitCode()).isZero();
        assertThat(run.err()).startsWith("Device 0000:01:00.0 on emulated Linux 6.1");
        String file = file("features.jsonl", run.out());
        assertThat(CommandRun.withoutKernel("", "replay", file).assertDone().out()).endsWith(" calls, 0 divergences\n");
    }

    /** The real kernel's place is taken by an emulated one. */
    @Test
    void aTokenStaysOutOfTheTranscript() throws IOException {
        String token = "8f0d1b2c-3e4a-4c5b-9d6e-7f8091a2b3c4";
        EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_6_12)
                .pciFunction("0000:01:00.0", function -> function.group(9).sriov(2)).build().newProcess();
        Path file = directory.resolve("token.jsonl");
        CommandRun run = CommandRun.on(() -> process, token, "record", "-o", file.toString(), "token", "set",
                "0000:01:00.0", "--stdin");
        assertThat(run.assertDone().out()).isEqualTo("VF token of 0000:01:00.0 set\n");
        assertThat(Files.readString(file)).contains("1800000000000200decafbad").doesNotContain("8f0d1b2c", token);
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aRecordedCommandFailsAsItDoesAlone() {
        Path file = directory.resolve("failed.jsonl");
        CommandRun.withoutKernel("", "record", "-o", file.toString(), "features", "0000:0f:00.0", "--emulated")
                .assertFailed(3, "open 0000:0f:00.0: ENODEV").assertNoOutput();
        CommandRun.withoutKernel("", "record", "-o", file.toString(), "demo", "--json")
                .assertFailed(2, "There is no option --json").assertNoOutput();
        assertThat(file).doesNotExist();
        CommandRun.withoutKernel("", "record", "-o", directory.toString(), "demo")
                .assertFailed(2, "Nothing can be written to " + directory).assertNoOutput();
        CommandRun.withoutKernel("", "record", "replay", "x").assertFailed(2, "Only demo, features and token")
                .assertNoOutput();
        CommandRun.withoutKernel("", "record").assertFailed(2, "COMMAND").assertNoOutput();
    }
}
