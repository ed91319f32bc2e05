package io.github.vfio4j.feature;

import io.github.vfio4j.VfioException;
import java.lang.foreign.Arena;

/** Who carries feature requests out; a {@link io.github.vfio4j.VfioDevice}. */
public interface FeatureTarget {

    /**
     * Carries a request out.
     *
     * @param request
     *            the request; its data is rewritten if the feature returns some
     * @return what the ioctl returned, 0 or more; for {@link FeatureId#DMA_BUF} a new descriptor
     * @throws VfioException
     *             if the kernel refuses
     */
    int execute(FeatureRequest request) throws VfioException;

    /**
     * Asks whether there is a feature, and what it can be asked to do. Nothing is read from the device or changed.
     *
     * @param feature
     *            the feature
     * @return the answer, a refusal included
     */
    FeatureSupport probe(FeatureId feature);

    /**
     * Takes a descriptor that a feature has brought into custody: it is closed by the object that is returned, and not
     * by the device.
     *
     * @param fd
     *            the descriptor as the kernel returned it
     * @param name
     *            what it is, for messages
     * @return its owner
     */
    OwnedDescriptor own(int fd, String name);

    /**
     * Asks whether a feature can be asked to do something.
     *
     * @param feature
     *            the feature
     * @param operation
     *            GET or SET
     * @return false if the device, its driver or the kernel does not have it
     * @throws VfioException
     *             if the device could not be asked, for example {@code EIO} from one that can't be woken
     */
    default boolean supports(FeatureId feature, FeatureOperation operation) throws VfioException {
        FeatureSupport support = probe(feature);
        if (support instanceof FeatureSupport.Failed failed) {
            throw new VfioException("probe " + feature, failed.errno(), "The device could not be asked; see dmesg");
        }
        return support.supports(operation);
    }

    /**
     * Reads a feature's data. For features without a class of their own.
     *
     * @param feature
     *            any feature with GET
     * @param codec
     *            how the value stands in the data
     * @param <T>
     *            its type
     * @return the value
     * @throws VfioException
     *             if the kernel refuses
     * @throws IllegalArgumentException
     *             if neither the feature nor the codec's {@link PayloadCodec#answerSize answerSize} says how much data
     *             there will be
     */
    default <T> T get(FeatureId feature, PayloadCodec<T> codec) throws VfioException {
        long size = Math.max(feature.minimumPayload(), codec.answerSize());
        if (size == 0) {
            throw new IllegalArgumentException(
                    "How much data " + feature + " returns is not known: let the codec say so by its answerSize()");
        }
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(feature).get().payloadSize(size).allocate(arena);
            execute(request);
            return request.get(codec);
        }
    }

    /**
     * Hands a feature's data over. For features without a class of their own.
     *
     * @param feature
     *            any feature with SET
     * @param codec
     *            how the value stands in the data
     * @param value
     *            the value; the native copy is overwritten after the call
     * @param <T>
     *            its type
     * @throws VfioException
     *             if the kernel refuses
     */
    default <T> void set(FeatureId feature, PayloadCodec<T> codec, T value) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            FeatureRequest request = FeatureRequest.of(feature).set().payload(codec, value).allocate(arena);
            try {
                execute(request);
            } finally {
                request.clearPayload();
            }
        }
    }

    /**
     * Triggers what a feature without data stands for.
     *
     * @param feature
     *            any feature with a SET that takes no data
     * @throws VfioException
     *             if the kernel refuses
     * @throws IllegalArgumentException
     *             if the feature takes data
     */
    default void set(FeatureId feature) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            execute(FeatureRequest.of(feature).set().payloadSize(0).allocate(arena));
        }
    }
}
