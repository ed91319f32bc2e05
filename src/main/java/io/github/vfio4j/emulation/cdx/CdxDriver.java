package io.github.vfio4j.emulation.cdx;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.device.BusController;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.vfio.Driver;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** vfio-cdx on one device (semantics §B.5). */
public final class CdxDriver implements Driver {

    private final KernelProfile profile;
    private final String name;
    private final BusController controller;
    private volatile boolean canMaster;

    /** A device behind a controller. */
    public CdxDriver(KernelProfile profile, String name, BusController controller) {
        this.profile = profile;
        this.name = name;
        this.controller = controller;
    }

    @Override
    public KernelProfile profile() {
        return profile;
    }

    @Override
    public Set<Integer> driverFeatures() {
        return profile.cdxFeatures();
    }

    @Override
    public String name() {
        return name;
    }

    /** A controller that can't clear bus mastering is no obstacle, but then there is nothing to be set either. */
    @Override
    public int open() {
        synchronized (controller) {
            try {
                controller.setBusMaster(false);
                canMaster = true;
            } catch (DeviceFailure failure) {
                canMaster = false;
            }
        }
        return 0;
    }

    @Override
    public void close() {
        // The next opening clears bus mastering.
    }

    @Override
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        if (request >= VFIO_DEVICE_GET_INFO() && request <= VFIO_DEVICE_RESET()) {
            throw new NotModelledException("the device request 0x" + Integer.toHexString(request)
                    + " (device information, interrupts, reset) of a device on the CDX bus");
        }
        return -Errno.ENOTTY.code();
    }

    @Override
    public @Nullable BusController busController() {
        return canMaster ? controller : null;
    }
}
