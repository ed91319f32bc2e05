package io.github.vfio4j.emulation.fs;

import io.github.vfio4j.Errno;
import java.util.BitSet;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.jspecify.annotations.Nullable;

/**
 * The descriptors of a process: a finite table, the lowest free number given out first (open(2)).
 *
 * <p>
 * Looking a descriptor up takes no lock. A number is reserved before the file behind it exists, as in the kernel, so
 * that a call can fail for want of descriptors before it has done anything it could not undo.
 */
public final class FdTable {

    private final AtomicReferenceArray<@Nullable OpenFile> files;
    private final BitSet taken = new BitSet();

    /**
     * An empty table.
     *
     * @param limit
     *            how many descriptors there are (RLIMIT_NOFILE)
     */
    public FdTable(int limit) {
        files = new AtomicReferenceArray<>(limit);
    }

    /** How many descriptors there can be. */
    public int limit() {
        return files.length();
    }

    /** Takes the lowest free number, or answers {@code −EMFILE}. */
    public int reserve() {
        synchronized (taken) {
            int fd = taken.nextClearBit(0);
            if (fd >= files.length()) {
                return -Errno.EMFILE.code();
            }
            taken.set(fd);
            return fd;
        }
    }

    /** Puts a file behind a reserved number. */
    public int install(int fd, OpenFile file) {
        files.set(fd, file);
        return fd;
    }

    /** Gives a reserved number back. */
    public void unreserve(int fd) {
        synchronized (taken) {
            taken.clear(fd);
        }
    }

    /** Reserves a number for the file; where there is none, the file is released and the answer is {@code −EMFILE}. */
    public int open(OpenFile file) {
        int fd = reserve();
        if (fd < 0) {
            file.release();
            return fd;
        }
        return install(fd, file);
    }

    /** The file behind a number, with a use taken that the caller has to release; null if there is none. */
    public @Nullable OpenFile acquire(int fd) {
        if (fd < 0 || fd >= files.length()) {
            return null;
        }
        OpenFile file = files.get(fd);
        while (file != null && !file.tryAcquire()) {
            file = files.get(fd);
        }
        return file;
    }

    /** Frees the number; the file goes with its last user. */
    public int close(int fd) {
        OpenFile file = fd < 0 || fd >= files.length() ? null : files.getAndSet(fd, null);
        if (file == null) {
            return -Errno.EBADF.code();
        }
        unreserve(fd);
        file.release();
        return 0;
    }

    /** Closes everything, as the end of a process does. */
    public void closeAll() {
        for (int fd = 0; fd < files.length(); fd++) {
            close(fd);
        }
    }

    /** Which file is behind each number, in words. */
    public SortedMap<Integer, String> describe() {
        SortedMap<Integer, String> names = new TreeMap<>();
        for (int fd = 0; fd < files.length(); fd++) {
            OpenFile file = files.get(fd);
            if (file != null) {
                names.put(fd, file.toString());
            }
        }
        return names;
    }

    /** How many descriptors are in use. */
    public int size() {
        synchronized (taken) {
            return taken.cardinality();
        }
    }
}
