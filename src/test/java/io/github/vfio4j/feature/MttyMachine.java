package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.UUID;
import java.util.function.UnaryOperator;

/** A machine with one mtty, which is open; closing finds out whether anything else was left open. */
public final class MttyMachine implements AutoCloseable {

    /** The device's name. */
    public static final UUID NAME = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    private static final int STANDARD_DESCRIPTORS = 3;
    private static final int CONTAINER_GROUP_AND_DEVICE = 3;

    private final EmulatedProcess process;
    private final VfioContainer container;
    private final VfioDevice device;

    /**
     * @param front
     *            stands between the program and the kernel
     */
    public MttyMachine(KernelProfile profile, int ports, UnaryOperator<IoctlBackend> front) throws VfioException {
        process = EmulatedKernel.builder(profile).mtty(NAME, ports).build().newProcess();
        container = Vfio.using(front.apply(process)).openContainer();
        device = container.openMediatedDevice(NAME);
    }

    public MttyMachine(KernelProfile profile, int ports) throws VfioException {
        this(profile, ports, UnaryOperator.identity());
    }

    public VfioDevice device() {
        return device;
    }

    /** Descriptors beyond those that are always open here. */
    public int leaked() {
        return process.openDescriptors() - STANDARD_DESCRIPTORS - CONTAINER_GROUP_AND_DEVICE;
    }

    @Override
    public void close() throws VfioException {
        assertThat(leaked()).as("descriptors left open").isZero();
        container.close();
        assertThat(process.openDescriptors()).as("descriptors left open").isEqualTo(STANDARD_DESCRIPTORS);
    }
}
