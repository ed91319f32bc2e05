package io.github.vfio4j.emulation.fs;

/**
 * How much memory a process has locked, and how much it may (RLIMIT_MEMLOCK, getrlimit(2)). Memory that devices reach is
 * locked, once for every time it is mapped.
 */
public final class LockedMemory {

    private final long limit;
    private boolean unlimited = true;
    private long locked;

    /**
     * Of a process that has CAP_IPC_LOCK, and so no limit.
     *
     * @param limit
     *            bytes, that count once it has lost that
     */
    public LockedMemory(long limit) {
        this.limit = limit;
    }

    /** The limit, in effect or not. */
    public long limit() {
        return limit;
    }

    /** From here on the limit counts. */
    public synchronized void dropCapability() {
        unlimited = false;
    }

    /** Whether the limit counts. */
    public synchronized boolean isLimited() {
        return !unlimited;
    }

    /** How much is locked, in bytes. */
    public synchronized long locked() {
        return locked;
    }

    /** Locks so many bytes more, unless that is more than the process may: then false. */
    public synchronized boolean lock(long bytes) {
        if (!unlimited && Long.compareUnsigned(bytes, limit - locked) > 0) {
            return false;
        }
        locked += bytes;
        return true;
    }

    /** The opposite of {@link #lock}. */
    public synchronized void unlock(long bytes) {
        locked -= bytes;
    }
}
