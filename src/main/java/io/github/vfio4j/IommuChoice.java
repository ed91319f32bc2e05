package io.github.vfio4j;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;

/**
 * Which {@link Iommu} {@link Vfio#openIommu} takes on this machine, and why.
 *
 * @param kind
 *            which
 * @param reason
 *            what the machine has or lacks, in words
 */
public record IommuChoice(Kind kind, String reason) {

    /** The kinds there are. */
    public enum Kind {
        /** An {@link Iommufd}. */
        IOMMUFD,
        /** A {@link VfioContainer}. */
        CONTAINER
    }

    private static final String CDEVS = "/dev/vfio/devices";

    /** An iommufd where this process can have one and there are files of devices to bind to it. */
    static IommuChoice of(IoctlBackend backend) throws VfioException {
        int fd = backend.open(Iommufd.PATH, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        if (fd < 0) {
            return new IommuChoice(Kind.CONTAINER, "open " + Iommufd.PATH + ": " + Errno.ofResult(fd));
        }
        backend.close(fd);
        return new Sysfs(backend).exists(CDEVS)
                ? new IommuChoice(Kind.IOMMUFD, "there are " + Iommufd.PATH + " and " + CDEVS)
                : new IommuChoice(Kind.CONTAINER, "there is " + Iommufd.PATH + ", but no " + CDEVS);
    }

    /** For example {@code iommufd (there are /dev/iommu and /dev/vfio/devices)}. */
    @Override
    public String toString() {
        return (kind == Kind.IOMMUFD ? "iommufd" : "container") + " (" + reason + ")";
    }
}
