package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;

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
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.ref.Reference;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An open VFIO device. Safe for use by many threads; closing waits for the calls under way and refuses later ones with
 * an {@link IllegalStateException}.
 */
public final class VfioDevice implements FeatureTarget, AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(VfioDevice.class);

    private final Descriptor descriptor;
    private final Closing.Part afterwards;

    /**
     * A device on an open descriptor.
     *
     * @param afterwards
     *            closed after the device, as often as that is
     */
    VfioDevice(Descriptor descriptor, Closing.Part afterwards) {
        this.descriptor = descriptor;
        this.afterwards = afterwards;
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
        int result = send(request.segment(), request.pointees());
        if (LOG.isDebugEnabled()) {
            LOG.debug("{}: {} -> {}", descriptor.name(), request, result);
        }
        return result;
    }

    private int send(MemorySegment argument, MemorySegment[] pointees) {
        try {
            return descriptor.ioctl(VFIO_DEVICE_FEATURE(), argument, pointees);
        } finally {
            // To the JVM nobody uses what only a pointer in the argument leads to.
            Reference.reachabilityFence(pointees);
        }
    }

    @Override
    public FeatureSupport probe(FeatureId feature) {
        try (Arena arena = Arena.ofConfined()) {
            return Verdict.probe(feature, operations -> {
                FeatureRequest.Builder probe = FeatureRequest.of(feature).probe();
                operations.forEach(probe::operation);
                return executeRaw(probe.allocate(arena));
            });
        }
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
     * Resets the device ({@code VFIO_DEVICE_RESET}). A migration under way is over then and the device
     * {@link io.github.vfio4j.feature.MigrationState#RUNNING RUNNING}, which is the only way out of ERROR and out of an
     * incomplete restore. Neither the VF token nor low power is touched (semantics §E.4).
     *
     * @throws VfioException
     *             {@code EINVAL} if it can't be reset by itself, {@code EAGAIN} if something else is just resetting it
     */
    public void reset() throws VfioException {
        Verdict.check("VFIO_DEVICE_RESET of " + descriptor.name(),
                descriptor.ioctl(VFIO_DEVICE_RESET(), MemorySegment.NULL),
                Map.of(Errno.ENOTTY, "Its driver knows no reset", Errno.EINVAL,
                        "The function can't be reset by itself, only with its whole bus", Errno.EAGAIN,
                        "Something else is just resetting it; try again"));
    }

    /**
     * Closes the device, once; waits for calls under way. A group that was opened only for it is closed too.
     *
     * @throws VfioException
     *             if close(2) reports an error; the device is closed all the same
     */
    @Override
    public void close() throws VfioException {
        Closing.all(List.of(descriptor::close, afterwards));
    }

    /** The device's name, for example {@code device 0000:01:00.0}. */
    @Override
    public String toString() {
        return descriptor.name();
    }
}
