package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_API_VERSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_UPDATE_VADDR;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.device.DmaFault;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.iommu.DmaTarget;
import io.github.vfio4j.emulation.iommu.IommuHardware;
import io.github.vfio4j.emulation.iommu.Type1Iommu;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A container, /dev/vfio/vfio (semantics §E.1): groups that share an IOMMU. It goes on while a group is in it, even when
 * its own descriptor is closed.
 */
public final class Container implements DmaTarget {

    /** VFIO_TYPE1_NESTING_IOMMU, which the header of Linux 7.2 does not have any more. */
    private static final long NESTING = 6;

    private final KernelProfile profile;
    private final IommuHardware hardware;
    private final List<IommuGroup> groups = new ArrayList<>();
    private @Nullable Type1Iommu iommu;

    private Container(KernelProfile profile, IommuHardware hardware) {
        this.profile = profile;
        this.hardware = hardware;
    }

    /** open(2) of /dev/vfio/vfio: a new container each time. */
    public static OpenFile open(KernelProfile profile, IommuHardware hardware, boolean readable, boolean writable) {
        return new ContainerFile(new Container(profile, hardware), readable, writable);
    }

    /** Whether groups in here can hand out devices. */
    synchronized boolean isIommuSet() {
        return iommu != null;
    }

    synchronized void attachGroup(IommuGroup group) {
        if (iommu != null) {
            iommu.attach(group.isEmulated());
        }
        groups.add(group);
    }

    /** Without a group the container is as new: its IOMMU and all mappings are gone. */
    synchronized void detachGroup(IommuGroup group) {
        groups.remove(group);
        if (groups.isEmpty() && iommu != null) {
            iommu.release();
            iommu = null;
        } else if (iommu != null) {
            iommu.detach(group.isEmulated());
        }
    }

    private synchronized int checkExtension(long extension) {
        if (extension != (int) extension) {
            return 0;
        }
        int before = profile.type1Extensions().getOrDefault((int) extension, 0);
        if (iommu == null || (extension == VFIO_UPDATE_VADDR() && groups.stream().anyMatch(IommuGroup::isEmulated))) {
            return before;
        }
        return profile.type1ExtensionsOnceSet().getOrDefault((int) extension, before);
    }

    private synchronized int setIommu(long type) {
        if (groups.isEmpty() || iommu != null) {
            return -Errno.EINVAL.code();
        }
        if (checkExtension(type) <= 0) {
            return -Errno.ENODEV.code();
        }
        if (type == NESTING) {
            return refuseNesting();
        }
        if (!Type1Iommu.isType((int) type)) {
            // The driver has that extension, but as a property of its IOMMU and not as a kind of it.
            return -Errno.EINVAL.code();
        }
        iommu = new Type1Iommu(profile, hardware, (int) type);
        for (IommuGroup group : groups) {
            iommu.attach(group.isEmulated());
        }
        return 0;
    }

    /** The driver offers it whatever the machine; this one's IOMMU cannot do it. */
    private int refuseNesting() {
        if (groups.stream().allMatch(IommuGroup::isEmulated)) {
            throw new NotModelledException("the nesting type1 IOMMU, which a container gets as long as there is no"
                    + " hardware that would have to do it");
        }
        return -profile.missingNesting().code();
    }

    private synchronized int iommuIoctl(CallContext call, int request, MemorySegment argument) {
        return iommu == null ? -Errno.EINVAL.code() : iommu.ioctl(call, request, argument);
    }

    @Override
    public synchronized void access(long iova, MemorySegment buffer, boolean write) throws DmaFault {
        if (iommu == null) {
            throw new DmaFault(iova, "the container has no IOMMU yet");
        }
        iommu.access(iova, buffer, write);
    }

    /** The descriptor's side of it. */
    static final class ContainerFile extends OpenFile {

        private final Container container;

        private ContainerFile(Container container, boolean readable, boolean writable) {
            super(readable, writable);
            this.container = container;
        }

        Container container() {
            return container;
        }

        @Override
        public String toString() {
            return "/dev/vfio/vfio";
        }

        @Override
        public int ioctl(CallContext call, int request, MemorySegment argument) {
            return switch (request) {
                case Requests.GET_API_VERSION -> VFIO_API_VERSION();
                case Requests.CHECK_EXTENSION -> container.checkExtension(argument.address());
                case Requests.SET_IOMMU -> container.setIommu(argument.address());
                default -> container.iommuIoctl(call, request, argument);
            };
        }
    }
}
