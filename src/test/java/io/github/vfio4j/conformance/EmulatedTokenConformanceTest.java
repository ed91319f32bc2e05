package io.github.vfio4j.conformance;

import io.github.vfio4j.emulation.KernelProfile;
import java.util.List;

/** VF tokens on every emulated kernel. */
class EmulatedTokenConformanceTest extends TokenConformance {

    @Override
    protected List<Sriov> kernels() {
        return KernelProfile.all().stream().map(profile -> {
            EmulatedMachine machine = new EmulatedMachine(profile);
            return new Sriov(profile.version(), machine::backend, machine.physicalFunction());
        }).toList();
    }
}
