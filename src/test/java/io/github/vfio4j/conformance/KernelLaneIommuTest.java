package io.github.vfio4j.conformance;

import org.junit.jupiter.api.Tag;

/** Containers and iommufds on a real kernel, compared call by call with the emulated one; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLaneIommuTest extends IommuContract {

    @Override
    Machine machine() {
        return KernelLaneApiTest.current();
    }
}
