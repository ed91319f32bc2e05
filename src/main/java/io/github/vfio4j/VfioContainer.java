package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_CHECK_EXTENSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;

import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.TreeMap;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A VFIO container: an IOMMU address space and the groups whose devices share it. Owns what is opened through it, and
 * closing it closes devices, groups and container in that order. Safe for use by many threads.
 */
public final class VfioContainer implements Iommu {

    private static final long SMALLEST_PAGE = 4096;

    private final IoctlBackend backend;
    private final Descriptor descriptor;
    private final @Nullable IommuType type;
    private final Map<Integer, VfioGroup> groups = new TreeMap<>();
    private final DmaSpace dma;
    private boolean closing;

    /**
     * A container without groups.
     *
     * @param type
     *            of its IOMMU to be; the newest there is if null
     */
    VfioContainer(IoctlBackend backend, Descriptor descriptor, @Nullable IommuType type) {
        this.backend = backend;
        this.descriptor = descriptor;
        this.type = type;
        dma = new DmaSpace(new Type1Dma(descriptor, new Sysfs(backend)), backend, descriptor.name());
    }

    /**
     * Opens a device that needs no VF token.
     *
     * @param address
     *            a PCI function bound to vfio-pci
     * @return the device
     * @throws VfioException
     *             as {@link #openDevice(PciAddress, VfToken)}
     */
    @Override
    public VfioDevice openDevice(PciAddress address) throws VfioException {
        return open(address, null);
    }

    /**
     * Opens a device with a VF token: a virtual function whose physical function is on vfio-pci needs the one that was
     * set there; a physical function takes it as its new one, or as proof while virtual functions are in use
     * (device-feature semantics §D.4). The function's IOMMU group is opened and joined to this container where it is not
     * yet, and closed again with the last device that was opened this way.
     *
     * @param address
     *            a PCI function bound to vfio-pci
     * @param token
     *            the token; the native copy is overwritten after the call
     * @return the device
     * @throws VfioException
     *             if there is no such function, it is not bound to vfio-pci or has no IOMMU group, the group is in use
     *             ({@code EBUSY}), not viable or closed to this user ({@code EACCES}), or the token is missing or wrong
     *             ({@code EACCES}) or none is taken ({@code EINVAL}); the message says which. Nothing stays open then
     */
    @Override
    public VfioDevice openDevice(PciAddress address, VfToken token) throws VfioException {
        return open(address, token);
    }

    private synchronized VfioDevice open(PciAddress address, @Nullable VfToken token) throws VfioException {
        requireOpen();
        PciDevice function = new PciDevice(new Sysfs(backend), address);
        OptionalInt number = function.iommuGroup();
        if (number.isEmpty()) {
            throw Diagnosis.noIommuGroup(function);
        }
        VfioGroup group = groups.get(number.getAsInt());
        if (group == null) {
            group = join(number.getAsInt(), true, function);
        }
        return group.open(function, token);
    }

    /**
     * Opens a mediated device, which the kernel's {@code mdev} bus knows by a UUID. Its IOMMU group is its own, and is
     * opened and joined to this container as in {@link #openDevice}.
     *
     * @param uuid
     *            its name, as in {@code /sys/bus/mdev/devices}
     * @return the device
     * @throws VfioException
     *             if there is no such device, or no driver has taken it ({@code ENODEV}), or its group is in use
     *             ({@code EBUSY}) or closed to this user ({@code EACCES}). Nothing stays open then
     */
    @Override
    public synchronized VfioDevice openMediatedDevice(UUID uuid) throws VfioException {
        requireOpen();
        int number = new Sysfs(backend).linkNumber("/sys/bus/mdev/devices/" + uuid + "/iommu_group")
                .orElseThrow(() -> Diagnosis.noMediatedDevice(uuid));
        VfioGroup group = groups.get(number);
        if (group == null) {
            group = join(number, true, null);
        }
        return group.openMediated(uuid);
    }

    /**
     * Opens a group ({@code /dev/vfio/N}) and joins it to this container. Only needed to keep a group longer than its
     * devices; {@link #openDevice} does it where it must.
     *
     * @param number
     *            the group's number
     * @return the group, the one that is open already if there is one
     * @throws VfioException
     *             {@code ENOENT} if none of the group's functions is bound to vfio-pci, {@code EBUSY} if the group is in
     *             use, {@code EACCES} without the right to, {@code EPERM} if it is not viable
     */
    public synchronized VfioGroup openGroup(int number) throws VfioException {
        requireOpen();
        VfioGroup group = groups.get(number);
        return group != null ? group.keepOpen() : join(number, false, null);
    }

    /** What was opened from here on would be left open by {@link #close}, which has its list already. */
    private void requireOpen() {
        if (closing) {
            throw new IllegalStateException(descriptor.name() + " is closed; open it again to use it");
        }
    }

    private VfioGroup join(int number, boolean forItsDevices, @Nullable PciDevice function) throws VfioException {
        descriptor.enter();
        try {
            VfioGroup group = VfioGroup.open(this, backend, number, forItsDevices, function);
            try {
                group.join(descriptor.number());
                if (groups.isEmpty()) {
                    setIommu();
                }
            } catch (VfioException | RuntimeException e) {
                Closing.after(e, group::close);
                throw e;
            }
            groups.put(number, group);
            dma.change();
            return group;
        } finally {
            descriptor.leave();
        }
    }

    /** The IOMMU comes with the first group and goes with the last. */
    private void setIommu() throws VfioException {
        IommuType chosen = type != null
                ? type
                : supports(IommuType.TYPE1V2.number()) ? IommuType.TYPE1V2 : IommuType.TYPE1;
        Verdict.check("VFIO_SET_IOMMU " + chosen,
                descriptor.ioctl(VFIO_SET_IOMMU(), MemorySegment.ofAddress(chosen.number())),
                Map.of(Errno.ENODEV, "The type1 IOMMU driver is missing: load it with 'modprobe vfio_iommu_type1'",
                        Errno.EPERM, "The platform can't isolate interrupts. If that is acceptable: echo 1 >"
                                + " /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"));
    }

    /**
     * The tracking of pages that devices may have written to.
     *
     * @return empty if the kernel has none for containers (before Linux 5.8)
     * @throws VfioException
     *             if the kernel could not be asked; {@code EINVAL} from a container without a group, which has no IOMMU
     */
    public Optional<DmaDirtyTracking> dirtyTracking() throws VfioException {
        long pageSizes = Type1Info.read(descriptor).dirtyPageSizes();
        if (pageSizes == 0) {
            return Optional.empty();
        }
        long smallest = Long.lowestOneBit(pageSizes);
        if (Long.compareUnsigned(smallest, SMALLEST_PAGE) < 0) {
            throw new VfioException("VFIO_IOMMU_GET_INFO", null,
                    "The kernel's answer is malformed: dirty pages of " + smallest + " bytes");
        }
        return Optional.of(new DmaDirtyTracking(descriptor, smallest));
    }

    /**
     * Asks for an extension ({@code VFIO_CHECK_EXTENSION}); the answer may change when the first device is opened.
     *
     * @param extension
     *            its number in {@code vfio.h}, for example 3 for {@code VFIO_TYPE1v2_IOMMU}
     * @return true if the kernel has it
     * @throws VfioException
     *             if the kernel could not be asked
     */
    public boolean supports(int extension) throws VfioException {
        return Verdict.check("VFIO_CHECK_EXTENSION " + extension,
                descriptor.ioctl(VFIO_CHECK_EXTENSION(), MemorySegment.ofAddress(extension))) > 0;
    }

    /** A group is about to go. */
    void forget(VfioGroup group) {
        groups.values().remove(group);
        if (groups.isEmpty()) {
            dma.lose();
        } else {
            dma.change();
        }
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
     * Closes the devices, the groups and the container, with which all mappings end, and frees the memory that is this
     * library's, once.
     *
     * @throws VfioException
     *             the first error of close(2); everything is closed all the same
     */
    @Override
    public void close() throws VfioException {
        List<Closing.Part> parts = new ArrayList<>();
        synchronized (this) {
            closing = true;
            groups.values().forEach(group -> parts.add(group::close));
        }
        parts.add(descriptor::close);
        parts.add(dma::close);
        Closing.all(parts);
    }

    /** The container's groups, for messages. */
    @Override
    public synchronized String toString() {
        return "container of groups " + groups.keySet();
    }
}
