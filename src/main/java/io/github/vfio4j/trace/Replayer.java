package io.github.vfio4j.trace;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedProcess;
import java.time.Duration;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;

/**
 * Makes the calls of a transcript again and compares the answers: the result and every byte written, descriptors by what
 * they are and not by their numbers. Safe for use by many threads if its backend is; a replay itself is made by one.
 *
 * <p>
 * On a real kernel a transcript does whatever is in it, with the rights of this process: read one that comes from somebody
 * else before replaying it there.
 */
public final class Replayer {

    private final IoctlBackend backend;
    private final boolean emulated;
    private final Consumer<Duration> pause;

    private Replayer(IoctlBackend backend, boolean emulated, Consumer<Duration> pause) {
        this.backend = backend;
        this.emulated = emulated;
        this.pause = pause;
    }

    /**
     * Replays on an emulated kernel. Where a transcript waits, the kernel's clock is moved.
     *
     * @param process
     *            a process on a kernel whose clock is moved by hand, for example one {@link Environment#boot} returns
     * @return a replayer
     */
    public static Replayer on(EmulatedProcess process) {
        return new Replayer(process, true, process.kernel()::advance);
    }

    /**
     * Replays on a real kernel. Where a transcript waits, so does the replay.
     *
     * @param backend
     *            the native one, or one in front of it
     * @return a replayer
     */
    public static Replayer on(IoctlBackend backend) {
        return backend instanceof EmulatedProcess process ? on(process) : new Replayer(backend, false, Replayer::sleep);
    }

    /**
     * Replays a transcript on an emulated machine like the one it was made on.
     *
     * @param transcript
     *            the transcript
     * @return what came of it
     */
    public static Replay replayEmulated(Transcript transcript) {
        try (EmulatedProcess process = transcript.environment().boot().newProcess()) {
            return on(process).replay(transcript);
        }
    }

    /** Also when interrupted: a shorter pause would be another transcript. */
    private static void sleep(Duration time) {
        long end = System.nanoTime() + time.toNanos();
        for (long left = time.toNanos(); left > 0; left = end - System.nanoTime()) {
            LockSupport.parkNanos(left);
        }
    }

    /**
     * Makes all calls of a transcript, also after one that is answered otherwise. Descriptors that are open at the end are
     * closed.
     *
     * @param transcript
     *            the transcript
     * @return what came of it
     */
    public Replay replay(Transcript transcript) {
        try (ReplaySession session = new ReplaySession(backend, emulated, pause)) {
            transcript.calls().forEach(session::make);
            return new Replay(transcript.size(), session.divergences());
        }
    }
}
