package io.github.vfio4j;

import io.github.vfio4j.feature.OwnedDescriptor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * A counter that the kernel raises to signal something (eventfd(2)), such as the waking of a device. Made by
 * {@link Vfio#openEventFd}; belongs to that kernel. Safe for use by many threads: each signal reaches one of them.
 */
public final class EventFd implements AutoCloseable {

    /** Often enough for events like these; the system calls of this library have none that waits for several things. */
    private static final Duration INTERVAL = Duration.ofMillis(1);

    private final Descriptor descriptor;

    EventFd(Descriptor descriptor) {
        this.descriptor = descriptor;
    }

    /**
     * Takes the signals that have come since the last time. Does not wait.
     *
     * @return how many, unsigned; 0 if there was none
     * @throws VfioException
     *             if read(2) reports an error
     * @throws IllegalStateException
     *             if it is closed
     */
    public long read() throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment counter = arena.allocate(ValueLayout.JAVA_LONG);
            long result = descriptor.read(counter);
            if (result == -Errno.EAGAIN.code()) {
                return 0;
            }
            Verdict.check("read " + descriptor.name(), (int) result, Map.of());
            return counter.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /**
     * Waits for a signal, by looking once a millisecond.
     *
     * @param timeout
     *            how long at most
     * @return how many signals there were, unsigned; 0 if there was none in time
     * @throws VfioException
     *             if read(2) reports an error
     * @throws InterruptedException
     *             if the thread is interrupted
     * @throws IllegalStateException
     *             if it is closed, also while this waits
     */
    public long await(Duration timeout) throws VfioException, InterruptedException {
        long start = System.nanoTime();
        long limit = TimeUnit.NANOSECONDS.convert(timeout);
        long signals = read();
        while (signals == 0 && System.nanoTime() - start < limit) {
            Thread.sleep(INTERVAL);
            signals = read();
        }
        return signals;
    }

    /**
     * Lends the number to a call that names it, as {@link OwnedDescriptor#lend}.
     *
     * @param use
     *            what is to be done with it
     * @param <T>
     *            what comes of it
     * @return what came of it
     * @throws VfioException
     *             what that threw
     */
    public <T> T lend(OwnedDescriptor.Use<T> use) throws VfioException {
        return descriptor.lend(use);
    }

    /**
     * Closes it, once. Whoever signals it keeps a hold of its own on it.
     *
     * @throws VfioException
     *             if close(2) reports an error; it is closed all the same
     */
    @Override
    public void close() throws VfioException {
        descriptor.close();
    }

    /** Its name, for messages. */
    @Override
    public String toString() {
        return descriptor.name();
    }
}
