package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_API_VERSION;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import java.lang.foreign.MemorySegment;

/**
 * A container, /dev/vfio/vfio (semantics §E.1): groups that share an IOMMU. It goes on while a group is in it, even when
 * its own descriptor is closed.
 */
public final class Container {

    private final KernelProfile profile;
    private int groups;
    private boolean iommuSet;

    private Container(KernelProfile profile) {
        this.profile = profile;
    }

    /** open(2) of /dev/vfio/vfio: a new container each time. */
    public static OpenFile open(KernelProfile profile, boolean readable, boolean writable) {
        return new ContainerFile(new Container(profile), readable, writable);
    }

    /** Whether groups in here can hand out devices. */
    synchronized boolean isIommuSet() {
        return iommuSet;
    }

    synchronized void attachGroup() {
        groups++;
    }

    /** Without a group the container is as new: its IOMMU and all mappings are gone. */
    synchronized void detachGroup() {
        if (--groups == 0) {
            iommuSet = false;
        }
    }

    private synchronized int checkExtension(long extension) {
        if (extension != (int) extension) {
            return 0;
        }
        int before = profile.type1Extensions().getOrDefault((int) extension, 0);
        return iommuSet ? profile.type1ExtensionsOnceSet().getOrDefault((int) extension, before) : before;
    }

    private synchronized int setIommu(long type) {
        if (groups == 0 || iommuSet) {
            return -Errno.EINVAL.code();
        }
        if (checkExtension(type) <= 0) {
            return -Errno.ENODEV.code();
        }
        if (!Type1.isIommuType((int) type)) {
            // The driver has that extension, but as a property of its IOMMU and not as a kind of it.
            return -Errno.EINVAL.code();
        }
        iommuSet = true;
        return 0;
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
        public int ioctl(CallContext call, int request, MemorySegment argument) {
            return switch (request) {
                case Requests.GET_API_VERSION -> VFIO_API_VERSION();
                case Requests.CHECK_EXTENSION -> container.checkExtension(argument.address());
                case Requests.SET_IOMMU -> container.setIommu(argument.address());
                default -> {
                    if (!container.isIommuSet()) {
                        yield -Errno.EINVAL.code();
                    }
                    if (Type1.isKnown(container.profile, request)) {
                        throw new NotModelledException(
                                "the type1 IOMMU request 0x" + Integer.toHexString(request) + " (DMA mapping)");
                    }
                    yield -Errno.ENOTTY.code();
                }
            };
        }
    }
}
