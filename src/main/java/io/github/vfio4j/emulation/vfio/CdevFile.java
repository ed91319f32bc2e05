package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;

/** An open /dev/vfio/devices/vfioN: it may use the device once it has bound it to an iommufd. */
final class CdevFile extends DeviceFile {

    private volatile boolean mayUseDevice;

    CdevFile(CoreDevice device, boolean readable, boolean writable) {
        super(device, readable, writable);
    }

    @Override
    boolean mayUseDevice() {
        return mayUseDevice;
    }

    /** The device has been opened for this file. */
    void grantUse() {
        mayUseDevice = true;
    }

    @Override
    int deviceIoctl(CallContext call, int request, MemorySegment argument) {
        return switch (request) {
            case Requests.DEVICE_ATTACH_IOMMUFD_PT -> new AttachIommufdPt(device()).ioctl(argument);
            case Requests.DEVICE_DETACH_IOMMUFD_PT -> new DetachIommufdPt(device()).ioctl(argument);
            default -> device().ioctl(call, request, argument);
        };
    }

    @Override
    protected void onLastRelease() {
        if (mayUseDevice) {
            device().close();
            device().group().removeCdevUser();
        }
        super.onLastRelease();
    }
}
