package io.github.vfio4j;

import io.github.vfio4j.backend.Poll;
import io.github.vfio4j.feature.OwnedDescriptor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * A counter that the kernel raises to signal something (eventfd(2)), such as the waking of a device. Made by
 * {@link Vfio#openEventFd}; belongs to that kernel. Safe for use by many threads: each signal reaches one of them.
 */
public final class EventFd implements AutoCloseable {

    /** How long it may take until a thread that waits in the kernel sees that it has been interrupted. */
    private static final long SLICE_MILLIS = 100;

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
            if (!descriptor.isOpen()) {
                // What was taken may be what closing wakes waiting threads by, and no signal.
                throw new IllegalStateException(descriptor.name() + " is closed; open it again to use it");
            }
            return counter.get(ValueLayout.JAVA_LONG, 0);
        }
    }

    /**
     * Waits for a signal (poll(2)).
     *
     * @param timeout
     *            how long at most
     * @return how many signals there were, unsigned; 0 if there was none in time
     * @throws VfioException
     *             if poll(2) or read(2) reports an error
     * @throws InterruptedException
     *             if the thread is interrupted, which takes up to 100 ms to be seen
     * @throws IllegalStateException
     *             if it is closed, also while this waits
     */
    public long await(Duration timeout) throws VfioException, InterruptedException {
        long start = System.nanoTime();
        long limit = TimeUnit.NANOSECONDS.convert(timeout);
        long signals = read();
        while (signals == 0 && System.nanoTime() - start < limit) {
            awaitAny(List.of(this), Duration.ofNanos(limit - (System.nanoTime() - start)));
            signals = read();
        }
        return signals;
    }

    /**
     * Waits until one of several has a signal (poll(2)). Takes none.
     *
     * @param eventFds
     *            all of the same kernel
     * @param timeout
     *            how long at most
     * @return those that have one, as long as nobody else takes it; none if there was none in time
     * @throws VfioException
     *             if poll(2) reports an error
     * @throws InterruptedException
     *             if the thread is interrupted, which takes up to 100 ms to be seen
     * @throws IllegalStateException
     *             if one of them is closed; when that happens while this waits, the wait ends
     */
    public static List<EventFd> awaitAny(List<EventFd> eventFds, Duration timeout)
            throws VfioException, InterruptedException {
        long start = System.nanoTime();
        long limit = TimeUnit.NANOSECONDS.convert(timeout);
        List<EventFd> entered = new ArrayList<>();
        try {
            for (EventFd eventFd : eventFds) {
                eventFd.descriptor.enter();
                entered.add(eventFd);
            }
            List<EventFd> signalled;
            long left;
            do {
                left = limit - (System.nanoTime() - start);
                signalled = poll(entered, Math.clamp(Math.ceilDiv(left, 1_000_000L), 0, SLICE_MILLIS));
            } while (signalled.isEmpty() && left > 0 && eventFds.stream().allMatch(fd -> fd.descriptor.isOpen()));
            return signalled;
        } finally {
            entered.forEach(eventFd -> eventFd.descriptor.leave());
        }
    }

    private static List<EventFd> poll(List<EventFd> eventFds, long millis) throws VfioException, InterruptedException {
        if (Thread.interrupted()) {
            throw new InterruptedException();
        }
        if (eventFds.isEmpty()) {
            Thread.sleep(millis);
            return List.of();
        }
        int[] fds = eventFds.stream().mapToInt(eventFd -> eventFd.descriptor.number()).toArray();
        short[] events = new short[fds.length];
        Arrays.fill(events, Poll.POLLIN);
        int result = eventFds.getFirst().descriptor.backend().poll(fds, events, (int) millis);
        if (result == -Errno.EINTR.code()) {
            return List.of();
        }
        Verdict.check("poll " + eventFds.getFirst(), result);
        return IntStream.range(0, fds.length).filter(i -> events[i] != 0).mapToObj(eventFds::get).toList();
    }

    /**
     * Signals it, as the kernel does (write(2)).
     *
     * @throws VfioException
     *             {@code EAGAIN} if there are 2⁶⁴ − 2 signals that nobody has taken
     * @throws IllegalStateException
     *             if it is closed
     */
    public void signal() throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            String operation = "write " + descriptor.name();
            int written = Verdict.check(operation,
                    (int) descriptor.write(arena.allocateFrom(ValueLayout.JAVA_LONG, 1)));
            if (written != Long.BYTES) {
                throw new VfioException(operation, null, "The kernel has taken " + written + " of 8 bytes");
            }
        }
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
     * Closes it, once, and ends the waiting for it. Whoever signals it keeps a hold of its own on it.
     *
     * @throws VfioException
     *             if close(2) reports an error; it is closed all the same
     */
    @Override
    public void close() throws VfioException {
        descriptor.close(this::wakeWaiters);
    }

    /** A signal that nobody can take any more: closing has begun. */
    private void wakeWaiters() {
        try (Arena arena = Arena.ofConfined()) {
            descriptor.backend().write(descriptor.number(), arena.allocateFrom(ValueLayout.JAVA_LONG, 1));
        }
    }

    /** Its name, for messages. */
    @Override
    public String toString() {
        return descriptor.name();
    }
}
