package io.github.vfio4j.conformance;

import org.junit.jupiter.api.Tag;

/** The kernel's scenarios on a real kernel, compared call by call with the emulated one; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLanePciDeviceTest extends PciDeviceContract {

    @Override
    Machine machine() {
        return KernelLaneApiTest.current();
    }

    @Override
    void readData(Runnable calls) {
        KernelLaneApiTest.current().comparison().withoutData(calls);
    }
}
