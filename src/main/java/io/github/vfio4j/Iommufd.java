package io.github.vfio4j;

import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_ALLOC;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_FLAG_TOKEN;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.uapi.iommu_ioas_alloc;
import io.github.vfio4j.uapi.vfio_device_attach_iommufd_pt;
import io.github.vfio4j.uapi.vfio_device_bind_iommufd;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * An iommufd ({@code /dev/iommu}) with one I/O address space, and the devices that are attached to it. Each is opened by a
 * file of its own, {@code /dev/vfio/devices/vfioN}, bound and attached; its group's file must not be open meanwhile. Safe
 * for use by many threads.
 *
 * <p>
 * <strong>VF tokens.</strong> Linux 7.2 follows the token rule when a device is bound, as all kernels do when a device is
 * opened through its group. Linux 6.12 has no such rule: {@link #openDevice(PciAddress)} opens any function bound to vfio-pci
 * there, virtual functions included, and {@link #openDevice(PciAddress, VfToken)} is refused with {@code EINVAL}
 * (device-feature semantics §D.6). Where the rule matters on such a kernel, a {@link VfioContainer} has it.
 */
public final class Iommufd implements Iommu {

    /** The kernel's file for it. */
    static final String PATH = "/dev/iommu";

    /** The first version of the structure, which is all that a kernel without tokens knows. */
    private static final long BIND_WITHOUT_TOKEN = vfio_device_bind_iommufd.token_uuid_ptr$offset();
    private static final long ATTACH_WITHOUT_PASID = vfio_device_attach_iommufd_pt.pasid$offset();

    private final IoctlBackend backend;
    private final Sysfs sysfs;
    private final Descriptor descriptor;
    private final int addressSpace;
    private final DmaSpace dma;
    private final Set<VfioDevice> devices = new LinkedHashSet<>();
    private boolean closing;

    private Iommufd(IoctlBackend backend, Descriptor descriptor, int addressSpace) {
        this.backend = backend;
        sysfs = new Sysfs(backend);
        this.descriptor = descriptor;
        this.addressSpace = addressSpace;
        dma = new DmaSpace(new IoasDma(descriptor, addressSpace, sysfs), backend, descriptor.name());
        dma.change();
    }

    /** A new one, with an empty address space. */
    static Iommufd open(IoctlBackend backend) throws VfioException {
        int fd = Verdict.check("open " + PATH, backend.open(PATH, Fcntl.O_RDWR | Fcntl.O_CLOEXEC),
                Diagnosis.iommufdOpen(PATH));
        Descriptor descriptor = new Descriptor(backend, fd, "iommufd");
        try {
            return new Iommufd(backend, descriptor, allocateAddressSpace(descriptor));
        } catch (VfioException | RuntimeException e) {
            Closing.after(e, descriptor::close);
            throw e;
        }
    }

    private static int allocateAddressSpace(Descriptor iommufd) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = iommu_ioas_alloc.allocate(arena);
            iommu_ioas_alloc.size(argument, (int) iommu_ioas_alloc.sizeof());
            Verdict.check("IOMMU_IOAS_ALLOC", iommufd.ioctl(IOMMU_IOAS_ALLOC(), argument));
            return iommu_ioas_alloc.out_ioas_id(argument);
        }
    }

    /**
     * Opens a device without a VF token: binds it ({@code VFIO_DEVICE_BIND_IOMMUFD}) and attaches it to the address space
     * ({@code VFIO_DEVICE_ATTACH_IOMMUFD_PT}).
     *
     * @param address
     *            a PCI function bound to vfio-pci
     * @return the device
     * @throws VfioException
     *             as {@link #openDevice(PciAddress, VfToken)}
     */
    @Override
    public VfioDevice openDevice(PciAddress address) throws VfioException {
        return openFunction(address, null);
    }

    /**
     * Opens a device with a VF token, which the kernel judges when the device is bound.
     *
     * @param address
     *            a PCI function bound to vfio-pci
     * @param token
     *            the token; the native copy is overwritten after the call
     * @return the device
     * @throws VfioException
     *             if there is no such function, it is not bound to vfio-pci, the kernel has no files of devices
     *             ({@code ENOENT}) or takes no token for them ({@code EINVAL}), the group's file is open ({@code EBUSY}), the
     *             device is bound already ({@code EINVAL}), a host driver or another iommufd has a device of its group
     *             ({@code EPERM}), the file is closed to this user ({@code EACCES}), or the token is missing or wrong
     *             ({@code EACCES}) or none is taken ({@code EINVAL}), or what is mapped already lies where the device has no
     *             addresses ({@code EADDRINUSE}) or is more than the process may lock ({@code ENOMEM}); the message says
     *             which. Nothing stays open then
     */
    @Override
    public VfioDevice openDevice(PciAddress address, VfToken token) throws VfioException {
        return openFunction(address, token);
    }

    private VfioDevice openFunction(PciAddress address, @Nullable VfToken token) throws VfioException {
        PciDevice function = new PciDevice(sysfs, address);
        return open(new Subject(address.toString(), "/sys/bus/pci/devices/" + address, function), token);
    }

    /**
     * Opens a mediated device: binds it and attaches it to the address space.
     *
     * @param uuid
     *            its name, as in {@code /sys/bus/mdev/devices}
     * @return the device
     * @throws VfioException
     *             if there is no such device, or no driver has taken it ({@code ENODEV}), or it is in use ({@code EBUSY},
     *             {@code EINVAL}) or closed to this user ({@code EACCES}). Nothing stays open then
     */
    @Override
    public VfioDevice openMediatedDevice(UUID uuid) throws VfioException {
        return open(new Subject(uuid.toString(), "/sys/bus/mdev/devices/" + uuid, null), null);
    }

    /**
     * What is to be opened.
     *
     * @param name
     *            on its bus
     * @param directory
     *            in sysfs
     * @param function
     *            the PCI function it is, if it is one
     */
    private record Subject(String name, String directory, @Nullable PciDevice function) {

        VfioException withoutVfioDevice() throws VfioException {
            return function == null
                    ? Diagnosis.noMediatedDevice(UUID.fromString(name))
                    : Diagnosis.noVfioDevice(function);
        }
    }

    private synchronized VfioDevice open(Subject subject, @Nullable VfToken token) throws VfioException {
        if (closing) {
            throw new IllegalStateException(descriptor.name() + " is closed; open it again to use it");
        }
        OptionalInt number = sysfs.vfioDevice(subject.directory());
        if (number.isEmpty()) {
            throw subject.withoutVfioDevice();
        }
        String path = "/dev/vfio/devices/vfio" + number.getAsInt();
        String attribute = subject.directory() + "/vfio-dev/vfio" + number.getAsInt() + "/dev";
        int fd = Verdict.check("open " + path, backend.open(path, Fcntl.O_RDWR | Fcntl.O_CLOEXEC),
                () -> Diagnosis.cdevOpen(path, sysfs.exists(attribute)));
        Descriptor device = new Descriptor(backend, fd, "device " + subject.name());
        try {
            bind(device, subject, token);
            attach(device, subject.name());
        } catch (VfioException | RuntimeException e) {
            Closing.after(e, device::close);
            throw e;
        }
        VfioDevice opened = new VfioDevice(device, this::forget);
        devices.add(opened);
        dma.change();
        return opened;
    }

    private void bind(Descriptor device, Subject subject, @Nullable VfToken token) throws VfioException {
        Verdict.check("VFIO_DEVICE_BIND_IOMMUFD " + subject.name(), bind(device, token),
                () -> subject.function() == null
                        ? Diagnosis.mediatedDeviceBind()
                        : Diagnosis.bind(subject.function(), token != null, () -> takesTokens(device)));
    }

    /** Lays the token out beside the argument and wipes it afterwards. */
    private int bind(Descriptor device, @Nullable VfToken token) {
        descriptor.enter();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = vfio_device_bind_iommufd.allocate(arena);
            vfio_device_bind_iommufd.iommufd(argument, descriptor.number());
            if (token == null) {
                vfio_device_bind_iommufd.argsz(argument, (int) BIND_WITHOUT_TOKEN);
                return device.ioctl(VFIO_DEVICE_BIND_IOMMUFD(), argument);
            }
            MemorySegment uuid = arena.allocate(VfToken.BYTE_SIZE);
            token.copyTo(uuid);
            vfio_device_bind_iommufd.argsz(argument, (int) vfio_device_bind_iommufd.sizeof());
            vfio_device_bind_iommufd.flags(argument, VFIO_DEVICE_BIND_FLAG_TOKEN());
            vfio_device_bind_iommufd.token_uuid_ptr(argument, uuid.address());
            try {
                return device.ioctl(VFIO_DEVICE_BIND_IOMMUFD(), argument, new MemorySegment[]{uuid});
            } finally {
                uuid.fill((byte) 0);
            }
        } finally {
            descriptor.leave();
        }
    }

    /**
     * Whether the kernel takes a token when a device is bound. Both a kernel that does not and a function that takes none
     * answer {@code EINVAL}. But with the token the structure became one that can grow, and since then what is behind its
     * known part has to be zero ({@code E2BIG}); before, nobody looked there. Without an iommufd nothing is bound.
     */
    private static boolean takesTokens(Descriptor device) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            long size = vfio_device_bind_iommufd.sizeof() + Long.BYTES;
            MemorySegment argument = arena.allocate(size, Long.BYTES);
            vfio_device_bind_iommufd.argsz(argument, (int) size);
            vfio_device_bind_iommufd.iommufd(argument, -1);
            argument.set(ValueLayout.JAVA_BYTE, size - 1, (byte) 1);
            int result = device.ioctl(VFIO_DEVICE_BIND_IOMMUFD(), argument);
            // Without tokens it is the descriptor that is looked at first, which is none.
            return result == -Errno.E2BIG.code() || (result != -Errno.EINVAL.code() && result != -Errno.EBADF.code()
                    && Verdict.check("ask whether " + device.name() + " takes a VF token", result) >= 0);
        }
    }

    private void attach(Descriptor device, String name) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = vfio_device_attach_iommufd_pt.allocate(arena);
            vfio_device_attach_iommufd_pt.argsz(argument, (int) ATTACH_WITHOUT_PASID);
            vfio_device_attach_iommufd_pt.pt_id(argument, addressSpace);
            Verdict.check("VFIO_DEVICE_ATTACH_IOMMUFD_PT " + name,
                    device.ioctl(VFIO_DEVICE_ATTACH_IOMMUFD_PT(), argument),
                    () -> Diagnosis.attach(LockedMemory.limit(sysfs)));
        }
    }

    /** Closing a device's file has detached and unbound it. */
    private synchronized void forget(VfioDevice device) {
        devices.remove(device);
        dma.change();
    }

    @Override
    public DmaMapping map(MemorySegment memory, DmaDirection direction) throws VfioException {
        return dma.map(OptionalLong.empty(), memory, direction, null);
    }

    @Override
    public DmaMapping map(long iova, MemorySegment memory, DmaDirection direction) throws VfioException {
        return dma.map(OptionalLong.of(iova), memory, direction, null);
    }

    @Override
    public DmaMapping allocate(long bytes, DmaDirection direction) throws VfioException {
        return dma.allocate(bytes, direction);
    }

    @Override
    public DmaLimits dmaLimits() throws VfioException {
        return dma.limits();
    }

    /**
     * Closes the devices, which detaches and unbinds them, then the iommufd with its address space and mappings, and frees
     * the memory that is this library's, once.
     *
     * @throws VfioException
     *             the first error of close(2); everything is closed all the same
     */
    @Override
    public void close() throws VfioException {
        List<Closing.Part> parts = new ArrayList<>();
        synchronized (this) {
            closing = true;
            devices.forEach(device -> parts.add(device::closeWithoutGroup));
            devices.clear();
        }
        // Outside of the lock: a device waits for its calls, and these may take their time.
        parts.add(descriptor::close);
        parts.add(dma::close);
        Closing.all(parts);
    }

    /** The devices, for messages. */
    @Override
    public synchronized String toString() {
        return "iommufd of " + devices;
    }
}
