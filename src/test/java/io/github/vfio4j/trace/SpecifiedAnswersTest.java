package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The emulated kernels answer as the transcripts say that were written by hand from the semantics, §F.5, row by row. */
class SpecifiedAnswersTest {

    private static final Path TRANSCRIPTS = Path.of("src/test/resources/transcripts/f5");

    static List<String> transcripts() throws IOException {
        try (Stream<Path> files = Files.list(TRANSCRIPTS)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @ParameterizedTest
    @MethodSource("transcripts")
    void everyCallIsAnsweredAsWritten(String file) throws IOException {
        Transcript transcript = Transcript.read(TRANSCRIPTS.resolve(file));
        assertThat(transcript.environment().kernel().version())
                .isEqualTo(file.replaceFirst("^[^.]*\\.(\\d+\\.\\d+)\\..*", "$1"));
        Replay replay = Replayer.replayEmulated(transcript);
        assertThat(replay.divergences()).isEmpty();
        assertThat(replay.calls()).isEqualTo(transcript.size()).isPositive();
    }

    /** The rows, by where the table has an answer. */
    @ParameterizedTest
    @CsvSource({"6.1, 12", "6.12, 17", "7.2, 20"})
    void everyRowOfTheTableIsThere(String kernel, int rows) throws IOException {
        assertThat(transcripts().stream().filter(file -> file.matches("[^.]*\\." + kernel + "\\..*"))
                .map(file -> file.substring(0, 2)).distinct()).hasSize(rows);
    }

    @Test
    void aKernelThatAnswersOtherwiseIsFoundOut() throws IOException {
        Transcript transcript = Transcript.read(TRANSCRIPTS.resolve("12-regular-file-as-container.6.1.jsonl"));
        Replay replay = Replayer.on(transcript.environment().boot(KernelProfile.LINUX_6_12).newProcess())
                .replay(transcript);
        assertThat(replay.divergences())
                .containsExactly(new Divergence(4, "VFIO_GROUP_SET_CONTAINER, with file, on group",
                        "EINVAL (invalid argument)", "EBADFD (file descriptor in bad state)"));
        assertThat(replay).hasToString("3 calls, 1 divergences");
    }
}
