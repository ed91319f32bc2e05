package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Progress of what takes long, by a clock of the test. */
class ProgressTest {

    private final AtomicLong clock = new AtomicLong(Long.MAX_VALUE - 1); // nanoTime may overflow
    private final StringWriter written = new StringWriter();

    private Progress progress(boolean terminal) {
        return new Progress(terminal ? new PrintWriter(written) : null, clock::get, "files", 9);
    }

    private void pass(Duration time) {
        clock.addAndGet(time.toNanos());
    }

    @Test
    void saysNothingOfWhatIsQuick() {
        try (Progress progress = progress(true)) {
            pass(Duration.ofMillis(1999));
            progress.advance();
        }
        assertThat(written.toString()).isEmpty();
    }

    @Test
    void saysHowFarItIsAfterTwoSecondsAndTakesThatAway() {
        try (Progress progress = progress(true)) {
            pass(Duration.ofSeconds(2));
            progress.advance();
            progress.advance();
            pass(Duration.ofMillis(200));
            progress.advance();
            assertThat(written.toString()).isEqualTo("\r\u001b[Kvfio4j: 1 of 9 files\r\u001b[Kvfio4j: 3 of 9 files");
        }
        assertThat(written.toString()).endsWith("3 of 9 files\r\u001b[K");
    }

    @Test
    void saysNothingWhereNobodyLooks() {
        try (Progress progress = progress(false)) {
            pass(Duration.ofMinutes(1));
            progress.advance();
        }
        assertThat(written.toString()).isEmpty();
    }
}
