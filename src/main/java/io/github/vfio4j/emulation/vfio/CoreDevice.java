package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.feature.FeatureDispatch;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** A device as the VFIO core keeps it, whatever its driver (struct vfio_device), and the file user space gets. */
public final class CoreDevice {

    private final Driver driver;
    private final @Nullable FeatureDispatch features;
    private int openFiles;

    /** A device that is not open. */
    public CoreDevice(Driver driver) {
        this.driver = driver;
        // A kernel whose core does not know the request leaves it to the drivers, and most don't know it either.
        boolean known = driver.profile().featureIoctlInCore() || !driver.driverFeatures().isEmpty();
        features = known ? new FeatureDispatch(driver) : null;
    }

    Driver driver() {
        return driver;
    }

    /** Whether user space has the device open. */
    synchronized boolean isOpen() {
        return openFiles > 0;
    }

    /** Takes a use of the device, the first of which opens it: 0, or −errno. A file gives it back. */
    synchronized int acquire() {
        int error = openFiles == 0 ? driver.open() : 0;
        if (error == 0) {
            openFiles++;
        }
        return error;
    }

    /** A new file for the device, of which a use has been taken. */
    OpenFile file(Runnable onClose) {
        return new DeviceFile(onClose);
    }

    private synchronized void closeFile() {
        if (--openFiles == 0) {
            driver.close();
        }
    }

    private final class DeviceFile extends OpenFile {

        private final Runnable onClose;

        DeviceFile(Runnable onClose) {
            super(true, true);
            this.onClose = onClose;
        }

        @Override
        public int ioctl(CallContext call, int request, MemorySegment argument) {
            if (request == Requests.DEVICE_BIND_IOMMUFD && driver.profile().bindBeforeResume()) {
                return -Errno.ENOTTY.code();
            }
            driver.wake();
            return request == Requests.DEVICE_FEATURE && features != null
                    ? features.ioctl(call, argument)
                    : driver.ioctl(call, request, argument);
        }

        @Override
        protected long doPread(MemorySegment buffer, long offset) {
            throw regionAccess();
        }

        @Override
        protected long doPwrite(MemorySegment buffer, long offset) {
            throw regionAccess();
        }

        @Override
        protected long doRead(MemorySegment buffer) {
            throw regionAccess();
        }

        @Override
        protected long doWrite(MemorySegment buffer) {
            throw regionAccess();
        }

        private static NotModelledException regionAccess() {
            return new NotModelledException("the contents of device regions (configuration space, BARs)");
        }

        @Override
        protected void onLastRelease() {
            closeFile();
            onClose.run();
        }
    }
}
