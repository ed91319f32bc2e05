package io.github.vfio4j;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.device.DeviceHandle;
import io.github.vfio4j.device.DeviceViews;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;

/** How the classes of {@code io.github.vfio4j.device} reach a device: through its guarded descriptor. */
record OpenDevice(Descriptor descriptor, DeviceViews views) implements DeviceHandle {

    @Override
    public int ioctl(long request, MemorySegment argument) {
        return descriptor.ioctl(request, argument);
    }

    @Override
    public long pread(MemorySegment target, long offset) {
        return descriptor.pread(target, offset);
    }

    @Override
    public long pwrite(MemorySegment source, long offset) {
        return descriptor.pwrite(source, offset);
    }

    @Override
    public MemorySegment mmap(Arena arena, long length, int protection, long offset) {
        return descriptor.mmap(arena, length, protection, offset);
    }

    @Override
    public EventFd openEventFd(String name) throws VfioException {
        int fd = Verdict.check("eventfd for " + name,
                descriptor.backend().eventfd(0, Fcntl.EFD_CLOEXEC | Fcntl.EFD_NONBLOCK));
        return new EventFd(descriptor.sibling(fd, name));
    }

    @Override
    public int check(String operation, int result, Map<Errno, String> remedies) throws VfioException {
        return Verdict.check(operation, result, remedies);
    }

    @Override
    public String toString() {
        return descriptor.name();
    }
}
