package io.github.vfio4j.feature;

import java.lang.foreign.MemorySegment;

/**
 * How a value stands in the data of a feature request, behind the header. A codec for a feature this library does not
 * know is written like those it has; values are in the byte order of the machine, as in {@code vfio.h}.
 *
 * @param <T>
 *            the value
 */
public interface PayloadCodec<T> {

    /**
     * How many bytes a value takes.
     *
     * @param value
     *            the value to be laid out
     * @return bytes, at least the feature's {@link FeatureId#minimumPayload minimum}
     */
    long byteSize(T value);

    /**
     * How much room the kernel needs for a value that it returns.
     *
     * @return bytes; 0 unless overridden, which leaves it to the feature's {@link FeatureId#minimumPayload minimum}, and
     *         so will not do for a feature that this library does not know
     */
    default long answerSize() {
        return 0;
    }

    /**
     * Lays a value out.
     *
     * @param value
     *            the value
     * @param payload
     *            at least {@link #byteSize} bytes
     */
    void encode(T value, MemorySegment payload);

    /**
     * Reads a value.
     *
     * @param payload
     *            the data as the kernel left it
     * @return the value; it does not refer to the payload
     */
    T decode(MemorySegment payload);
}
