package io.github.vfio4j.trace;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;

/** System calls and their answers, on the machine they were made on. Immutable and safe for use by many threads. */
public final class Transcript {

    private final Environment environment;
    private final List<Call> calls;

    Transcript(Environment environment, List<Call> calls) {
        this.environment = environment;
        this.calls = List.copyOf(calls);
    }

    /**
     * Reads a transcript file.
     *
     * @param file
     *            JSON lines, compressed by gzip if its name ends in {@code .gz}
     * @return the transcript
     * @throws TranscriptException
     *             if a line cannot be understood
     * @throws IOException
     *             if the file cannot be read
     */
    public static Transcript read(Path file) throws IOException {
        try (InputStream bytes = new BufferedInputStream(Files.newInputStream(file));
                InputStream in = String.valueOf(file.getFileName()).endsWith(".gz")
                        ? new GZIPInputStream(bytes)
                        : bytes) {
            return read(in);
        }
    }

    /**
     * Reads a transcript.
     *
     * @param in
     *            JSON lines in UTF-8; read to its end and not closed
     * @return the transcript
     * @throws TranscriptException
     *             if a line cannot be understood
     * @throws IOException
     *             if it cannot be read
     */
    public static Transcript read(InputStream in) throws IOException {
        return new TranscriptReader().read(in.readAllBytes());
    }

    /**
     * The machine the calls were made on.
     *
     * @return the first line
     */
    public Environment environment() {
        return environment;
    }

    /**
     * How many calls there are.
     *
     * @return 0 or more
     */
    public int size() {
        return calls.size();
    }

    /**
     * The calls in words, as {@link Divergence} tells them, each with its answer: for people to read. No VF token gets into
     * them.
     *
     * @return one line a call
     */
    public List<String> describe() {
        return TranscriptWords.of(calls);
    }

    List<Call> calls() {
        return calls;
    }
}
