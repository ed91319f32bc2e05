package io.github.vfio4j.feature;

/** Takes the ranges that a device has written to. */
@FunctionalInterface
public interface DirtyRangeConsumer {

    /**
     * Takes one.
     *
     * @param iova
     *            where it begins
     * @param length
     *            bytes
     */
    void accept(long iova, long length);
}
