package io.github.vfio4j.feature;

import io.github.vfio4j.VfioException;

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
}
