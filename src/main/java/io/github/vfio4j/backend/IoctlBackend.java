package io.github.vfio4j.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * The system calls this library makes, as a seam: the {@linkplain NativeBackend real kernel}, an emulated one, or
 * something in front of either.
 *
 * <p>
 * Shaped like C. A result ≥ 0 is the call's own, a negative one is −errno; no call throws for what a kernel would
 * refuse. There is no policy here: nothing is retried ({@code EINTR} comes back as it is) and no argument is checked.
 * Implementations are safe for use by many threads at once; calls may block, and a virtual thread that makes one stays
 * pinned to its carrier meanwhile.
 */
public interface IoctlBackend {

    /** For calls whose argument has no pointers in it. */
    MemorySegment[] NO_POINTEES = {};

    /** The errno of a call that the kernel does not have. */
    int ENOSYS = 38;

    /**
     * Opens a file (open(2)).
     *
     * @param path
     *            absolute path
     * @param flags
     *            {@code O_…} of {@link Fcntl}
     * @return a descriptor, or −errno
     */
    int open(String path, int flags);

    /**
     * Closes a descriptor (close(2)).
     *
     * @param fd
     *            the descriptor
     * @return 0, or −errno
     */
    int close(int fd);

    /**
     * Makes an ioctl (ioctl(2)).
     *
     * @param fd
     *            the descriptor
     * @param request
     *            the request number
     * @param argument
     *            the third argument: native memory whose size is what the call may touch, or a zero-length segment at an
     *            address that is the argument by value
     * @param pointees
     *            every piece of memory to which the argument's bytes hold a pointer. The real kernel follows the pointers
     *            by itself; an emulated one reaches no memory but this
     * @return the call's result (not always 0: some requests return a descriptor or a count), or −errno
     */
    int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees);

    /**
     * Makes an ioctl whose argument has no pointers in it.
     *
     * @param fd
     *            the descriptor
     * @param request
     *            the request number
     * @param argument
     *            as in {@link #ioctl(int, long, MemorySegment, MemorySegment...)}
     * @return the call's result, or −errno
     */
    default int ioctl(int fd, long request, MemorySegment argument) {
        return ioctl(fd, request, argument, NO_POINTEES);
    }

    /**
     * Reads at the file position (read(2)).
     *
     * @param fd
     *            the descriptor
     * @param buffer
     *            native memory; its size is the length asked for
     * @return bytes read, 0 at the end, or −errno
     */
    long read(int fd, MemorySegment buffer);

    /**
     * Writes at the file position (write(2)).
     *
     * @param fd
     *            the descriptor
     * @param buffer
     *            native memory; all of it is to be written
     * @return bytes written, or −errno
     */
    long write(int fd, MemorySegment buffer);

    /**
     * Reads at a given position (pread(2)).
     *
     * @param fd
     *            the descriptor
     * @param buffer
     *            native memory; its size is the length asked for
     * @param offset
     *            where in the file
     * @return bytes read, 0 at the end, or −errno
     */
    long pread(int fd, MemorySegment buffer, long offset);

    /**
     * Writes at a given position (pwrite(2)).
     *
     * @param fd
     *            the descriptor
     * @param buffer
     *            native memory; all of it is to be written
     * @param offset
     *            where in the file
     * @return bytes written, or −errno
     */
    long pwrite(int fd, MemorySegment buffer, long offset);

    /**
     * Maps a file into memory (mmap(2)), at an address the kernel chooses, for as long as an arena lives: its closing first
     * makes every later access an exception, and then ends the mapping (munmap(2)).
     *
     * @param arena
     *            the mapping's life; a shared one if threads other than its owner use the memory
     * @param length
     *            bytes
     * @param protection
     *            {@code PROT_…} of {@link Mman}
     * @param flags
     *            {@code MAP_…} of {@link Mman}
     * @param fd
     *            the descriptor
     * @param offset
     *            where in the file
     * @return a segment of that length; or, as the kernel does in pointers, a zero-length segment whose address is −errno
     */
    MemorySegment mmap(Arena arena, long length, int protection, int flags, int fd, long offset);

    /**
     * Waits until something can be done with a descriptor (poll(2)).
     *
     * @param fds
     *            the descriptors
     * @param events
     *            for each of them {@code POLL…} of {@link Poll}: what is waited for; after the call, what can be done. Left as
     *            they are if the call fails
     * @param timeoutMillis
     *            how long to wait at most; 0 not at all, negative for as long as it takes
     * @return for how many something can be done, 0 if for none in time, or −errno
     */
    int poll(int[] fds, short[] events, int timeoutMillis);

    /**
     * Makes an eventfd (eventfd(2)).
     *
     * @param initialValue
     *            the counter's first value
     * @param flags
     *            {@code EFD_…} of {@link Fcntl}
     * @return a descriptor, or −errno
     */
    int eventfd(int initialValue, int flags);

    /**
     * Reads where a symbolic link points (readlink(2)).
     *
     * @param path
     *            absolute path of the link
     * @param buffer
     *            native memory for the target, which is cut off where it does not fit and not terminated
     * @return bytes written to the buffer, or −errno
     */
    long readlink(String path, MemorySegment buffer);

    /**
     * Makes other threads of this process pass memory barriers (membarrier(2)).
     *
     * @param command
     *            {@code MEMBARRIER_…} of {@link Membarrier}
     * @return the call's result, or −errno; {@code −ENOSYS} for a kernel without the call, which is what is said here of one
     *         that does not say it
     */
    default int membarrier(int command) {
        return -ENOSYS;
    }
}
