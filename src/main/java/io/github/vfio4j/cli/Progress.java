package io.github.vfio4j.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Says on standard error how far a command has come: on a terminal, once it has taken two seconds, and not more often than
 * somebody can read. On one line, which is gone when the command is done.
 */
final class Progress implements AutoCloseable {

    private static final long PATIENCE = Duration.ofSeconds(2).toNanos();
    private static final long PAUSE = Duration.ofMillis(200).toNanos();
    private static final String ERASE_LINE = "\r\u001b[K";

    /** Where standard error goes; the kernel tells. */
    private static final Path STANDARD_ERROR = Path.of("/proc/self/fd/2");

    private final @Nullable PrintWriter err;
    private final LongSupplier nanoTime;
    private final String what;
    private final int total;
    private long next;
    private int done;
    private boolean shown;

    /**
     * Of a command.
     *
     * @param err
     *            a terminal, or null to say nothing
     * @param nanoTime
     *            a clock
     * @param what
     *            what is counted, in the plural
     * @param total
     *            how many there are
     */
    Progress(@Nullable PrintWriter err, LongSupplier nanoTime, String what, int total) {
        this.err = err;
        this.nanoTime = nanoTime;
        this.what = what;
        this.total = total;
        this.next = nanoTime.getAsLong() + PATIENCE;
    }

    /** That of a command whose errors go to {@code err}. */
    static Progress of(PrintWriter err, String what, int total) {
        return new Progress(isTerminal() ? err : null, System::nanoTime, what, total);
    }

    /** Where that can't be told, it is none. */
    private static boolean isTerminal() {
        try {
            String file = Files.readSymbolicLink(STANDARD_ERROR).toString();
            return file.startsWith("/dev/pts/") || file.startsWith("/dev/tty") || file.equals("/dev/console");
        } catch (IOException e) {
            return false;
        }
    }

    /** One more is done. */
    void advance() {
        done++;
        long now = nanoTime.getAsLong();
        if (err != null && now - next >= 0) {
            err.print(ERASE_LINE + "vfio4j: " + done + " of " + total + " " + what);
            err.flush();
            shown = true;
            next = now + PAUSE;
        }
    }

    /** Takes the line away. */
    @Override
    public void close() {
        if (err != null && shown) {
            err.print(ERASE_LINE);
            err.flush();
        }
    }
}
