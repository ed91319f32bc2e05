package io.github.vfio4j.emulation.mdev;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.feature.ModelledDevice;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.vfio.Driver;
import java.lang.foreign.MemorySegment;

/** A driver of mediated devices with a model. Of the device requests it has the reset, and no information. */
public final class ModelMdevDriver implements Driver {

    private final KernelProfile profile;
    private final String name;
    private final ModelledDevice device;

    /** A device of this model. */
    public ModelMdevDriver(KernelProfile profile, String name, DeviceModel model) {
        this.profile = profile;
        this.name = name;
        device = new ModelledDevice(profile, model);
    }

    @Override
    public KernelProfile profile() {
        return profile;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public int open() {
        return device.open();
    }

    @Override
    public void close() {
        device.close();
    }

    @Override
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        return request == VFIO_DEVICE_RESET() ? device.reset() : -Errno.ENOTTY.code();
    }

    @Override
    public ModelledDevice model() {
        return device;
    }
}
