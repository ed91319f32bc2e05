package io.github.vfio4j.migration;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.vfio4j.Errno;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.feature.PrecopyInfo;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A device that answers what it is told to: stands between the library and the kernel. */
final class StrayDevice extends ForwardingBackend {

    private static final int GET_STATE = 2 | 1 << 16;
    private static final int SET_STATE = 2 | 1 << 17;

    /** What the next reads of the data descriptor answer; the kernel's own answers once these are used up. */
    final Deque<Long> reads = new ArrayDeque<>();
    /** The same for writes; a positive number is how much is taken at most. */
    final Deque<Long> writes = new ArrayDeque<>();
    /** What VFIO_MIG_GET_PRECOPY_INFO answers, the last one again and again. */
    final Deque<PrecopyInfo> infos = new ArrayDeque<>();
    /** The buffers that were read into. */
    final Set<Long> buffers = new HashSet<>();
    /** The longest read. */
    long longestRead;
    /** In place of the true state; a reset ends that. */
    @Nullable
    MigrationState stuckIn;

    StrayDevice(IoctlBackend next) {
        super(next);
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        if (request == vfio_h.VFIO_DEVICE_RESET()) {
            stuckIn = null;
        }
        if (request == vfio_h.VFIO_MIG_GET_PRECOPY_INFO() && !infos.isEmpty()) {
            PrecopyInfo info = infos.size() > 1 ? infos.remove() : infos.element();
            argument.set(JAVA_LONG, 8, info.initialBytes());
            argument.set(JAVA_LONG, 16, info.dirtyBytes());
            return 0;
        }
        int flags = request == vfio_h.VFIO_DEVICE_FEATURE() ? argument.get(JAVA_INT, 4) : 0;
        if (flags == SET_STATE && stuckIn != null) {
            return -Errno.EIO.code();
        }
        int result = super.ioctl(fd, request, argument, pointees);
        if (flags == GET_STATE && stuckIn != null) {
            argument.set(JAVA_INT, 8, stuckIn.value());
        }
        return result;
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        buffers.add(buffer.address());
        longestRead = Math.max(longestRead, buffer.byteSize());
        if (reads.isEmpty()) {
            return super.read(fd, buffer);
        }
        long answer = reads.remove();
        if (answer > 0) {
            buffer.asSlice(0, answer).fill((byte) 'x');
        }
        return answer;
    }

    @Override
    public long write(int fd, MemorySegment buffer) {
        long answer = writes.isEmpty() ? buffer.byteSize() : writes.remove();
        return answer <= 0 ? answer : super.write(fd, buffer.asSlice(0, Math.min(answer, buffer.byteSize())));
    }

    /** −errno. */
    static long failing(Errno errno) {
        return -errno.code();
    }
}
