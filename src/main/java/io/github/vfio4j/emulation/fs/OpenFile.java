package io.github.vfio4j.emulation.fs;

import static io.github.vfio4j.backend.Fcntl.O_ACCMODE;
import static io.github.vfio4j.backend.Fcntl.O_RDONLY;
import static io.github.vfio4j.backend.Fcntl.O_RDWR;
import static io.github.vfio4j.backend.Fcntl.O_WRONLY;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Poll;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * An open file: what a descriptor stands for. Has what {@code struct file} has of it: the access mode, a count of users,
 * and operations whose defaults answer as the kernel does for a file that lacks them.
 *
 * <p>
 * The count is one for the descriptor and one for every call in progress, so that closing a descriptor during a call
 * lets the call finish on the file it started on.
 */
public abstract class OpenFile {

    private static final VarHandle USERS;

    static {
        try {
            USERS = MethodHandles.lookup().findVarHandle(OpenFile.class, "users", int.class);
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private final boolean readable;
    private final boolean writable;
    private volatile int users = 1;

    /**
     * A file with one user, the one who opens it.
     *
     * @param readable
     *            opened for reading
     * @param writable
     *            opened for writing
     */
    protected OpenFile(boolean readable, boolean writable) {
        this.readable = readable;
        this.writable = writable;
    }

    /** Whether a file opened with these flags can be read. The fourth access mode is neither reading nor writing. */
    public static boolean readable(int flags) {
        int mode = flags & O_ACCMODE;
        return mode == O_RDONLY || mode == O_RDWR;
    }

    /** Whether a file opened with these flags can be written. */
    public static boolean writable(int flags) {
        int mode = flags & O_ACCMODE;
        return mode == O_WRONLY || mode == O_RDWR;
    }

    /** Takes a use, unless the last one is gone already. */
    public final boolean tryAcquire() {
        int seen = users;
        while (seen > 0) {
            if (USERS.compareAndSet(this, seen, seen + 1)) {
                return true;
            }
            seen = users;
        }
        return false;
    }

    /** Gives a use back; the last one releases the file. */
    public final void release() {
        if ((int) USERS.getAndAdd(this, -1) == 1) {
            onLastRelease();
        }
    }

    /** Which file it is, for messages. */
    @Override
    public abstract String toString();

    /** What happens when nobody uses the file any more. */
    protected void onLastRelease() {
    }

    /** Whether the file has a position that pread and pwrite can do without. */
    protected boolean isPositional() {
        return true;
    }

    /**
     * An ioctl. A file without any answers {@code ENOTTY}.
     *
     * @param call
     *            who calls, and what memory the argument points to
     * @param request
     *            the request number
     * @param argument
     *            the third argument
     * @return ≥ 0, or −errno
     */
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        return -Errno.ENOTTY.code();
    }

    /** read(2), access mode first. */
    public final long read(MemorySegment buffer) {
        return readable ? doRead(buffer) : -Errno.EBADF.code();
    }

    /** write(2), access mode first. */
    public final long write(MemorySegment buffer) {
        return writable ? doWrite(buffer) : -Errno.EBADF.code();
    }

    /** pread(2) at an offset that is not negative: no position first, then the access mode. */
    public final long pread(MemorySegment buffer, long offset) {
        return !isPositional() ? -Errno.ESPIPE.code() : readable ? doPread(buffer, offset) : -Errno.EBADF.code();
    }

    /** pwrite(2), likewise. */
    public final long pwrite(MemorySegment buffer, long offset) {
        return !isPositional() ? -Errno.ESPIPE.code() : writable ? doPwrite(buffer, offset) : -Errno.EBADF.code();
    }

    /**
     * mmap(2), after the checks of length and place: the access mode, then the file's own.
     *
     * @param arena
     *            how long the mapping lives
     * @param mapping
     *            what is to be mapped
     * @return memory, or an address that is −errno
     */
    public final MemorySegment mmap(Arena arena, Mapping mapping) {
        boolean mayWrite = !mapping.isShared() || !mapping.isWritable() || writable;
        if (!readable || !mayWrite) {
            return MemorySegment.ofAddress(-Errno.EACCES.code());
        }
        return doMmap(arena, mapping);
    }

    /** The file's own mmap; none: {@code ENODEV}. */
    protected MemorySegment doMmap(Arena arena, Mapping mapping) {
        return MemorySegment.ofAddress(-Errno.ENODEV.code());
    }

    /**
     * What can be done with the file now, of everything there is to poll(2) for. A file without an answer of its own is
     * always ready.
     *
     * @return {@code POLL…}
     */
    public short ready() {
        return Poll.POLLIN | Poll.POLLOUT;
    }

    /** From now on somebody is to be told when what can be done may have changed. */
    public void addWaiter(Runnable waiter) {
        // What is always ready never changes.
    }

    /** The opposite of {@link #addWaiter}. */
    public void removeWaiter(Runnable waiter) {
        // Nothing has been added.
    }

    /** The file's own read; none: {@code EINVAL}. */
    protected long doRead(MemorySegment buffer) {
        return -Errno.EINVAL.code();
    }

    /** The file's own write; none: {@code EINVAL}. */
    protected long doWrite(MemorySegment buffer) {
        return -Errno.EINVAL.code();
    }

    /** The file's own read at a position; none: {@code EINVAL}. */
    protected long doPread(MemorySegment buffer, long offset) {
        return -Errno.EINVAL.code();
    }

    /** The file's own write at a position; none: {@code EINVAL}. */
    protected long doPwrite(MemorySegment buffer, long offset) {
        return -Errno.EINVAL.code();
    }
}
