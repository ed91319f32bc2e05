package io.github.vfio4j.conformance;

import io.github.vfio4j.emulation.KernelProfile;

/**
 * A kernel of the kernel lane, and what it should answer like.
 *
 * @param name
 *            its name there, for example {@code 6.12}, or {@code full-7.2} for the kernel with everything
 * @param profile
 *            the emulated kernel to compare with
 */
record LaneKernel(String name, KernelProfile profile) {

    private static final String FULL = "full-";

    /** The kernel of a name. */
    static LaneKernel of(String name) {
        return name.startsWith(FULL)
                ? new LaneKernel(name, KernelProfile.of(name.substring(FULL.length())).withIommufdDriver().withCdev())
                : new LaneKernel(name, KernelProfile.of(name));
    }

    @Override
    public String toString() {
        return name;
    }
}
