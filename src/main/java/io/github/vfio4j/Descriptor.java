package io.github.vfio4j;

import static io.github.vfio4j.backend.Membarrier.MEMBARRIER_CMD_PRIVATE_EXPEDITED;
import static io.github.vfio4j.backend.Membarrier.MEMBARRIER_CMD_QUERY;
import static io.github.vfio4j.backend.Membarrier.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.Mman;
import io.github.vfio4j.feature.OwnedDescriptor;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * An owned file descriptor, guarded so that no call reaches the number after it was closed: the kernel gives it to the
 * next file that is opened, and the call would go there.
 *
 * <p>
 * Calls count themselves in and out; closing refuses new ones and waits for those under way. The thread that uses
 * the descriptor first, which mostly is the only one, has a count of its own, to which nobody else writes. A count of all
 * threads takes two atomic additions for each call, which is a tenth of what a short ioctl takes. A count of its own takes
 * one barrier, so that the owner's counting and its look at whether the descriptor is closed keep their order; and none
 * where the kernel has membarrier(2): then a closer, who is rare, makes the owner pass a barrier.
 */
final class Descriptor implements OwnedDescriptor {

    private static final int CLOSED = 1 << 31;
    private static final VarHandle STATE;
    private static final VarHandle OWN;
    private static final VarHandle OWNER;

    /**
     * How long a closer waits at most before it looks again. It is told when a call has ended, unless its closing began in
     * the very moment in which its owner ended the last one: to tell it then too would take that thread a second barrier.
     */
    private static final long PAUSE_MILLIS = 10;

    static {
        try {
            STATE = MethodHandles.lookup().findVarHandle(Descriptor.class, "state", int.class);
            OWN = MethodHandles.lookup().findVarHandle(Descriptor.class, "own", int.class);
            OWNER = MethodHandles.lookup().findVarHandle(Descriptor.class, "owner", Thread.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final IoctlBackend backend;
    private final int fd;
    private final String name;

    /** Whether a closer can make the owner pass a barrier, which then needs none in its calls. */
    private final boolean fencedByCloser;

    /** Who has the count of its own. Set once; read without order, for only the owner itself has to know that it is. */
    private @Nullable Thread owner;

    /** Calls of the owner under way. Written by that thread alone. */
    private int own;

    /** Calls of other threads under way in the lower bits, and whether closing has begun in the highest. */
    private volatile int state;

    /** Whether the number is free again. */
    private boolean gone;

    Descriptor(IoctlBackend backend, int fd, String name) {
        this.backend = backend;
        this.fd = fd;
        this.name = name;
        int commands = backend.membarrier(MEMBARRIER_CMD_QUERY);
        fencedByCloser = commands >= 0 && (commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0;
    }

    /** What the descriptor is for, as it stands in messages. */
    String name() {
        return name;
    }

    /** The number, for the arguments of calls on another descriptor; only while {@link #enter entered}. */
    int number() {
        return fd;
    }

    /** Another descriptor of the same kernel, which this one's calls have brought. */
    Descriptor sibling(int other, String otherName) {
        return new Descriptor(backend, other, otherName);
    }

    /** An ioctl on the descriptor: ≥ 0, or −errno. */
    @Override
    public int ioctl(long request, MemorySegment argument) {
        enter();
        try {
            return backend.ioctl(fd, request, argument);
        } finally {
            leave();
        }
    }

    /** The same, for an argument with pointers in it. */
    int ioctl(long request, MemorySegment argument, MemorySegment[] pointees) {
        enter();
        try {
            return backend.ioctl(fd, request, argument, pointees);
        } finally {
            leave();
        }
    }

    @Override
    public long read(MemorySegment target) {
        enter();
        try {
            return backend.read(fd, target);
        } finally {
            leave();
        }
    }

    @Override
    public long write(MemorySegment source) {
        enter();
        try {
            return backend.write(fd, source);
        } finally {
            leave();
        }
    }

    /** A read at a place of the file. */
    long pread(MemorySegment target, long offset) {
        enter();
        try {
            return backend.pread(fd, target, offset);
        } finally {
            leave();
        }
    }

    /** A write at a place of the file. */
    long pwrite(MemorySegment source, long offset) {
        enter();
        try {
            return backend.pwrite(fd, source, offset);
        } finally {
            leave();
        }
    }

    /** Maps a part of the file for as long as the arena lives, which may be longer than the descriptor does. */
    MemorySegment mmap(Arena arena, long length, int protection, long offset) {
        enter();
        try {
            return backend.mmap(arena, length, protection, Mman.MAP_SHARED, fd, offset);
        } finally {
            leave();
        }
    }

    /** The kernel the descriptor belongs to. */
    IoctlBackend backend() {
        return backend;
    }

    @Override
    public <T> T lend(Use<T> use) throws VfioException {
        enter();
        try {
            return use.with(fd);
        } finally {
            leave();
        }
    }

    @Override
    public boolean isOpen() {
        return state >= 0;
    }

    @SuppressWarnings("ReferenceEquality") // the thread itself
    private boolean isOwner() {
        return Thread.currentThread() == owner;
    }

    private boolean becomesOwner() {
        return owner == null && OWNER.compareAndSet(this, null, Thread.currentThread());
    }

    /** Counts a call in. */
    void enter() {
        if (isOwner() || becomesOwner()) {
            // Seen by a closer, or else its closing is seen here: neither may pass the other.
            if (fencedByCloser) {
                // Compilers leave it in front of the volatile read; the processor need not.
                OWN.setOpaque(this, own + 1);
            } else {
                OWN.setVolatile(this, own + 1);
            }
            if (state >= 0) {
                return;
            }
            leave();
        } else {
            int seen = state;
            while (seen >= 0) {
                if (STATE.compareAndSet(this, seen, seen + 1)) {
                    return;
                }
                seen = state;
            }
        }
        throw closed();
    }

    private IllegalStateException closed() {
        return new IllegalStateException(name + " is closed; open it again to use it");
    }

    /** For what a call has brought that means nothing once closing has begun. */
    void requireOpen() {
        if (!isOpen()) {
            throw closed();
        }
    }

    /** Counts a call out; by the thread that has counted it in. */
    void leave() {
        if (isOwner()) {
            OWN.setRelease(this, own - 1);
        } else {
            STATE.getAndAdd(this, -1);
        }
        if (state < 0) {
            tellCloser();
        }
    }

    private synchronized void tellCloser() {
        notifyAll();
    }

    /**
     * The other half of an owner's barrier. After it, either the count of the owner's last call is seen here, or that call
     * sees that the descriptor is closed.
     */
    private void fenceOwner() {
        // Who was first to use it and closes it is in no call; and if nobody was, nobody but this thread is any more.
        if (!fencedByCloser || isOwner() || becomesOwner()) {
            return;
        }
        // The kernel has both commands, so they fail only for lack of memory. To go on without the barrier is no choice.
        while (backend.membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) < 0
                || backend.membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) < 0) {
            LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(PAUSE_MILLIS));
        }
    }

    private boolean isIdle() {
        return (state & ~CLOSED) == 0 && (int) OWN.getVolatile(this) == 0;
    }

    /**
     * Closes the descriptor once, however often it is called, and returns when no call is under way any more and the
     * number is free, whoever of several closers does it: what comes after may rely on it.
     *
     * @throws VfioException
     *             if close(2) reports an error; the descriptor is gone all the same
     */
    @Override
    public void close() throws VfioException {
        close(() -> {
        });
    }

    /**
     * The same for a descriptor whose calls may take as long as they like.
     *
     * @param wake
     *            ends the calls under way; called when no further ones begin
     */
    void close(Runnable wake) throws VfioException {
        boolean first = ((int) STATE.getAndBitwiseOr(this, CLOSED) & CLOSED) == 0;
        if (!first) {
            await(() -> gone);
            return;
        }
        fenceOwner();
        if (!isIdle()) {
            wake.run();
        }
        await(this::isIdle);
        try {
            Verdict.check("close " + name, backend.close(fd));
        } finally {
            synchronized (this) {
                gone = true;
                notifyAll();
            }
        }
    }

    private synchronized void await(BooleanSupplier condition) {
        boolean interrupted = false;
        while (!condition.getAsBoolean()) {
            try {
                wait(PAUSE_MILLIS);
            } catch (InterruptedException e) {
                // Going on without the calls would free the number under them.
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
