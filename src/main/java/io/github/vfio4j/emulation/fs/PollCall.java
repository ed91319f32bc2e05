package io.github.vfio4j.emulation.fs;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Poll;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** A call of poll(2). It waits in real time, whatever the clock of the devices; an interrupt of the thread is a signal. */
public final class PollCall {

    /** Told without being asked for. */
    private static final int ALWAYS = Poll.POLLERR | Poll.POLLNVAL;

    private final int[] fds;
    private final short[] events;
    private final @Nullable OpenFile[] files;
    private boolean woken;

    /** Of these descriptors, which are in use from here to the end of the call. */
    public PollCall(FdTable descriptors, int[] fds, short[] events) {
        this.fds = fds;
        this.events = events;
        files = new @Nullable OpenFile[fds.length];
        for (int i = 0; i < fds.length; i++) {
            files[i] = descriptors.acquire(fds[i]);
        }
    }

    private synchronized void wake() {
        woken = true;
        notifyAll();
    }

    /** For how many something can be done, or −errno. */
    public int run(int timeoutMillis) {
        Runnable waiter = this::wake;
        try {
            for (OpenFile file : files) {
                if (file != null) {
                    file.addWaiter(waiter);
                }
            }
            return await(timeoutMillis);
        } finally {
            for (OpenFile file : files) {
                if (file != null) {
                    file.removeWaiter(waiter);
                    file.release();
                }
            }
        }
    }

    private int await(int timeoutMillis) {
        long start = System.nanoTime();
        long limit = TimeUnit.MILLISECONDS.toNanos(timeoutMillis);
        while (true) {
            synchronized (this) {
                woken = false;
            }
            short[] ready = ready();
            int count = 0;
            for (short occurred : ready) {
                count += occurred == 0 ? 0 : 1;
            }
            long left = timeoutMillis < 0 ? Long.MAX_VALUE : limit - (System.nanoTime() - start);
            if (count > 0 || left <= 0) {
                System.arraycopy(ready, 0, events, 0, ready.length);
                return count;
            }
            if (!sleep(left)) {
                return -Errno.EINTR.code();
            }
        }
    }

    private short[] ready() {
        short[] ready = new short[files.length];
        for (int i = 0; i < files.length; i++) {
            OpenFile file = files[i];
            if (file != null) {
                ready[i] = (short) (file.ready() & (events[i] | ALWAYS));
            } else {
                // A negative number is one to be passed over.
                ready[i] = fds[i] < 0 ? 0 : Poll.POLLNVAL;
            }
        }
        return ready;
    }

    private synchronized boolean sleep(long nanos) {
        try {
            if (!woken) {
                TimeUnit.NANOSECONDS.timedWait(this, nanos);
            }
            return true;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return false;
        }
    }
}
