package io.github.vfio4j.conformance;

import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.TranscriptException;
import java.util.List;
import java.util.Set;

/** The devices of the emulated machine, to try the kit without hardware: one of each kind. */
final class EmulatedTargets {

    private static final String PHYSICAL_FUNCTION = "0000:01:00.0";
    private static final String PLAIN_FUNCTION = "0000:02:00.0";
    private static final String VIRTUAL_FUNCTION = "0000:03:00.1";
    private static final String MTTY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
    private static final String MDPY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1003";

    static final List<String> NAMES = List.of(PHYSICAL_FUNCTION, PLAIN_FUNCTION, VIRTUAL_FUNCTION, MTTY, MDPY);

    private EmulatedTargets() {
    }

    static List<DeviceUnderTest> on(KernelProfile kernel, List<String> names, Set<FeatureId> excluded) {
        Environment environment = environment(kernel);
        return names.stream().map(name -> DeviceUnderTest.emulated(name, environment, excluded)).toList();
    }

    private static Environment environment(KernelProfile kernel) {
        try {
            return Environment.parse("""
                    {"transcript":1,"kernel":"%s","release":"emulated %s","devices":[\
                    {"kind":"pci","name":"%s","group":4,"driver":"vfio-pci","sriov":{"totalVfs":2},\
                    "bars":[{"index":0,"size":16384,"kind":"memory"}]},\
                    {"kind":"pci","name":"%s","group":5,"driver":"vfio-pci",\
                    "bars":[{"index":0,"size":4096,"kind":"memory"}]},\
                    {"kind":"pci","name":"0000:03:00.0","group":6,"driver":"nvme","sriov":{"totalVfs":1,"numVfs":1},\
                    "bars":[{"index":0,"size":16384,"kind":"memory"}]},\
                    {"kind":"pci","name":"%s","group":7,"driver":"vfio-pci","virtualFunctionOf":"0000:03:00.0"},\
                    {"kind":"mtty","name":"%s","group":8,"ports":1},\
                    {"kind":"mdpy","name":"%s","group":9}]}""".formatted(kernel.version(), kernel.version(),
                    PHYSICAL_FUNCTION, PLAIN_FUNCTION, VIRTUAL_FUNCTION, MTTY, MDPY));
        } catch (TranscriptException e) {
            throw new AssertionError("the emulated machine is well-formed", e);
        }
    }
}
