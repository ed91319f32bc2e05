package io.github.vfio4j;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.LoggerFactory;

/**
 * Where a program begins: VFIO on the real kernel or, asked for by name, on another backend. Holds no descriptor; safe
 * for use by many threads.
 *
 * {@snippet file="io/github/vfio4j/examples/guide/Snippets.java" region="vfio"}
 */
public final class Vfio {

    private final IoctlBackend backend;

    private Vfio(IoctlBackend backend) {
        this.backend = backend;
    }

    /**
     * VFIO on the kernel of this machine.
     *
     * @return the entry point
     * @throws UnsupportedOperationException
     *             if this is not Linux, or native access is not enabled; the message says what to do
     */
    public static Vfio open() {
        return using(NativeBackend.create());
    }

    /**
     * VFIO on another backend, such as a process of an emulated kernel.
     *
     * @param backend
     *            where the system calls go
     * @return the entry point
     */
    public static Vfio using(IoctlBackend backend) {
        return new Vfio(backend);
    }

    /**
     * A PCI function as sysfs shows it.
     *
     * @param address
     *            its address; it need not exist
     * @return its view
     */
    public PciDevice pciDevice(PciAddress address) {
        return new PciDevice(new Sysfs(backend), address);
    }

    /**
     * Opens a container ({@code /dev/vfio/vfio}): the IOMMU address space of the devices that are opened through it. It
     * gets the newer version of type1 that the kernel has.
     *
     * @return a container without groups
     * @throws VfioException
     *             {@code ENOENT} or {@code ENODEV} if the vfio module is not loaded, {@code EACCES} without the right to
     */
    public VfioContainer openContainer() throws VfioException {
        return container(null);
    }

    /**
     * Opens a container whose IOMMU is to be of one type.
     *
     * @param type
     *            which; it is asked for when the first group joins
     * @return a container without groups
     * @throws VfioException
     *             as {@link #openContainer()}
     */
    public VfioContainer openContainer(IommuType type) throws VfioException {
        return container(type);
    }

    /**
     * Opens an iommufd ({@code /dev/iommu}) with one address space, for devices that have files of their own. Kernels have
     * it from 6.2 on and devices' files from 6.6 on, if they were built with {@code CONFIG_IOMMUFD} and
     * {@code CONFIG_VFIO_DEVICE_CDEV}.
     *
     * @return an iommufd without devices
     * @throws VfioException
     *             {@code ENOENT} or {@code ENODEV} if the kernel has no iommufd, {@code EACCES} without the right to
     */
    public Iommufd openIommufd() throws VfioException {
        return Iommufd.open(backend);
    }

    /**
     * Opens what this machine has for devices to share: an {@link Iommufd} where this process can have one and devices have
     * files of their own, and a {@link VfioContainer} everywhere else. {@link #iommuChoice} tells which and why; so does the
     * log, at INFO.
     *
     * @return one of both, without devices
     * @throws VfioException
     *             as {@link #openIommufd} or {@link #openContainer()}
     */
    public Iommu openIommu() throws VfioException {
        IommuChoice choice = iommuChoice();
        // Asked for only here: a program that says nothing need not wait for logging to be set up.
        LoggerFactory.getLogger(Vfio.class).info("IOMMU by {}", choice);
        return switch (choice.kind()) {
            case IOMMUFD -> openIommufd();
            case CONTAINER -> openContainer();
        };
    }

    /**
     * What {@link #openIommu} takes on this machine, and why. Nothing stays open.
     *
     * @return the choice, made anew each time
     * @throws VfioException
     *             if the machine could not be asked
     */
    public IommuChoice iommuChoice() throws VfioException {
        return IommuChoice.of(backend);
    }

    private VfioContainer container(@Nullable IommuType type) throws VfioException {
        String path = "/dev/vfio/vfio";
        String load = "There is no VFIO here: load it with 'modprobe vfio-pci' (kernel option CONFIG_VFIO_PCI), or use"
                + " the emulated kernel";
        int fd = Verdict.check("open " + path, backend.open(path, Fcntl.O_RDWR | Fcntl.O_CLOEXEC),
                Map.of(Errno.ENOENT, load, Errno.ENODEV, load, Errno.EACCES,
                        "The file should have mode 0666; try 'chmod 666 " + path + "'"));
        Descriptor descriptor = new Descriptor(backend, fd, "container");
        try {
            checkVersion(descriptor);
        } catch (VfioException | RuntimeException e) {
            Closing.after(e, descriptor::close);
            throw e;
        }
        return new VfioContainer(backend, descriptor, type);
    }

    private static void checkVersion(Descriptor container) throws VfioException {
        int version = Verdict.check("VFIO_GET_API_VERSION",
                container.ioctl(vfio_h.VFIO_GET_API_VERSION(), MemorySegment.NULL));
        if (version != vfio_h.VFIO_API_VERSION()) {
            throw new VfioException("VFIO_GET_API_VERSION answered " + version, null,
                    "This library speaks version " + vfio_h.VFIO_API_VERSION() + ", which is that of every Linux");
        }
    }

    /**
     * Makes an eventfd, for devices of the same kernel to signal.
     *
     * @return an eventfd without signals
     * @throws VfioException
     *             {@code EMFILE} if there are too many descriptors
     */
    public EventFd openEventFd() throws VfioException {
        int fd = Verdict.check("eventfd", backend.eventfd(0, Fcntl.EFD_CLOEXEC | Fcntl.EFD_NONBLOCK));
        return new EventFd(new Descriptor(backend, fd, "eventfd " + fd));
    }

    /**
     * Adopts a device descriptor that was opened elsewhere, by a launcher for example.
     *
     * @param fd
     *            an open VFIO device descriptor; from here on the returned object owns and closes it
     * @return the device
     */
    public VfioDevice adoptDevice(int fd) {
        if (fd < 0) {
            throw new IllegalArgumentException("A descriptor is 0 or more, not " + fd);
        }
        return new VfioDevice(new Descriptor(backend, fd, "device on descriptor " + fd), device -> {
            // Nobody else has anything to do with it.
        });
    }
}
