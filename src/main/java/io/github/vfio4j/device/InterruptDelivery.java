package io.github.vfio4j.device;

import io.github.vfio4j.EventFd;
import io.github.vfio4j.VfioException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.function.IntConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One thread that waits for eventfds and hands on what they signal. */
final class InterruptDelivery {

    private static final Logger LOG = LoggerFactory.getLogger(InterruptDelivery.class);
    private static final Duration FOREVER = Duration.ofSeconds(Long.MAX_VALUE);

    /** Who is to be told. */
    private record Target(int vector, Executor executor, IntConsumer handler) {
    }

    private final String name;
    private final EventFd control;
    private final Map<EventFd, Target> targets = new LinkedHashMap<>();
    private boolean stopped;
    /** Why the thread has ended before it was stopped. */
    private @Nullable VfioException failure;

    /**
     * Starts it.
     *
     * @param control
     *            wakes the thread when there is something else to be waited for; closed by whoever stops this
     */
    InterruptDelivery(String name, EventFd control) {
        this.name = name;
        this.control = control;
        // A platform thread: one that waits in the kernel would hold a carrier of the virtual ones.
        Thread.ofPlatform().name("vfio interrupts: " + name).daemon().start(this::run);
    }

    EventFd control() {
        return control;
    }

    synchronized void add(int vector, EventFd eventFd, Executor executor, IntConsumer handler) throws VfioException {
        if (failure != null) {
            VfioException ended = new VfioException("deliver interrupts of " + name, failure.errno().orElse(null),
                    "Waiting for them has failed before; disable() and enable() begin anew");
            ended.initCause(failure);
            throw ended;
        }
        if (targets.putIfAbsent(eventFd, new Target(vector, executor, handler)) != null) {
            throw new IllegalStateException("Vector " + vector + " has a handler; disable() removes it");
        }
        try {
            control.signal();
        } catch (VfioException e) {
            targets.remove(eventFd);
            throw e;
        }
    }

    private synchronized void end(@Nullable VfioException why) {
        failure = why;
        stop();
    }

    /** Nobody is told from here on. What is waited for can be closed after that, which ends the thread. */
    synchronized void stop() {
        stopped = true;
        targets.clear();
    }

    private synchronized List<EventFd> awaited() {
        List<EventFd> awaited = new ArrayList<>(targets.keySet());
        awaited.add(control);
        return awaited;
    }

    private synchronized boolean isStopped() {
        return stopped;
    }

    private void run() {
        while (!isStopped()) {
            try {
                for (EventFd signalled : EventFd.awaitAny(awaited(), FOREVER)) {
                    deliver(signalled);
                }
            } catch (IllegalStateException | VfioException | InterruptedException e) {
                // Closing what is waited for is how it is stopped.
                if (!isStopped()) {
                    LOG.warn("Interrupts of {} are no longer delivered: {}", name, e.getMessage(), e);
                    end(e instanceof VfioException refusal ? refusal : null);
                }
            }
        }
    }

    private void deliver(EventFd signalled) throws VfioException {
        if (signalled.read() == 0) {
            return; // Somebody waits for it, too, and was faster.
        }
        Target target;
        synchronized (this) {
            target = targets.get(signalled);
        }
        if (target != null) {
            deliver(target);
        }
    }

    private static void deliver(Target target) {
        try {
            target.executor().execute(() -> call(target));
        } catch (RuntimeException e) {
            LOG.warn("The executor of interrupt vector {} takes no task; the interrupt is lost", target.vector(), e);
        }
    }

    /** Whatever a handler throws is no reason not to call it, and others, next time. */
    private static void call(Target target) {
        try {
            target.handler().accept(target.vector());
        } catch (RuntimeException | AssertionError e) {
            LOG.warn("The handler of interrupt vector {} has thrown; it is called again next time", target.vector(), e);
        }
    }
}
