package io.github.vfio4j.conformance;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;
import java.util.stream.Stream;

/** The suite on every device of every emulated kernel. */
class EmulatedFeatureConformanceTest extends FeatureConformance {

    @Override
    protected List<TestBed> testBeds() {
        return KernelProfile.all().stream()
                .flatMap(profile -> Stream.of(TestBed.emulated(profile), TestBed.emulatedVirtualFunction(profile)))
                .toList();
    }
}
