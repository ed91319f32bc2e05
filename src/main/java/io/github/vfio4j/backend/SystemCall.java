package io.github.vfio4j.backend;

/** The system calls of an {@link IoctlBackend}. */
public enum SystemCall {
    /** open(2). */
    OPEN,
    /** close(2). */
    CLOSE,
    /** ioctl(2). */
    IOCTL,
    /** read(2). */
    READ,
    /** write(2). */
    WRITE,
    /** pread(2). */
    PREAD,
    /** pwrite(2). */
    PWRITE,
    /** mmap(2). */
    MMAP,
    /** poll(2). */
    POLL,
    /** eventfd(2). */
    EVENTFD,
    /** readlink(2). */
    READLINK;

    /** Whether it moves bytes to or from a descriptor, and so may move fewer than it was asked to. */
    boolean isTransfer() {
        return this == READ || this == WRITE || this == PREAD || this == PWRITE;
    }
}
