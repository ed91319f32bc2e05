package io.github.vfio4j.conformance;

import java.util.List;

/** VF tokens on a real kernel, compared call by call with the emulated one; run by {@link KernelLane}. */
class KernelLaneTokenConformance extends TokenConformance {

    @Override
    protected List<Sriov> kernels() {
        Machine machine = KernelLaneApiTest.current();
        return List.of(new Sriov(machine.kernel(), machine::backend, machine.physicalFunction()));
    }
}
