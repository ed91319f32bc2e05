package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The machine is described twice: as it is booted, and as it stands in a transcript. */
class ExampleMachineTest {

    private interface Opening {
        VfioDevice in(VfioContainer container) throws VfioException;
    }

    /** All that can be seen of a kernel's devices. */
    private static List<Object> seen(EmulatedKernel kernel) throws VfioException {
        List<Object> seen = new ArrayList<>(List.of(kernel.profile(), kernel.pciFunctions()));
        try (EmulatedProcess process = kernel.newProcess()) {
            Vfio vfio = Vfio.using(process);
            for (PciAddress function : kernel.pciFunctions()) {
                seen.add(vfio.pciDevice(function).driver());
                seen.add(vfio.pciDevice(function).iommuGroup());
                seen.add(vfio.pciDevice(function).physicalFunction());
                if (vfio.pciDevice(function).driver().equals(Optional.of("vfio-pci"))) {
                    seen.addAll(seen(vfio, container -> container.openDevice(function)));
                }
            }
            PciAddress owner = ExampleMachine.PHYSICAL_FUNCTION;
            vfio.pciDevice(owner).setSriovNumVfs(2);
            seen.add(vfio.pciDevice(owner).virtualFunction(0));
            seen.add(vfio.pciDevice(owner).virtualFunction(1));
            seen.addAll(seen(vfio, container -> container
                    .openMediatedDevice(UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"))));
        }
        return seen;
    }

    private static List<Object> seen(Vfio vfio, Opening opening) throws VfioException {
        try (VfioContainer container = vfio.openContainer(); VfioDevice device = opening.in(container)) {
            return List.of(device.probeAll(), device.info().toString(), device.regions().toString());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.7", "6.1", "6.12", "7.2"})
    void isTheSameInATranscript(String version) throws VfioException {
        ExampleMachine machine = ExampleMachine.with(KernelProfile.of(version));
        assertThat(seen(machine.boot())).hasSizeGreaterThan(20).isEqualTo(seen(machine.environment().boot()));
    }
}
