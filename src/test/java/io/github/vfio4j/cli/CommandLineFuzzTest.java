package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.faults.Fuzz;
import io.github.vfio4j.trace.Transcript;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.lifecycle.AfterProperty;
import net.jqwik.api.lifecycle.BeforeProperty;

/**
 * Whatever stands on the command line and comes from standard input, a command ends with a documented exit code and says why
 * in lines of its own, leaves nothing open, and writes nowhere but where it was told to.
 */
class CommandLineFuzzTest {

    private static final String OWNER = "0000:01:00.0";
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final String TOKEN = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";

    /** In words that stand for what only the run knows. */
    private static final String HERE = "@HERE@";

    @SuppressWarnings("NullAway.Init") // before the property
    private Path directory;

    @BeforeProperty
    void prepare() throws IOException {
        directory = Files.createTempDirectory("vfio4j-fuzz");
        Files.createDirectory(directory.resolve("out"));
        Files.createDirectory(directory.resolve("out/directory"));
        Files.writeString(directory.resolve("token"), TOKEN + "\n");
        Files.setPosixFilePermissions(directory.resolve("token"), PosixFilePermissions.fromString("rw-------"));
        Files.writeString(directory.resolve("others-token"), TOKEN);
        Files.setPosixFilePermissions(directory.resolve("others-token"), PosixFilePermissions.fromString("rw-r--r--"));
        CommandRun.withoutKernel("", "record", "-o", directory.resolve("transcript").toString(), "demo").assertDone();
    }

    @AfterProperty
    void clear() throws IOException {
        try (Stream<Path> files = Files.walk(directory)) {
            for (Path file : files.sorted((one, other) -> other.compareTo(one)).toList()) {
                Files.delete(file);
            }
        }
    }

    /** Options with their values, mostly. */
    @Provide
    Arbitrary<List<String>> commandLines() {
        Arbitrary<String> commands = Arbitraries.of("demo", "features", "doctor", "explain", "token set", "token check",
                "replay", "record", "record demo", "record -o " + HERE + "out/file features", "record token set",
                "completion", "completion zsh", "help", "token", "");
        Arbitrary<String> words = Arbitraries.of("demo", "features", "token", "set", "check", "replay", "record",
                "--file", "--file " + HERE + "token", "--file " + HERE + "others-token", "--file=" + HERE + "nowhere",
                "--stdin", "--stdin=x", "--emulated", "--native", "--kernel", "--kernel 6.12", "--kernel=7.2", "6.1",
                "--json", "--pf", "--pf " + OWNER, "--vf 0000:01:00.1", OWNER, "0000:0f:00.0", "1:0.0",
                "-o " + HERE + "out/file", "-o=" + HERE + "out/file", "-o" + HERE + "out/file",
                "-o " + HERE + "out/directory", "-o " + HERE + "nowhere/file", "-o /dev/full", "-o /dev/null",
                HERE + "transcript", HERE + "token", HERE + "out", "--feature", "--feature DMA_BUF", "--feature=65536",
                "--op probe", "--op=set,get", "ENOTTY", "EINVAL", "99999", "--help", "-h", "--version", "-V", "--", "-",
                MTTY.toString(), TOKEN, TOKEN.replace("-", ""), "{" + TOKEN + "}", "/", "=", "@x", "\"", "'", "--x",
                "é\0", "%s%n", "${sys:user.home}", "\u001b[31m", "\n");
        Arbitrary<String> any = Arbitraries.frequencyOf(Tuple.of(12, words),
                // Of these, none is an option with the name of a file in it, which could be any.
                Tuple.of(1, Arbitraries.strings().ofMaxLength(20).filter(word -> !word.matches("(?s)-[^-]*o.*"))));
        return commands.flatMap(command -> any.list().ofMaxSize(5).map(list -> {
            List<String> line = new ArrayList<>(command.isEmpty() ? List.of() : List.of(command.split(" ")));
            list.forEach(word -> line.addAll(List.of(word.split(" "))));
            return line;
        }));
    }

    @Provide
    Arbitrary<byte[]> inputs() {
        return Arbitraries.frequencyOf(
                Tuple.of(4,
                        Arbitraries.of(TOKEN, TOKEN + "\n", "", TOKEN + TOKEN, "{" + TOKEN + "}", "\0")
                                .map(text -> text.getBytes(StandardCharsets.US_ASCII))),
                Tuple.of(1, Arbitraries.bytes().array(byte[].class).ofMaxSize(2000)));
    }

    /** As if somebody held a key down. */
    private static final class WithoutEnd extends InputStream {

        private final byte[] bytes;
        private long at;

        WithoutEnd(byte[] bytes) {
            this.bytes = bytes.length == 0 ? new byte[1] : bytes;
        }

        @Override
        public int read() {
            assertThat(at).as("bytes that are read").isLessThan(1 << 20);
            return bytes[(int) (at++ % bytes.length)] & 0xff;
        }

        @Override
        public int read(byte[] target, int offset, int length) {
            for (int i = 0; i < length; i++) {
                target[offset + i] = (byte) read();
            }
            return length;
        }
    }

    @Property
    void aCommandEndsWithADocumentedExitCode(@ForAll("commandLines") List<String> words, @ForAll("inputs") byte[] input,
            @ForAll boolean withoutEnd) throws Exception {
        String[] line = words.stream().map(word -> word.replace(HERE, directory + "/")).toArray(String[]::new);
        EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(OWNER, function -> function.sriov(1).memoryBar(0, 4096)).mtty(MTTY, 1).build()
                .newProcess();
        InputStream stdin = withoutEnd ? new WithoutEnd(input) : new ByteArrayInputStream(input);
        Fuzz.inProportion(() -> {
            CommandRun run = CommandRun.on(() -> process, stdin, line);
            assertThat(run.exitCode()).as("exit code, with %s", run.err()).isBetween(0, 4);
            assertThat(run.out() + run.err()).as("what is printed").doesNotContain("Exception", "\tat ")
                    .doesNotContainIgnoringCase(TOKEN, TOKEN.replace("-", ""));
            if (run.exitCode() != 0 && run.out().isEmpty()) {
                assertThat(run.err().lines()).isNotEmpty().allMatch(said -> said.startsWith("vfio4j: "));
            }
        });
        assertThat(process.openFiles()).isEmpty();
        assertNothingElseIsWritten();
    }

    /** A transcript that was begun can be read, up to where the command ended. */
    private void assertNothingElseIsWritten() throws IOException {
        assertThat(directory).isDirectoryNotContaining("glob:**nowhere");
        assertThat(directory.resolve("out/directory")).isEmptyDirectory();
        Path transcript = directory.resolve("out/file");
        if (Files.exists(transcript)) {
            assertThat(Transcript.read(transcript).size()).isPositive();
            Files.delete(transcript);
        }
        assertThat(directory.resolve("out")).isDirectoryContaining("glob:**directory");
    }
}
