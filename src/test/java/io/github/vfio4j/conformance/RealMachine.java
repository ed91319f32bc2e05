package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.trace.Environment;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.locks.LockSupport;

/** The machine this runs on, with an emulated twin beside it that has the same devices in the same groups. */
final class RealMachine implements Machine {

    private final KernelProfile profile;
    private final List<PciAddress> functions;
    private final DifferentialBackend backend;

    /**
     * The functions are the SR-IOV physical one, the plain one, and the one without a driver; the backend is the
     * native one, or one in front of it.
     */
    RealMachine(Environment environment, List<PciAddress> functions, IoctlBackend real) {
        this.functions = functions;
        EmulatedKernel twin = environment.boot(System::nanoTime);
        profile = twin.profile();
        backend = new DifferentialBackend(real, twin.newProcess());
    }

    /** What both kernels have been asked, and where they differ. */
    DifferentialBackend comparison() {
        return backend;
    }

    @Override
    public IoctlBackend backend() {
        return backend;
    }

    @Override
    public String kernel() {
        return profile.version();
    }

    @Override
    public KernelProfile profile() {
        return profile;
    }

    @Override
    public PciAddress physicalFunction() {
        return functions.get(0);
    }

    @Override
    public PciAddress plainFunction() {
        return functions.get(1);
    }

    @Override
    public PciAddress unboundFunction() {
        return functions.get(2);
    }

    @Override
    public void pause(Duration time) {
        long end = System.nanoTime() + time.toNanos();
        while (System.nanoTime() < end) {
            LockSupport.parkNanos(end - System.nanoTime());
        }
    }
}
