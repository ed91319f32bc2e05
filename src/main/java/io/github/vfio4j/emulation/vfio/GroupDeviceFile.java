package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;

/** A file that VFIO_GROUP_GET_DEVICE_FD has given out: it may use the device from the start. */
final class GroupDeviceFile extends DeviceFile {

    private final Runnable onClose;

    /**
     * A file for a device that has been opened for it.
     *
     * @param onClose
     *            what follows its closing
     */
    GroupDeviceFile(CoreDevice device, Runnable onClose) {
        super(device, true, true);
        this.onClose = onClose;
    }

    @Override
    boolean mayUseDevice() {
        return true;
    }

    @Override
    int deviceIoctl(CallContext call, int request, MemorySegment argument) {
        return device().ioctl(call, request, argument);
    }

    @Override
    protected void onLastRelease() {
        device().close();
        onClose.run();
        super.onLastRelease();
    }
}
