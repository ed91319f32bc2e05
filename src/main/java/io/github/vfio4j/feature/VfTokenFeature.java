package io.github.vfio4j.feature;

import io.github.vfio4j.VfToken;
import io.github.vfio4j.VfioException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * Feature 0, {@code PCI_VF_TOKEN}: the owner of an SR-IOV physical function sets the token that others need to open its
 * virtual functions (device-feature semantics §B.1, §D). Safe for use by many threads.
 */
public final class VfTokenFeature {

    /** The 16 bytes of a token, in text order. */
    public static final PayloadCodec<VfToken> CODEC = new Codec();

    private final FeatureTarget device;

    private VfTokenFeature(FeatureTarget device) {
        this.device = device;
    }

    /**
     * The feature of a device.
     *
     * @param device
     *            any device
     * @return empty if it has no VF token: it is not an SR-IOV physical function, or the kernel has no such thing
     * @throws VfioException
     *             if the device could not be asked, for example {@code EIO} from one that can't be woken
     */
    public static Optional<VfTokenFeature> of(FeatureTarget device) throws VfioException {
        return device.supports(FeatureId.PCI_VF_TOKEN, FeatureOperation.SET)
                ? Optional.of(new VfTokenFeature(device))
                : Optional.empty();
    }

    /**
     * Replaces the token. Virtual functions that are open stay open; whoever opens one from now on needs this token. It
     * outlives this device object: the kernel forgets it when the driver is unbound.
     *
     * @param token
     *            any token; the native copy is overwritten after the call
     * @throws VfioException
     *             if the kernel refuses
     */
    public void set(VfToken token) throws VfioException {
        device.set(FeatureId.PCI_VF_TOKEN, CODEC, token);
    }

    private static final class Codec implements PayloadCodec<VfToken> {

        @Override
        public long byteSize(VfToken value) {
            return VfToken.BYTE_SIZE;
        }

        @Override
        public void encode(VfToken value, MemorySegment payload) {
            value.copyTo(payload);
        }

        @Override
        public VfToken decode(MemorySegment payload) {
            return VfToken.of(payload.asSlice(0, VfToken.BYTE_SIZE).toArray(ValueLayout.JAVA_BYTE));
        }
    }
}
