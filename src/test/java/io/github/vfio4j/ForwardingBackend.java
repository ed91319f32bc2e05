package io.github.vfio4j;

import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Hands every call on, for tests that change some of them. */
public abstract class ForwardingBackend implements IoctlBackend {

    private final IoctlBackend next;

    protected ForwardingBackend(IoctlBackend next) {
        this.next = next;
    }

    @Override
    public int open(String path, int flags) {
        return next.open(path, flags);
    }

    @Override
    public int close(int fd) {
        return next.close(fd);
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        return next.ioctl(fd, request, argument, pointees);
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        return next.read(fd, buffer);
    }

    @Override
    public long write(int fd, MemorySegment buffer) {
        return next.write(fd, buffer);
    }

    @Override
    public long pread(int fd, MemorySegment buffer, long offset) {
        return next.pread(fd, buffer, offset);
    }

    @Override
    public long pwrite(int fd, MemorySegment buffer, long offset) {
        return next.pwrite(fd, buffer, offset);
    }

    @Override
    public MemorySegment mmap(Arena arena, long length, int protection, int flags, int fd, long offset) {
        return next.mmap(arena, length, protection, flags, fd, offset);
    }

    @Override
    public int poll(int[] fds, short[] events, int timeoutMillis) {
        return next.poll(fds, events, timeoutMillis);
    }

    @Override
    public int eventfd(int initialValue, int flags) {
        return next.eventfd(initialValue, flags);
    }

    @Override
    public long readlink(String path, MemorySegment buffer) {
        return next.readlink(path, buffer);
    }

    @Override
    public String toString() {
        return next.toString();
    }
}
