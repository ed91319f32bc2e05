package io.github.vfio4j;

import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.MemorySegment;
import java.util.function.IntSupplier;
import java.util.function.LongSupplier;

/**
 * Lets one call fail: the n-th of all. A close that fails is carried out all the same, for on Linux the descriptor is
 * gone then too (close(2)).
 */
final class FailingBackend extends ForwardingBackend {

    private final int failing;
    private final IntSupplier failure;
    private int calls;

    /**
     * @param failing
     *            which call, from 1 on
     * @param failure
     *            what it answers or throws
     */
    FailingBackend(IoctlBackend next, int failing, IntSupplier failure) {
        super(next);
        this.failing = failing;
        this.failure = failure;
    }

    /** Whether there were that many calls. */
    boolean hasFailed() {
        return calls >= failing;
    }

    private long call(LongSupplier call) {
        return ++calls == failing ? failure.getAsInt() : call.getAsLong();
    }

    @Override
    public int open(String path, int flags) {
        return (int) call(() -> super.open(path, flags));
    }

    @Override
    public int close(int fd) {
        int result = super.close(fd);
        return (int) call(() -> result);
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        return (int) call(() -> super.ioctl(fd, request, argument, pointees));
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        return call(() -> super.read(fd, buffer));
    }

    @Override
    public long write(int fd, MemorySegment buffer) {
        return call(() -> super.write(fd, buffer));
    }

    @Override
    public long readlink(String path, MemorySegment buffer) {
        return call(() -> super.readlink(path, buffer));
    }
}
