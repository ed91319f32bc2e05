package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import java.lang.foreign.MemorySegment;

/** An open file of a device (struct vfio_device_file, semantics §A.1, §E.3): nothing goes before it may use the device. */
abstract class DeviceFile extends OpenFile {

    private final CoreDevice device;

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
    public final int checkMmap() {
        return mayUseDevice() ? 0 : -Errno.EINVAL.code();
    }

    @Override
    protected final long doPread(MemorySegment buffer, long offset) {
        return regionAccess();
    }

    @Override
    protected final long doPwrite(MemorySegment buffer, long offset) {
        return regionAccess();
    }

    @Override
    protected final long doRead(MemorySegment buffer) {
        return regionAccess();
    }

    @Override
    protected final long doWrite(MemorySegment buffer) {
        return regionAccess();
    }

    private long regionAccess() {
        if (mayUseDevice()) {
            throw new NotModelledException("the contents of device regions (configuration space, BARs)");
        }
        return -Errno.EINVAL.code();
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
