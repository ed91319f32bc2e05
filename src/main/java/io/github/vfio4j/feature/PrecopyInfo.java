package io.github.vfio4j.feature;

/**
 * How much there is to be read in pre-copy, as the device estimates it (struct vfio_precopy_info of {@code vfio.h};
 * semantics §C). It says nothing about how much is left for STOP_COPY.
 *
 * @param initialBytes
 *            left of what should be read before the device is stopped, so that it is stopped for a short time only;
 *            falls to 0
 * @param dirtyBytes
 *            what has changed since it was read; goes up and down
 * @param reinitialized
 *            whether the device has begun anew with its initial bytes; only told after
 *            {@link MigrationFeature#optInToPrecopyInfoV2}
 */
public record PrecopyInfo(long initialBytes, long dirtyBytes, boolean reinitialized) {

    /**
     * Both together.
     *
     * @return bytes, at most {@link Long#MAX_VALUE}
     */
    public long remainingBytes() {
        long sum = initialBytes + dirtyBytes;
        return initialBytes < 0 || dirtyBytes < 0 || sum < 0 ? Long.MAX_VALUE : sum;
    }
}
