package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;

import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import io.github.vfio4j.feature.FeatureTarget;
import io.github.vfio4j.feature.VfTokenFeature;
import java.lang.foreign.Arena;
import java.util.List;
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
        if (!request.segment().scope().isAlive()) {
            throw new IllegalStateException("The memory of this feature request is closed: allocate the request in an"
                    + " arena that lives as long as it is used");
        }
        int result = descriptor.ioctl(VFIO_DEVICE_FEATURE(), request.segment());
        if (LOG.isDebugEnabled()) {
            LOG.debug("{}: {} -> {}", descriptor.name(), request, result);
        }
        return result;
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
