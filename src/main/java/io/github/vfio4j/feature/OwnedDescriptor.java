package io.github.vfio4j.feature;

import io.github.vfio4j.VfioException;
import java.lang.foreign.MemorySegment;

/**
 * A file descriptor that the kernel has handed over with a feature, such as a DMA-buf; whoever has this object closes it.
 *
 * <p>
 * Guarded: no call reaches the number after it was closed, when it may already belong to another file. Calls on a closed
 * one are an {@link IllegalStateException}; closing waits for the calls under way. Safe for use by many threads.
 */
public interface OwnedDescriptor extends AutoCloseable {

    /**
     * What is done with the number while it is lent.
     *
     * @param <T>
     *            what comes of it
     */
    interface Use<T> {

        /**
         * Uses the number.
         *
         * @param fd
         *            the descriptor; not to be kept, nor closed
         * @return what comes of it
         * @throws VfioException
         *             if the kernel refuses
         */
        T with(int fd) throws VfioException;
    }

    /**
     * Lends the number for a call on another descriptor, an import of the DMA-buf for example. It is not closed
     * meanwhile.
     *
     * @param use
     *            what is to be done with it
     * @param <T>
     *            what comes of it
     * @return what came of it
     * @throws VfioException
     *             what that threw
     */
    <T> T lend(Use<T> use) throws VfioException;

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
     * Reads (read(2)).
     *
     * @param target
     *            native memory; its size is the length asked for
     * @return bytes read, or −errno
     */
    long read(MemorySegment target);

    /**
     * Writes (write(2)).
     *
     * @param source
     *            native memory; its size is the length offered
     * @return bytes written, or −errno
     */
    long write(MemorySegment source);

    /**
     * Whether it has not been closed.
     *
     * @return false once closing has begun
     */
    boolean isOpen();

    /**
     * Closes the descriptor, once; waits for calls under way.
     *
     * @throws VfioException
     *             if close(2) reports an error; the descriptor is gone all the same
     */
    @Override
    void close() throws VfioException;
}
