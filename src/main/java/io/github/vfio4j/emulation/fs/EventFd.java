package io.github.vfio4j.emulation.fs;

import static io.github.vfio4j.backend.Fcntl.EFD_CLOEXEC;
import static io.github.vfio4j.backend.Fcntl.EFD_NONBLOCK;
import static io.github.vfio4j.backend.Fcntl.EFD_SEMAPHORE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Poll;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BooleanSupplier;
import java.util.function.ToIntFunction;

/** An eventfd(2): a 64-bit counter that a device signals and a program reads. */
public final class EventFd extends OpenFile {

    /** Out of reach for a write, which waits before it gets here; a signal that gets here shows the overflow. */
    private static final long OVERFLOW = 0xffff_ffff_ffff_ffffL;

    private static final ValueLayout.OfLong COUNT = ValueLayout.JAVA_LONG_UNALIGNED;

    private final boolean semaphore;
    private final boolean nonBlocking;
    private final boolean exactWrites;
    private long counter;
    private int drains;
    private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
    private final List<Runnable> waiters = new CopyOnWriteArrayList<>();
    private volatile boolean closed;

    private EventFd(int initialValue, int flags, boolean exactWrites) {
        super(true, true);
        this.exactWrites = exactWrites;
        counter = Integer.toUnsignedLong(initialValue);
        semaphore = (flags & EFD_SEMAPHORE) != 0;
        nonBlocking = (flags & EFD_NONBLOCK) != 0;
    }

    @Override
    public String toString() {
        return "eventfd";
    }

    /** The system call: unknown flags are {@code EINVAL}. */
    public static int create(FdTable descriptors, int initialValue, int flags, boolean exactWrites) {
        if ((flags & ~(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)) != 0) {
            return -Errno.EINVAL.code();
        }
        return descriptors.open(new EventFd(initialValue, flags, exactWrites));
    }

    /**
     * Finds the eventfd behind a number for a part of the kernel that keeps it: no descriptor is {@code EBADF}, one of
     * another kind {@code EINVAL}. Keeping it does not keep it open: its counter outlives its descriptor.
     *
     * @param taker
     *            answers 0 or −errno
     */
    public static int find(FdTable descriptors, int fd, ToIntFunction<EventFd> taker) {
        OpenFile file = descriptors.acquire(fd);
        if (file == null) {
            return -Errno.EBADF.code();
        }
        try {
            return file instanceof EventFd eventfd ? taker.applyAsInt(eventfd) : -Errno.EINVAL.code();
        } finally {
            file.release();
        }
    }

    /** Whether a read takes one out, and not all. */
    public boolean isSemaphore() {
        return semaphore;
    }

    /** Whether no descriptor leads here any more. */
    public boolean isClosed() {
        return closed;
    }

    @Override
    protected void onLastRelease() {
        closed = true;
    }

    /** Adds one, as a device does. */
    public void signal() {
        synchronized (this) {
            if (counter == OVERFLOW) {
                return;
            }
            counter++;
            onAdded();
        }
        notifyListeners();
    }

    /**
     * From now on a part of the kernel is told when something is put in.
     *
     * @param listener
     *            is told, without any lock of this file's
     * @param drain
     *            whether what is put in is taken out, before any reader sees it
     */
    public synchronized void addListener(Runnable listener, boolean drain) {
        listeners.add(listener);
        if (drain) {
            drains++;
        }
    }

    /** The opposite of {@link #addListener}. */
    public synchronized void removeListener(Runnable listener, boolean drain) {
        listeners.remove(listener);
        if (drain) {
            drains--;
        }
    }

    /** Takes out what a read would. */
    public synchronized void drain() {
        take();
    }

    private void notifyListeners() {
        listeners.forEach(Runnable::run);
    }

    private synchronized void onAdded() {
        for (int i = 0; i < drains; i++) {
            take();
        }
        notifyAll();
        waiters.forEach(Runnable::run);
    }

    @Override
    public synchronized short ready() {
        int readable = counter == 0 ? 0 : Poll.POLLIN;
        int writable = Long.compareUnsigned(counter, OVERFLOW - 1) < 0 ? Poll.POLLOUT : 0;
        return (short) (readable | writable | (counter == OVERFLOW ? Poll.POLLERR : 0));
    }

    @Override
    public void addWaiter(Runnable waiter) {
        waiters.add(waiter);
    }

    @Override
    public void removeWaiter(Runnable waiter) {
        waiters.remove(waiter);
    }

    private synchronized long take() {
        long taken = semaphore && counter != 0 ? 1 : counter;
        counter -= taken;
        notifyAll();
        waiters.forEach(Runnable::run);
        return taken;
    }

    @Override
    protected boolean isPositional() {
        return false;
    }

    @Override
    protected synchronized long doRead(MemorySegment buffer) {
        if (buffer.byteSize() < Long.BYTES) {
            return -Errno.EINVAL.code();
        }
        int error = await(() -> counter != 0);
        if (error != 0) {
            return error;
        }
        buffer.set(COUNT, 0, take());
        return Long.BYTES;
    }

    @Override
    protected long doWrite(MemorySegment buffer) {
        long result = add(buffer);
        if (result > 0) {
            notifyListeners();
        }
        return result;
    }

    private synchronized long add(MemorySegment buffer) {
        if (exactWrites ? buffer.byteSize() != Long.BYTES : buffer.byteSize() < Long.BYTES) {
            return -Errno.EINVAL.code();
        }
        long added = buffer.get(COUNT, 0);
        if (added == OVERFLOW) {
            return -Errno.EINVAL.code();
        }
        int error = await(() -> Long.compareUnsigned(OVERFLOW - counter, added) > 0);
        if (error != 0) {
            return error;
        }
        counter += added;
        onAdded();
        return Long.BYTES;
    }

    /** Waits for the counter to be right; an interrupt of the thread ends the call as a signal would. */
    private synchronized int await(BooleanSupplier ready) {
        while (!ready.getAsBoolean()) {
            if (nonBlocking) {
                return -Errno.EAGAIN.code();
            }
            try {
                wait();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
                return -Errno.EINTR.code();
            }
        }
        return 0;
    }
}
