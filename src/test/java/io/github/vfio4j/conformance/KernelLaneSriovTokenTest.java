package io.github.vfio4j.conformance;

import org.junit.jupiter.api.Tag;

/** VF tokens on a real kernel, compared call by call with the emulated one; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLaneSriovTokenTest extends SriovTokenContract {

    @Override
    Machine machine() {
        return KernelLaneApiTest.current();
    }
}
