package io.github.vfio4j.trace;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A system call of a transcript: what was asked, and what the answer is to be. */
sealed interface Call {

    /** The result of a call that returned a new descriptor, whatever its number. */
    long NEW_DESCRIPTOR = Long.MAX_VALUE;

    /** What every call has. */
    Line line();

    /**
     * What every call has.
     *
     * @param number
     *            the line in the file
     * @param pauseMillis
     *            how long to wait before
     * @param results
     *            what may be returned: 0 or more, −errno, or {@link #NEW_DESCRIPTOR}
     */
    record Line(int number, int pauseMillis, List<Long> results) {

        /** Whether a call that leaves the program with a descriptor may do so here. */
        boolean opens() {
            return results.stream().anyMatch(result -> result >= 0);
        }
    }

    /** open(2). */
    record Open(Line line, @Nullable String as, String path, int flags) implements Call {
    }

    /** close(2). */
    record Close(Line line, Fd fd) implements Call {
    }

    /** ioctl(2). */
    record Ioctl(Line line, @Nullable String as, Fd fd, long request, Argument argument) implements Call {
    }

    /** read(2), and pread(2) if there is an offset. The data is null where only the result is known. */
    record Read(Line line, Fd fd, int length, @Nullable MemorySegment data, @Nullable Long offset) implements Call {
    }

    /** write(2), and pwrite(2) if there is an offset. */
    record Write(Line line, Fd fd, MemorySegment data, @Nullable Long offset) implements Call {
    }

    /** eventfd(2). */
    record EventFd(Line line, @Nullable String as, int value, int flags) implements Call {
    }

    /** Opening, writing and closing a sysfs attribute. */
    record SysfsWrite(Line line, String path, String value) implements Call {
    }

    /** A descriptor: by its name in the transcript, or a number that is passed as it is. */
    record Fd(@Nullable String name, int number) {

        static Fd named(String name) {
            return new Fd(name, -1);
        }

        static Fd number(int number) {
            return new Fd(null, number);
        }

        @Override
        public String toString() {
            return name != null ? name : "descriptor " + number;
        }
    }

    /** The third argument of ioctl(2). */
    sealed interface Argument {
    }

    /** A number in the place of a pointer; 0 is the null pointer. */
    record Value(long value) implements Argument {
    }

    /**
     * Memory.
     *
     * @param before
     *            its bytes before the call
     * @param after
     *            its bytes after the call
     * @param mapped
     *            how many of them can be reached
     * @param fds
     *            where descriptors stand before the call
     * @param outFds
     *            where descriptors stand after the call
     * @param pointees
     *            the memory it points to
     */
    record Buffer(MemorySegment before, MemorySegment after, int mapped, List<Place> fds, List<Place> outFds,
            List<Pointee> pointees) implements Argument {
    }

    /** Where a 32-bit descriptor stands. */
    record Place(int offset, String name) {
    }

    /**
     * Memory behind a 64-bit pointer.
     *
     * @param offset
     *            where the pointer stands
     * @param before
     *            the memory's bytes before the call
     * @param after
     *            its bytes after the call
     */
    record Pointee(int offset, MemorySegment before, MemorySegment after) {
    }
}
