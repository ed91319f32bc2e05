package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_PROBE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;

import io.github.vfio4j.device.DeviceInfo;
import io.github.vfio4j.device.DeviceInterrupts;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.DeviceViews;
import io.github.vfio4j.device.HotResetInfo;
import io.github.vfio4j.device.PciConfigSpace;
import io.github.vfio4j.device.PciIrq;
import io.github.vfio4j.feature.BusMasterFeature;
import io.github.vfio4j.feature.DmaBufFeature;
import io.github.vfio4j.feature.DmaLoggingFeature;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import io.github.vfio4j.feature.FeatureTarget;
import io.github.vfio4j.feature.LowPowerFeature;
import io.github.vfio4j.feature.MigrationFeature;
import io.github.vfio4j.feature.OwnedDescriptor;
import io.github.vfio4j.feature.VfTokenFeature;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * An open VFIO device. Safe for use by many threads; closing waits for the calls under way and refuses later ones with
 * an {@link IllegalStateException}.
 */
public final class VfioDevice implements FeatureTarget, AutoCloseable {

    /** What a device was opened through. */
    interface Owner {

        /** The device has been closed. */
        void closed(VfioDevice device) throws VfioException;

        /** The group, which is evidence that all its devices are the program's; none for other owners. */
        default Optional<Descriptor> group() {
            return Optional.empty();
        }
    }

    private static final String ASLEEP = "the device was put into low power; call LowPowerFeature.exit()";

    private final Descriptor descriptor;
    private final Owner owner;
    private final DeviceViews views = new DeviceViews();
    private final OpenDevice handle;
    private final Map<PciIrq, DeviceInterrupts> interrupts = new EnumMap<>(PciIrq.class);
    private boolean asleep;

    /**
     * A device on an open descriptor.
     *
     * @param owner
     *            what it was opened through, which is told when it is closed, as often as that is
     */
    VfioDevice(Descriptor descriptor, Owner owner) {
        this.descriptor = descriptor;
        this.owner = owner;
        handle = new OpenDevice(descriptor, views);
    }

    /**
     * Carries a feature request out (ioctl(2) with {@code VFIO_DEVICE_FEATURE}).
     *
     * @throws VfioException
     *             if the kernel refuses: {@code ENOTTY} if there is no such feature, {@code EINVAL} for an operation the
     *             feature does not have or data it does not take, {@code EFAULT} for too little memory, and what the
     *             feature's driver answers
     * @throws IllegalStateException
     *             if the device, or the memory of the request, is closed
     */
    @Override
    public int execute(FeatureRequest request) throws VfioException {
        return Verdict.check(request, executeRaw(request));
    }

    /**
     * Carries a feature request out and hands on what the kernel answers, as it is. For conformance work.
     *
     * @param request
     *            any request, a {@linkplain FeatureRequest#raw raw} one too
     * @return ≥ 0, or −errno
     */
    public int executeRaw(FeatureRequest request) {
        if (!request.isAlive()) {
            throw new IllegalStateException(
                    "The memory of this feature request is closed: allocate the request, and what"
                            + " it points to, in an arena that lives as long as it is used");
        }
        return changesSleep(request) ? sleepOrWake(request) : send(request.segment(), request.pointees());
    }

    private int send(MemorySegment argument, MemorySegment[] pointees) {
        try {
            return descriptor.ioctl(VFIO_DEVICE_FEATURE(), argument, pointees);
        } finally {
            // To the JVM nobody uses what only a pointer in the argument leads to.
            Reference.reachabilityFence(pointees);
        }
    }

    private static boolean changesSleep(FeatureRequest request) {
        int flags = request.flags();
        if ((flags & (VFIO_DEVICE_FEATURE_SET() | VFIO_DEVICE_FEATURE_PROBE())) != VFIO_DEVICE_FEATURE_SET()) {
            return false;
        }
        FeatureId feature = request.feature();
        return feature.equals(FeatureId.LOW_POWER_ENTRY) || feature.equals(FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP)
                || feature.equals(FeatureId.LOW_POWER_EXIT);
    }

    /** Before the device sleeps there are no views any more, and there are none until somebody has ended that. */
    private int sleepOrWake(FeatureRequest request) {
        synchronized (views) {
            boolean entry = !request.feature().equals(FeatureId.LOW_POWER_EXIT);
            if (entry) {
                views.forbid(ASLEEP);
            }
            int result = send(request.segment(), request.pointees());
            if (result >= 0) {
                asleep = entry;
            }
            if (!asleep) {
                views.allow();
            }
            return result;
        }
    }

    @Override
    public FeatureSupport probe(FeatureId feature) {
        return ProbeRequest.send(this, feature);
    }

    /**
     * Probes every feature this library knows by name.
     *
     * @return one answer for each of {@link FeatureId#known}, in order
     */
    public List<FeatureSupport> probeAll() {
        return FeatureId.known().stream().map(this::probe).toList();
    }

    /**
     * The VF token of an SR-IOV physical function.
     *
     * @return empty if the device has none
     * @throws VfioException
     *             if the device could not be asked
     */
    public Optional<VfTokenFeature> vfToken() throws VfioException {
        return VfTokenFeature.of(this);
    }

    /**
     * Its migration: the states, and the data of a save or a restore.
     *
     * @return empty if the device has none of that
     * @throws VfioException
     *             if the device could not be asked
     */
    public Optional<MigrationFeature> migration() throws VfioException {
        return MigrationFeature.of(this);
    }

    /**
     * The logging of its DMA writes.
     *
     * @return empty if the device has none of that
     * @throws VfioException
     *             if the device could not be asked
     */
    public Optional<DmaLoggingFeature> dmaLogging() throws VfioException {
        return DmaLoggingFeature.of(this);
    }

    /**
     * Its low power.
     *
     * @return empty if the device has none of that
     * @throws VfioException
     *             if the device could not be asked
     */
    public Optional<LowPowerFeature> lowPower() throws VfioException {
        return LowPowerFeature.of(this);
    }

    /**
     * The export of its memory as a DMA-buf.
     *
     * @return empty if the device has none of that
     * @throws VfioException
     *             if the device could not be asked
     */
    public Optional<DmaBufFeature> dmaBuf() throws VfioException {
        return DmaBufFeature.of(this);
    }

    /**
     * Its bus master switch, which CDX devices have.
     *
     * @return empty if the device has none of that
     * @throws VfioException
     *             if the device could not be asked
     */
    public Optional<BusMasterFeature> busMaster() throws VfioException {
        return BusMasterFeature.of(this);
    }

    @Override
    public OwnedDescriptor own(int fd, String name) {
        return descriptor.sibling(fd, name);
    }

    /**
     * What it is ({@code VFIO_DEVICE_GET_INFO}).
     *
     * @return flags, counts and capabilities
     * @throws VfioException
     *             if the kernel refuses, or its answer is malformed
     */
    public DeviceInfo info() throws VfioException {
        return DeviceInfo.of(handle);
    }

    /**
     * A region of it ({@code VFIO_DEVICE_GET_REGION_INFO}).
     *
     * @param index
     *            of a PCI device, 0‥5 are the BARs; {@link DeviceRegion} has names for the others
     * @return the region; one of size 0 if the device does not have it
     * @throws VfioException
     *             {@code EINVAL} if there is no such index
     */
    public DeviceRegion region(int index) throws VfioException {
        return DeviceRegion.of(handle, index);
    }

    /**
     * The regions it has.
     *
     * @return those whose size is not 0, in the order of their numbers
     * @throws VfioException
     *             if the device could not be asked
     */
    public List<DeviceRegion> regions() throws VfioException {
        return DeviceRegion.all(handle);
    }

    /**
     * Its configuration space.
     *
     * @return the same registers each time
     * @throws VfioException
     *             if it is no PCI device
     */
    public PciConfigSpace config() throws VfioException {
        return PciConfigSpace.of(handle);
    }

    /**
     * Its interrupts of one kind.
     *
     * @param kind
     *            which
     * @return the same object each time; closed with the device
     */
    public DeviceInterrupts interrupts(PciIrq kind) {
        synchronized (interrupts) {
            if (!descriptor.isOpen()) {
                throw new IllegalStateException(descriptor.name() + " is closed; open it again to use it");
            }
            return interrupts.computeIfAbsent(kind, absent -> DeviceInterrupts.of(handle, absent));
        }
    }

    /**
     * Resets the device ({@code VFIO_DEVICE_RESET}); its views are closed first. A migration under way is over then and
     * the device {@link io.github.vfio4j.feature.MigrationState#RUNNING RUNNING}, which is the only way out of ERROR and
     * out of an incomplete restore. Neither the VF token nor low power is touched, interrupts stay switched on, and
     * configuration space is as before (semantics §E.4).
     *
     * @throws VfioException
     *             {@code EINVAL} if it can't be reset by itself, {@code EAGAIN} if something else is just resetting it
     */
    public void reset() throws VfioException {
        views.closeAllFor("the device was reset",
                () -> Verdict.check("VFIO_DEVICE_RESET of " + descriptor.name(),
                        descriptor.ioctl(VFIO_DEVICE_RESET(), MemorySegment.NULL),
                        Map.of(Errno.ENOTTY, "Its driver knows no reset", Errno.EINVAL,
                                "The function can't be reset by itself, only with its whole bus", Errno.EAGAIN,
                                "Something else is just resetting it; try again")));
    }

    /**
     * What is reset with it by {@link #hotReset} ({@code VFIO_DEVICE_GET_PCI_HOT_RESET_INFO}).
     *
     * @return the functions on its slot or bus
     * @throws VfioException
     *             {@code ENODEV} if neither its slot nor its bus can be reset
     */
    public HotResetInfo hotResetInfo() throws VfioException {
        return HotResetInfo.of(handle);
    }

    /**
     * Resets the slot or bus of a PCI function with everything on it ({@code VFIO_DEVICE_PCI_HOT_RESET}): where a function
     * can't be reset by itself, this is the way. The views of all devices that are named are closed first.
     *
     * @param others
     *            the other devices that are reset with it, at least one of each IOMMU group; the group, if it was opened
     *            through one, is shown to the kernel as evidence that they are the program's. Of devices that were opened
     *            through an {@link Iommufd} the kernel knows by itself which are the program's; the views of those that are
     *            not named stay, of memory that has been reset
     * @throws VfioException
     *             {@code EINVAL} if it reaches functions of other groups, such as have another driver, or such as were not
     *             opened through the same {@link Iommufd}; {@code ENODEV} if neither slot nor bus can be reset;
     *             {@code ENOTTY} if a link has not come up again after the reset
     */
    public void hotReset(VfioDevice... others) throws VfioException {
        List<VfioDevice> reached = new ArrayList<>(List.of(others));
        reached.add(this);
        new HotReset(this, reached).carryOut();
    }

    DeviceViews views() {
        return views;
    }

    OpenDevice handle() {
        return handle;
    }

    Optional<Descriptor> groupDescriptor() {
        return owner.group();
    }

    /**
     * Closes the device, once, with its views and interrupts; waits for calls under way. A group that was opened only for
     * it is closed too.
     *
     * @throws VfioException
     *             if close(2) reports an error; the device is closed all the same
     */
    @Override
    public void close() throws VfioException {
        Closing.all(List.of(this::closeWithoutGroup, () -> owner.closed(this)));
    }

    /** The closing by what it was opened through. */
    void closeWithoutGroup() throws VfioException {
        Closing.all(List.of(this::closeParts, descriptor::close));
    }

    /** What has been made of the device and can't be used without. */
    private void closeParts() throws VfioException {
        views.forbid("the device was closed");
        List<Closing.Part> parts = new ArrayList<>();
        synchronized (interrupts) {
            interrupts.values().forEach(part -> parts.add(part::close));
        }
        Closing.all(parts);
    }

    /** The device's name, for example {@code device 0000:01:00.0}. */
    @Override
    public String toString() {
        return descriptor.name();
    }
}
