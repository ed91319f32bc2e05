package io.github.vfio4j.examples.guide;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.conformance.FeatureConformance;
import io.github.vfio4j.conformance.TestBed;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;

/** The conformance test of docs/conformance.md: a device model, held to what VFIO promises of every device. */
class ThermometerConformanceTest extends FeatureConformance {

    @Override
    protected List<TestBed> testBeds() {
        EmulatedKernel.Builder machine = EmulatedKernel.builder(KernelProfile.LINUX_7_2);
        new ThermometerTest.Machine().addTo(machine);
        EmulatedKernel kernel = machine.build();
        return List.of(TestBed.on("the model", kernel::newProcess).device(PciAddress.parse("0000:02:00.0")));
    }
}
