package io.github.vfio4j.conformance;

import java.util.List;

/** The suite on test beds that are known only when it is run. */
final class DeviceConformance extends FeatureConformance {

    private static volatile List<TestBed> beds = List.of();

    /** Says what the next run is to examine. */
    static void examine(List<TestBed> testBeds) {
        beds = List.copyOf(testBeds);
    }

    @Override
    protected List<TestBed> testBeds() {
        return beds;
    }
}
