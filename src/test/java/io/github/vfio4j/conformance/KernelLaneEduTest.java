package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.emulation.KernelProfile;
import org.junit.jupiter.api.Tag;

/** A driver on QEMU's own educational device, by a real kernel's VFIO and IOMMU; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLaneEduTest extends EduContract {

    @Override
    Vfio vfio() {
        return Vfio.open();
    }

    @Override
    PciAddress address() {
        return KernelLaneApiTest.current().plainFunction();
    }

    @Override
    KernelProfile kernel() {
        return KernelLaneApiTest.current().profile();
    }
}
