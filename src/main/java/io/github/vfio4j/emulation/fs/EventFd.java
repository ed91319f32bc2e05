package io.github.vfio4j.emulation.fs;

import static io.github.vfio4j.backend.Fcntl.EFD_CLOEXEC;
import static io.github.vfio4j.backend.Fcntl.EFD_NONBLOCK;
import static io.github.vfio4j.backend.Fcntl.EFD_SEMAPHORE;

import io.github.vfio4j.Errno;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
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

    private EventFd(int initialValue, int flags, boolean exactWrites) {
        super(true, true);
        this.exactWrites = exactWrites;
        counter = Integer.toUnsignedLong(initialValue);
        semaphore = (flags & EFD_SEMAPHORE) != 0;
        nonBlocking = (flags & EFD_NONBLOCK) != 0;
    }

    /** The system call: unknown flags are {@code EINVAL}. */
    public static int create(FdTable descriptors, int initialValue, int flags, boolean exactWrites) {
        if ((flags & ~(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)) != 0) {
            return -Errno.EINVAL.code();
        }
        return descriptors.open(new EventFd(initialValue, flags, exactWrites));
    }

    /**
     * Finds the eventfd behind a number for somebody who keeps it: no descriptor is {@code EBADF}, one of another kind
     * {@code EINVAL}.
     *
     * @param taker
     *            whose the use of the eventfd becomes; answers 0 or −errno
     */
    public static int acquire(FdTable descriptors, int fd, ToIntFunction<EventFd> taker) {
        OpenFile file = descriptors.acquire(fd);
        if (file == null) {
            return -Errno.EBADF.code();
        }
        if (!(file instanceof EventFd eventfd)) {
            file.release();
            return -Errno.EINVAL.code();
        }
        return taker.applyAsInt(eventfd);
    }

    /** Adds one, as a device does. */
    public synchronized void signal() {
        if (counter != OVERFLOW) {
            counter++;
            notifyAll();
        }
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
        long taken = semaphore ? 1 : counter;
        counter -= taken;
        notifyAll();
        buffer.set(COUNT, 0, taken);
        return Long.BYTES;
    }

    @Override
    protected synchronized long doWrite(MemorySegment buffer) {
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
        notifyAll();
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
