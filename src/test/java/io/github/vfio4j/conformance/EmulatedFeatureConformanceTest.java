package io.github.vfio4j.conformance;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;

/** The suite on every device of every emulated kernel. */
class EmulatedFeatureConformanceTest extends FeatureConformance {

    @Override
    protected List<TestBed> testBeds() {
        return KernelProfile.all().stream().map(TestBed::emulated).toList();
    }
}
