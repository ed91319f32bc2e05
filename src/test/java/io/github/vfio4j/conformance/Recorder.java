package io.github.vfio4j.conformance;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.RecordingBackend;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Keeps in memory which calls a try makes, so that there is a transcript when it fails. A suite puts it in front of the kernel
 * when it opens a device, {@link TranscriptOnFailure} begins a new one with each try.
 *
 * <pre>{@code
 * Vfio vfio = Vfio.using(Recorder.current().wrap(process, environment));
 * }</pre>
 *
 * <p>
 * One thread's: that which makes the try.
 */
public final class Recorder {

    /** The try is made by one thread, and a shrinking one perhaps by another. */
    private static final ThreadLocal<Recorder> CURRENT = new ThreadLocal<>();

    /** A kernel, and what has gone to it. */
    private record Recording(IoctlBackend kernel, RecordingBackend backend, StringWriter transcript) {
    }

    private final boolean records;
    private final List<Recording> recordings = new ArrayList<>();

    private Recorder(boolean records) {
        this.records = records;
    }

    /**
     * The recorder of the try under way.
     *
     * @return one that records nothing outside a try
     */
    public static Recorder current() {
        Recorder recorder = CURRENT.get();
        return recorder == null ? new Recorder(false) : recorder;
    }

    static Recorder begin() {
        Recorder recorder = new Recorder(true);
        CURRENT.set(recorder);
        return recorder;
    }

    static void end() {
        CURRENT.remove();
    }

    /**
     * Puts a recording in front of a kernel.
     *
     * @param kernel
     *            where the calls go
     * @param environment
     *            the machine it runs on, as it is now
     * @return a backend that hands all calls on; the same one for the same kernel
     */
    public IoctlBackend wrap(IoctlBackend kernel, Environment environment) {
        if (!records) {
            return kernel;
        }
        Optional<Recording> before = recordings.stream().filter(recording -> isSame(recording.kernel(), kernel))
                .findFirst();
        if (before.isPresent()) {
            return before.get().backend();
        }
        StringWriter transcript = new StringWriter();
        RecordingBackend backend = new RecordingBackend(kernel, environment, transcript);
        recordings.add(new Recording(kernel, backend, transcript));
        return backend;
    }

    @SuppressWarnings("ReferenceEquality") // two processes are never alike
    private static boolean isSame(IoctlBackend one, IoctlBackend other) {
        return one == other;
    }

    /** What has gone to the kernel that was last wrapped; null if there was none. */
    @Nullable
    String transcript() {
        return recordings.isEmpty() ? null : recordings.getLast().transcript().toString();
    }
}
