package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The emulated kernels answer as real ones did: transcripts of the kernel lane's programs, taken by
 * {@code scripts/kernel-lane --record src/test/resources/transcripts/kernels}.
 */
class RecordedKernelsTest {

    private static final Path TRANSCRIPTS = Path.of("src/test/resources/transcripts/kernels");

    static List<String> transcripts() throws IOException {
        try (Stream<Path> files = Files.list(TRANSCRIPTS)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }

    @Test
    void everyKernelOfTheLaneWasRecorded() throws IOException {
        assertThat(transcripts()).containsExactlyInAnyOrderElementsOf(
                Stream.of("6.1", "6.12", "7.2", "full-7.2").flatMap(kernel -> Stream.of("demo", "programs")
                        .map(what -> "linux-" + kernel + "-" + what + ".jsonl.gz")).toList());
    }

    @ParameterizedTest
    @MethodSource("transcripts")
    void everyCallIsAnsweredAsByTheRealKernel(String file) throws IOException {
        Transcript transcript = Transcript.read(TRANSCRIPTS.resolve(file));
        Replay replay = Replayer.replayEmulated(transcript);
        assertThat(replay.divergences()).isEmpty();
        assertThat(replay.calls()).isEqualTo(transcript.size()).isGreaterThan(file.contains("demo") ? 50 : 20_000);
    }

    @Test
    void anotherKernelIsFoundOut() throws IOException {
        Transcript transcript = Transcript.read(TRANSCRIPTS.resolve("linux-7.2-demo.jsonl.gz"));
        try (EmulatedProcess older = transcript.environment().boot(KernelProfile.LINUX_6_12).newProcess()) {
            // The demo probes all features; 6.12 does not know of DMA_BUF and MIG_PRECOPY_INFOv2.
            assertThat(Replayer.on(older).replay(transcript).divergences()).isNotEmpty().allSatisfy(
                    divergence -> assertThat(divergence.call()).containsAnyOf("DMA_BUF", "MIG_PRECOPY_INFOv2"));
        }
    }
}
