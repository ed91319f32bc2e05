package io.github.vfio4j.device;

import io.github.vfio4j.Errno;
import io.github.vfio4j.EventFd;
import io.github.vfio4j.VfioException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/**
 * How the classes of this package reach their device: calls on its descriptor, none of which reaches the number after it
 * was closed ({@link IllegalStateException}). {@link io.github.vfio4j.VfioDevice} has one; applications need none.
 *
 * <p>
 * Results are those of the system calls: ≥ 0, or −errno.
 */
public interface DeviceHandle {

    /**
     * Makes an ioctl (ioctl(2)).
     *
     * @param request
     *            the request number
     * @param argument
     *            native memory whose size is what the call may touch
     * @return ≥ 0, or −errno
     */
    int ioctl(long request, MemorySegment argument);

    /**
     * Reads at a place (pread(2)).
     *
     * @param target
     *            native memory; its size is the length asked for
     * @param offset
     *            where in the device's file
     * @return bytes read, or −errno
     */
    long pread(MemorySegment target, long offset);

    /**
     * Writes at a place (pwrite(2)).
     *
     * @param source
     *            native memory; its size is the length offered
     * @param offset
     *            where in the device's file
     * @return bytes written, or −errno
     */
    long pwrite(MemorySegment source, long offset);

    /**
     * Maps a part of the device's file (mmap(2) with {@code MAP_SHARED}).
     *
     * @param arena
     *            how long it stays mapped
     * @param length
     *            bytes
     * @param protection
     *            {@code PROT_…}
     * @param offset
     *            where in the device's file
     * @return the memory, or an address that is −errno
     */
    MemorySegment mmap(Arena arena, long length, int protection, long offset);

    /**
     * Makes an eventfd of the device's kernel.
     *
     * @param name
     *            what it is for, for messages
     * @return an eventfd without signals
     * @throws VfioException
     *             {@code EMFILE} if there are too many descriptors
     */
    EventFd openEventFd(String name) throws VfioException;

    /**
     * Turns a result into an exception if it is negative.
     *
     * @param operation
     *            what was tried
     * @param result
     *            ≥ 0, or −errno
     * @param remedies
     *            what to do about some errors
     * @return the result
     * @throws VfioException
     *             if it is −errno
     */
    int check(String operation, int result, Map<Errno, String> remedies) throws VfioException;

    /**
     * The views of the device's memory.
     *
     * @return always the same
     */
    DeviceViews views();

    /** The device's name, for messages. */
    @Override
    String toString();
}
