package io.github.vfio4j.backend;

/** Commands of membarrier(2), from linux/membarrier.h. */
public final class Membarrier {

    /** Which commands the kernel has: a bit each. */
    public static final int MEMBARRIER_CMD_QUERY = 0;

    /** Every thread of the process that runs passes a memory barrier before the call returns. Takes a registration. */
    public static final int MEMBARRIER_CMD_PRIVATE_EXPEDITED = 1 << 3;

    /** Registers the process for that; takes some milliseconds the first time. */
    public static final int MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED = 1 << 4;

    private Membarrier() {
    }
}
