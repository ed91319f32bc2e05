package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.Mapping;
import io.github.vfio4j.emulation.fs.OpenFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** An open file of a device (struct vfio_device_file, semantics §A.1, §E.3): nothing goes before it may use the device. */
abstract class DeviceFile extends OpenFile {

    private final CoreDevice device;
    private long position;

    DeviceFile(CoreDevice device, boolean readable, boolean writable) {
        super(readable, writable);
        this.device = device;
        device.addFile();
    }

    CoreDevice device() {
        return device;
    }

    abstract boolean mayUseDevice();

    /** A request of a file that may use the device. */
    abstract int deviceIoctl(CallContext call, int request, MemorySegment argument);

    @Override
    public final int ioctl(CallContext call, int request, MemorySegment argument) {
        KernelProfile profile = device.driver().profile();
        if (request == Requests.DEVICE_BIND_IOMMUFD && profile.bindBeforeResume()) {
            return profile.hasCdev() ? new BindIommufd(this).ioctl(call, argument) : -Errno.ENOTTY.code();
        }
        if (!mayUseDevice()) {
            return -Errno.EINVAL.code();
        }
        device.driver().wake();
        return deviceIoctl(call, request, argument);
    }

    @Override
    protected final MemorySegment doMmap(Arena arena, Mapping mapping) {
        return mayUseDevice() ? device.driver().mmap(arena, mapping) : MemorySegment.ofAddress(-Errno.EINVAL.code());
    }

    @Override
    protected final long doPread(MemorySegment buffer, long offset) {
        return access(buffer, offset, device.driver()::read);
    }

    @Override
    protected final long doPwrite(MemorySegment buffer, long offset) {
        return access(buffer, offset, device.driver()::write);
    }

    @Override
    protected final synchronized long doRead(MemorySegment buffer) {
        return advance(doPread(buffer, position));
    }

    @Override
    protected final synchronized long doWrite(MemorySegment buffer) {
        return advance(doPwrite(buffer, position));
    }

    private synchronized long advance(long result) {
        position += Math.max(0, result);
        return result;
    }

    /** A read or a write of the driver. */
    private interface Access {
        long at(MemorySegment buffer, long offset);
    }

    private long access(MemorySegment buffer, long offset, Access access) {
        // What is beyond the last offset is refused before the file is asked.
        return mayUseDevice() && offset + buffer.byteSize() >= 0 ? access.at(buffer, offset) : -Errno.EINVAL.code();
    }

    @Override
    public String toString() {
        return "device " + device.driver().name();
    }

    @Override
    protected void onLastRelease() {
        device.removeFile();
    }
}
