package io.github.vfio4j.backend;

/** Flags of open(2) and eventfd(2), in the values that x86-64 and arm64 share for these. */
public final class Fcntl {

    /** Open for reading. */
    public static final int O_RDONLY = 0;
    /** Open for writing. */
    public static final int O_WRONLY = 1;
    /** Open for both. */
    public static final int O_RDWR = 2;
    /** Which of the three the flags ask for. */
    public static final int O_ACCMODE = 3;
    /** Calls do not wait. */
    public static final int O_NONBLOCK = 04000;
    /** Not handed on to programs this process starts. */
    public static final int O_CLOEXEC = 02000000;
    /** eventfd: each read takes one off the counter. */
    public static final int EFD_SEMAPHORE = 1;
    /** eventfd: reads and writes do not wait. */
    public static final int EFD_NONBLOCK = O_NONBLOCK;
    /** eventfd: not handed on to programs this process starts. */
    public static final int EFD_CLOEXEC = O_CLOEXEC;

    private Fcntl() {
    }
}
