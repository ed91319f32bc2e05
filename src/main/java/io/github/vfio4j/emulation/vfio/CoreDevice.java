package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_DEVID_NOT_OWNED;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_DEVID_OWNED;

import io.github.vfio4j.emulation.feature.FeatureDispatch;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.iommu.DmaTarget;
import io.github.vfio4j.emulation.iommufd.Iommufd;
import io.github.vfio4j.emulation.iommufd.IommufdFile;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * A device as the VFIO core keeps it, whatever its driver (struct vfio_device). Any number of files can lead to it: of
 * those that came from its group all may use it, of those that are its own (cdev) one.
 */
public final class CoreDevice {

    private final int number;
    private final Driver driver;
    private final IommuGroup group;
    private final @Nullable FeatureDispatch features;
    private int files;
    private int openFiles;
    /** Guarded by this object, and read by the device's DMA without. */
    private volatile @Nullable IommufdFile iommufd;
    private volatile int idInIommufd;

    /** A device that is not open. */
    CoreDevice(int number, Driver driver, IommuGroup group) {
        this.number = number;
        this.driver = driver;
        this.group = group;
        // A kernel whose core does not know the request leaves it to the drivers, and most don't know it either.
        boolean known = driver.profile().featureIoctlInCore() || !driver.driverFeatures().isEmpty();
        features = known ? new FeatureDispatch(driver) : null;
    }

    /** The number in /dev/vfio/devices/vfioN. */
    public int number() {
        return number;
    }

    Driver driver() {
        return driver;
    }

    IommuGroup group() {
        return group;
    }

    /** Whether user space has any file of the device, usable or not. */
    synchronized boolean hasFiles() {
        return files > 0;
    }

    synchronized void addFile() {
        files++;
    }

    synchronized void removeFile() {
        files--;
    }

    /** Whether user space can use the device. */
    synchronized boolean isOpen() {
        return openFiles > 0;
    }

    /** Whether the device is bound to an iommufd. */
    synchronized boolean isBound() {
        return iommufd != null;
    }

    /** open(2) of the device's own file. */
    public OpenFile openCdev(boolean readable, boolean writable) {
        return new CdevFile(this, readable, writable);
    }

    /**
     * Another file may use the device. For the first one the device is bound to an iommufd, unless its group is in a
     * container, and enabled by its driver.
     */
    synchronized int open(@Nullable IommufdFile by) {
        int error = openFiles == 0 ? openFirst(by) : 0;
        if (error == 0) {
            openFiles++;
        }
        return error;
    }

    private synchronized int openFirst(@Nullable IommufdFile by) {
        int error = by == null ? 0 : bind(by);
        if (error != 0) {
            return error;
        }
        boolean opened = false;
        try {
            error = driver.open();
            opened = error == 0;
            return error;
        } finally {
            if (!opened) {
                unbind();
            }
        }
    }

    /** A file no longer uses the device. */
    synchronized void close() {
        if (--openFiles == 0) {
            driver.close();
            unbind();
        }
    }

    private synchronized int bind(IommufdFile by) {
        Iommufd context = by.iommufd();
        int id = group.isEmulated() ? context.bindEmulated() : context.bind(group.dmaOwnership());
        if (id < 0) {
            return id;
        }
        if (!by.tryAcquire()) {
            throw new IllegalStateException("who binds to an iommufd has it open");
        }
        idInIommufd = id;
        iommufd = by;
        return 0;
    }

    private synchronized void unbind() {
        IommufdFile bound = iommufd;
        if (bound != null) {
            iommufd = null;
            bound.iommufd().unbind(idInIommufd);
            bound.release();
        }
    }

    /** The number that the iommufd has given it. */
    synchronized int idInIommufd() {
        return idInIommufd;
    }

    /** What it is bound to; null if it is not. */
    synchronized @Nullable Iommufd boundTo() {
        IommufdFile bound = iommufd;
        return bound == null ? null : bound.iommufd();
    }

    /**
     * What it is in somebody's iommufd, for a hot reset (vfio_iommufd_get_dev_id): its number there, VFIO_PCI_DEVID_OWNED if
     * another device of its group has one, and VFIO_PCI_DEVID_NOT_OWNED otherwise.
     */
    int idIn(Iommufd context) {
        synchronized (this) {
            if (boundTo() == context) {
                return idInIommufd;
            }
        }
        boolean groupIsThere = group.members().stream().map(GroupMember::vfioDevice)
                .anyMatch(other -> other != null && other.boundTo() == context);
        return groupIsThere ? VFIO_PCI_DEVID_OWNED() : VFIO_PCI_DEVID_NOT_OWNED();
    }

    /** Attaches the bound device to an address space or page table: the number of what it is attached to, or −errno. */
    synchronized int attach(int target) {
        return Objects.requireNonNull(iommufd).iommufd().attach(idInIommufd, target);
    }

    /** Detaches the bound device. */
    synchronized void detach() {
        Objects.requireNonNull(iommufd).iommufd().detach(idInIommufd);
    }

    /**
     * What its DMA goes to; null if it is nowhere to go. Takes no lock that a driver could be called under: a device does DMA
     * while it has its own.
     */
    @Nullable
    DmaTarget dmaTarget() {
        IommufdFile bound = iommufd;
        return bound != null ? bound.iommufd().dmaTarget(idInIommufd) : group.container();
    }

    /** An ioctl of a file that may use the device, if it is not about that file. */
    int ioctl(CallContext call, int request, MemorySegment argument) {
        return request == Requests.DEVICE_FEATURE && features != null
                ? features.ioctl(call, argument)
                : driver.ioctl(call, request, argument);
    }
}
