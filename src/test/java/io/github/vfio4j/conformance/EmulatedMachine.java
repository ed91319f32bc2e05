package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.time.Duration;

/** An emulated machine whose clock is moved by hand. */
final class EmulatedMachine implements Machine {

    private final EmulatedKernel kernel;
    private final IoctlBackend backend;

    EmulatedMachine(KernelProfile profile) {
        this(EmulatedKernel.builder(profile)
                .pciFunction("0000:01:00.0", function -> function.sriov(2).memoryBar(0, 16384))
                .pciFunction("0000:02:00.0", function -> function.memoryBar(0, 1 << 20))
                .pciFunction("0000:03:00.0", function -> function.unbound().memoryBar(0, 16384)).build());
    }

    private EmulatedMachine(EmulatedKernel kernel) {
        this(kernel, kernel.newProcess());
    }

    /** A kernel with such functions, and a process of it or what stands in front of one. */
    EmulatedMachine(EmulatedKernel kernel, IoctlBackend backend) {
        this.kernel = kernel;
        this.backend = backend;
    }

    /** How many descriptors are open, the three standard ones included. */
    int openDescriptors() {
        return kernel.processes().stream().mapToInt(EmulatedProcess::openDescriptors).sum();
    }

    @Override
    public IoctlBackend backend() {
        return backend;
    }

    @Override
    public String kernel() {
        return kernel.profile().version();
    }

    @Override
    public KernelProfile profile() {
        return kernel.profile();
    }

    @Override
    public PciAddress physicalFunction() {
        return PciAddress.parse("0000:01:00.0");
    }

    @Override
    public PciAddress plainFunction() {
        return PciAddress.parse("0000:02:00.0");
    }

    @Override
    public PciAddress unboundFunction() {
        return PciAddress.parse("0000:03:00.0");
    }

    @Override
    public void pause(Duration time) {
        kernel.advance(time);
    }
}
