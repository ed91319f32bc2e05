package io.github.vfio4j.backend;

import io.github.vfio4j.uapi.vfio_device_feature;
import io.github.vfio4j.uapi.vfio_device_feature_mig_state;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;
import java.util.function.LongSupplier;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Lets system calls go wrong where a test wants it, and hands all others on to another backend. Safe for use by many
 * threads; calls on several threads are counted in the order in which they begin.
 *
 * <pre>{@code
 * FaultInjectingBackend faults = new FaultInjectingBackend(kernel.newProcess());
 * Vfio vfio = Vfio.using(faults);
 * faults.inject(Fault.onPath("/dev/vfio/vfio").fails(Errno.EMFILE));
 * }</pre>
 *
 * <p>
 * To see a program survive the failure of each single call it makes, inject {@code Fault.onAnyCall().nth(n)} for n = 1,
 * 2, 3 and so on, until a run ends with {@link #injected()} at 0.
 */
public final class FaultInjectingBackend implements IoctlBackend {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final long HEADER = vfio_device_feature.sizeof();
    private static final long DATA_FD = HEADER + vfio_device_feature_mig_state.data_fd$offset();

    private final IoctlBackend next;
    private final List<Injected> faults = new ArrayList<>();
    private long injected;

    /** A fault, and how many of its calls there were. */
    private static final class Injected {
        private final Fault fault;
        private long calls;

        Injected(Fault fault) {
            this.fault = fault;
        }

        /** Counts a call. */
        boolean happensAt(Fault.Call call) {
            return fault.isAt(call) && fault.happens(++calls);
        }
    }

    /**
     * Without faults at first.
     *
     * @param next
     *            where the calls go
     */
    public FaultInjectingBackend(IoctlBackend next) {
        this.next = next;
    }

    /**
     * Adds a fault, whose calls are counted from now on. Where two faults are at one call, the one that was injected first
     * happens.
     *
     * @param fault
     *            what goes wrong
     */
    public synchronized void inject(Fault fault) {
        faults.add(new Injected(fault));
    }

    /** Forgets all faults, and that there were any. */
    public synchronized void clear() {
        faults.clear();
        injected = 0;
    }

    /**
     * How often a fault has happened.
     *
     * @return a number of calls, since the last {@link #clear()}
     */
    public synchronized long injected() {
        return injected;
    }

    private synchronized @Nullable Fault faultAt(Fault.Call call) {
        Fault first = null;
        for (Injected fault : faults) {
            if (fault.happensAt(call) && first == null) {
                first = fault.fault;
                injected++;
            }
        }
        return first;
    }

    private @Nullable Fault faultAt(SystemCall name, String path) {
        return faultAt(new Fault.Call(name, path, -1, -1));
    }

    private @Nullable Fault faultAt(SystemCall name) {
        return faultAt(name, "");
    }

    /** A call that leaves nothing behind which would have to be given back. */
    private static long call(@Nullable Fault fault, LongSupplier call) {
        if (fault == null) {
            return call.getAsLong();
        }
        long result = fault.isAfterwards() ? call.getAsLong() : fault.value();
        return result < 0 ? result : fault.value();
    }

    /** A call that makes a descriptor. */
    private int opening(@Nullable Fault fault, IntSupplier call) {
        return (int) call(fault, () -> {
            int fd = call.getAsInt();
            if (fault != null && fd >= 0) {
                next.close(fd);
            }
            return fd;
        });
    }

    private long transfer(SystemCall name, MemorySegment buffer, ToLongFunction<MemorySegment> call) {
        Fault fault = faultAt(name);
        if (fault == null || !fault.isCut()) {
            return call(fault, () -> call.applyAsLong(buffer));
        }
        return fault.value() == 0 ? 0 : call.applyAsLong(buffer.asSlice(0, Math.min(fault.value(), buffer.byteSize())));
    }

    @Override
    public int open(String path, int flags) {
        return opening(faultAt(SystemCall.OPEN, path), () -> next.open(path, flags));
    }

    @Override
    public int close(int fd) {
        Fault fault = faultAt(SystemCall.CLOSE);
        int result = next.close(fd);
        return (int) call(fault, () -> result);
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        Fault fault = faultAt(new Fault.Call(SystemCall.IOCTL, "", request, feature(request, argument)));
        return (int) call(fault, () -> {
            int result = next.ioctl(fd, request, argument, pointees);
            if (fault != null && result >= 0) {
                closeWhatWasOpened(request, argument, result);
            }
            return result;
        });
    }

    /** The feature that is asked for; −1 if this is no such request. */
    private static int feature(long request, MemorySegment argument) {
        return request == vfio_h.VFIO_DEVICE_FEATURE() && argument.byteSize() >= HEADER
                ? flags(argument) & vfio_h.VFIO_DEVICE_FEATURE_MASK()
                : -1;
    }

    private static int flags(MemorySegment feature) {
        return feature.get(INT, vfio_device_feature.flags$offset());
    }

    /** Of the requests of {@code vfio.h} that this library makes, three open a descriptor. */
    private void closeWhatWasOpened(long request, MemorySegment argument, int result) {
        int feature = feature(request, argument);
        boolean carriedOut = feature >= 0 && (flags(argument) & vfio_h.VFIO_DEVICE_FEATURE_PROBE()) == 0;
        if (request == vfio_h.VFIO_GROUP_GET_DEVICE_FD()
                || (carriedOut && feature == vfio_h.VFIO_DEVICE_FEATURE_DMA_BUF())) {
            next.close(result);
        } else if (carriedOut && feature == vfio_h.VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE()
                && (flags(argument) & vfio_h.VFIO_DEVICE_FEATURE_SET()) != 0
                && argument.byteSize() >= DATA_FD + Integer.BYTES && argument.get(INT, DATA_FD) >= 0) {
            next.close(argument.get(INT, DATA_FD));
        }
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        return transfer(SystemCall.READ, buffer, part -> next.read(fd, part));
    }

    @Override
    public long write(int fd, MemorySegment buffer) {
        return transfer(SystemCall.WRITE, buffer, part -> next.write(fd, part));
    }

    @Override
    public long pread(int fd, MemorySegment buffer, long offset) {
        return transfer(SystemCall.PREAD, buffer, part -> next.pread(fd, part, offset));
    }

    @Override
    public long pwrite(int fd, MemorySegment buffer, long offset) {
        return transfer(SystemCall.PWRITE, buffer, part -> next.pwrite(fd, part, offset));
    }

    @Override
    public MemorySegment mmap(Arena arena, long length, int protection, int flags, int fd, long offset) {
        Fault fault = faultAt(SystemCall.MMAP);
        if (fault == null) {
            return next.mmap(arena, length, protection, flags, fd, offset);
        }
        if (fault.isAfterwards()) {
            // What has been mapped goes with the caller's arena.
            MemorySegment mapping = next.mmap(arena, length, protection, flags, fd, offset);
            if (mapping.byteSize() == 0) {
                return mapping;
            }
        }
        return MemorySegment.ofAddress(fault.value());
    }

    @Override
    public int poll(int[] fds, short[] events, int timeoutMillis) {
        return (int) call(faultAt(SystemCall.POLL), () -> next.poll(fds, events, timeoutMillis));
    }

    @Override
    public int eventfd(int initialValue, int flags) {
        return opening(faultAt(SystemCall.EVENTFD), () -> next.eventfd(initialValue, flags));
    }

    @Override
    public long readlink(String path, MemorySegment buffer) {
        return call(faultAt(SystemCall.READLINK, path), () -> next.readlink(path, buffer));
    }

    /** The backend behind it in words. */
    @Override
    public String toString() {
        return next.toString();
    }
}
