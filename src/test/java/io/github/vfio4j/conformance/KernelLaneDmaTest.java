package io.github.vfio4j.conformance;

import io.github.vfio4j.Vfio;
import org.junit.jupiter.api.Tag;

/** DMA mappings on a real kernel, compared call by call with the emulated one; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLaneDmaTest extends DmaContract {

    @Override
    Machine machine() {
        return KernelLaneApiTest.current();
    }

    @Override
    Vfio uncompared() {
        return Vfio.using(KernelLaneApiTest.current().comparison().kernels().getFirst());
    }
}
