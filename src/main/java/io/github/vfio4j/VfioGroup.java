package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_FLAGS_VIABLE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_STATUS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.uapi.vfio_group_status;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * An IOMMU group that is joined to a container: the smallest set of devices the IOMMU can keep apart from others. Only
 * one process can have it open. Safe for use by many threads.
 */
public final class VfioGroup implements AutoCloseable {

    private static final byte[] TOKEN_OPTION = " vf_token=".getBytes(StandardCharsets.US_ASCII);

    private final VfioContainer container;
    private final IoctlBackend backend;
    private final int number;
    private final Descriptor descriptor;
    private final Set<VfioDevice> devices = new LinkedHashSet<>();
    private boolean forItsDevices;
    private boolean closing;

    private VfioGroup(VfioContainer container, IoctlBackend backend, int number, Descriptor descriptor,
            boolean forItsDevices) {
        this.container = container;
        this.backend = backend;
        this.number = number;
        this.descriptor = descriptor;
        this.forItsDevices = forItsDevices;
    }

    /**
     * Opens the group.
     *
     * @param forItsDevices
     *            whether it is to be closed with the last of its devices
     * @param function
     *            the function for whose sake it is opened, if there is one, for messages
     */
    static VfioGroup open(VfioContainer container, IoctlBackend backend, int number, boolean forItsDevices,
            @Nullable PciDevice function) throws VfioException {
        String path = "/dev/vfio/" + number;
        int fd = Verdict.check("open " + path, backend.open(path, Fcntl.O_RDWR | Fcntl.O_CLOEXEC),
                () -> Diagnosis.groupOpen(path, function));
        return new VfioGroup(container, backend, number, new Descriptor(backend, fd, "group " + number), forItsDevices);
    }

    /** Checks that the group can be used at all, and joins it to the container. */
    void join(int containerFd) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = vfio_group_status.allocate(arena);
            vfio_group_status.argsz(status, (int) vfio_group_status.sizeof());
            Verdict.check("VFIO_GROUP_GET_STATUS of group " + number,
                    descriptor.ioctl(VFIO_GROUP_GET_STATUS(), status));
            if ((vfio_group_status.flags(status) & VFIO_GROUP_FLAGS_VIABLE()) == 0) {
                throw Diagnosis.notViable(number);
            }
            Verdict.check("VFIO_GROUP_SET_CONTAINER of group " + number,
                    descriptor.ioctl(VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(ValueLayout.JAVA_INT, containerFd)),
                    () -> Diagnosis.setContainer(number));
        }
    }

    /**
     * Opens a device of this group that needs no VF token.
     *
     * @param address
     *            a PCI function in this group, bound to vfio-pci
     * @return the device
     * @throws VfioException
     *             as {@link VfioContainer#openDevice(PciAddress, VfToken)}
     */
    public VfioDevice openDevice(PciAddress address) throws VfioException {
        return open(new PciDevice(new Sysfs(backend), address), null);
    }

    /**
     * Opens a device of this group with a VF token.
     *
     * @param address
     *            a PCI function in this group, bound to vfio-pci
     * @param token
     *            the token; the native copy is overwritten after the call
     * @return the device
     * @throws VfioException
     *             as {@link VfioContainer#openDevice(PciAddress, VfToken)}
     */
    public VfioDevice openDevice(PciAddress address, VfToken token) throws VfioException {
        return open(new PciDevice(new Sysfs(backend), address), token);
    }

    /**
     * Opens a device of this group by the name it has on its bus, where that is neither PCI nor a mediated device: a CDX
     * or a platform device.
     *
     * @param name
     *            as in {@code /sys/kernel/iommu_groups/N/devices}, for example {@code cdx-00:00}
     * @return the device
     * @throws VfioException
     *             {@code ENODEV} if the group has no device of that name which a VFIO driver has taken
     * @throws IllegalArgumentException
     *             if there is more than a name, such as an option; no call was made
     */
    public VfioDevice openDevice(String name) throws VfioException {
        // What follows the name may be a token, which must not come into a message: so it is not quoted here either.
        if (name.isEmpty() || name.chars().anyMatch(character -> character <= ' ' || character > '~')) {
            throw new IllegalArgumentException(
                    "A device is opened by its name alone, in printable ASCII; for a VF token"
                            + " there is openDevice(PciAddress, VfToken)");
        }
        return open(name, null, () -> Diagnosis.namedDeviceOpen(number));
    }

    VfioDevice open(PciDevice function, @Nullable VfToken token) throws VfioException {
        return open(function.toString(), token, () -> Diagnosis.deviceOpen(function, number, token != null));
    }

    VfioDevice openMediated(UUID uuid) throws VfioException {
        return open(uuid.toString(), null, Diagnosis::mediatedDeviceOpen);
    }

    private VfioDevice open(String name, @Nullable VfToken token, Verdict.Remedies remedies) throws VfioException {
        synchronized (container) {
            if (closing) {
                throw new IllegalStateException(this + " is closed; open it again to use it");
            }
            try {
                int fd = Verdict.check("VFIO_GROUP_GET_DEVICE_FD " + name, getDeviceFd(name, token), remedies);
                VfioDevice device = new VfioDevice(new Descriptor(backend, fd, "device " + name), new DeviceOwner());
                devices.add(device);
                return device;
            } catch (VfioException | RuntimeException e) {
                Closing.after(e, this::closeIfUnused);
                throw e;
            }
        }
    }

    /** The name and, behind it, the token: laid out here and wiped afterwards, without a String in between. */
    private int getDeviceFd(String device, @Nullable VfToken token) {
        byte[] name = device.getBytes(StandardCharsets.US_ASCII);
        int option = token == null ? 0 : TOKEN_OPTION.length + VfToken.TEXT_LENGTH;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocate(name.length + option + 1L);
            MemorySegment.copy(name, 0, text, ValueLayout.JAVA_BYTE, 0, name.length);
            if (token != null) {
                MemorySegment.copy(TOKEN_OPTION, 0, text, ValueLayout.JAVA_BYTE, name.length, TOKEN_OPTION.length);
                token.copyTextTo(text.asSlice(name.length + TOKEN_OPTION.length));
            }
            try {
                return descriptor.ioctl(VFIO_GROUP_GET_DEVICE_FD(), text);
            } finally {
                text.fill((byte) 0);
            }
        }
    }

    /** This group as the owner of its devices. */
    private final class DeviceOwner implements VfioDevice.Owner {

        @Override
        public void closed(VfioDevice device) throws VfioException {
            deviceClosed(device);
        }

        @Override
        public Optional<Descriptor> group() {
            return Optional.of(descriptor);
        }
    }

    private void deviceClosed(VfioDevice device) throws VfioException {
        synchronized (container) {
            devices.remove(device);
            closeIfUnused();
        }
    }

    private void closeIfUnused() throws VfioException {
        if (forItsDevices && devices.isEmpty()) {
            closeDescriptor();
        }
    }

    /** Leaves the container before another group can join it: with the last group the container loses its IOMMU. */
    private void closeDescriptor() throws VfioException {
        synchronized (container) {
            closing = true;
            container.forget(this);
            descriptor.close();
        }
    }

    /** From here on the group stays open when its last device is closed. */
    VfioGroup keepOpen() {
        forItsDevices = false;
        return this;
    }

    /**
     * The group's number.
     *
     * @return N in {@code /dev/vfio/N}
     */
    public int number() {
        return number;
    }

    /**
     * Closes the devices that were opened through this group and the group, once.
     *
     * @throws VfioException
     *             the first error of close(2); everything is closed all the same
     */
    @Override
    public void close() throws VfioException {
        List<Closing.Part> parts = new ArrayList<>();
        synchronized (container) {
            closing = true;
            devices.forEach(device -> parts.add(device::closeWithoutGroup));
            devices.clear();
        }
        // Outside of the lock: a device waits for its calls, and these may take their time.
        parts.add(this::closeDescriptor);
        Closing.all(parts);
    }

    /** The group's name, for example {@code group 4}. */
    @Override
    public String toString() {
        return descriptor.name();
    }
}
