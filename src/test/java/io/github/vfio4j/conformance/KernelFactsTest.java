package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureRequest;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The emulated kernel answers every recorded call as the real one did. */
class KernelFactsTest {

    private static final int CALLS_PER_DEVICE = 2280;

    private static final PciAddress PHYSICAL_FUNCTION = PciAddress.parse("0000:01:00.0");
    private static final PciAddress VIRTUAL_FUNCTION = PciAddress.parse("0000:01:00.1");

    @ParameterizedTest(name = "Linux {0}, {1}")
    @CsvSource({"6.1, pf", "6.1, vf", "6.12, pf", "6.12, vf", "7.2, pf", "7.2, vf"})
    void everyRecordedCallIsAnsweredAlike(String version, String device) throws VfioException {
        List<KernelFact> facts = KernelFact.load(version).stream().filter(fact -> fact.device().equals(device))
                .toList();
        assertThat(facts).hasSize(CALLS_PER_DEVICE);

        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.of(version))
                .pciFunction(PHYSICAL_FUNCTION.toString(), function -> function.sriov(2).memoryBar(0, 16384)).build();
        Vfio vfio = Vfio.using(kernel.newProcess());
        VfToken token = VfToken.random();
        List<String> differences = new ArrayList<>();
        try (VfioContainer container = vfio.openContainer()) {
            VfioDevice owner = container.openDevice(PHYSICAL_FUNCTION, token);
            VfioDevice asked = owner;
            if (device.equals("vf")) {
                vfio.pciDevice(PHYSICAL_FUNCTION).setSriovNumVfs(1);
                asked = container.openDevice(VIRTUAL_FUNCTION, token);
            }
            for (KernelFact fact : facts) {
                replay(fact, asked, differences);
                if (fact.changesState()) {
                    PciAddress address = asked == owner ? PHYSICAL_FUNCTION : VIRTUAL_FUNCTION;
                    asked.close();
                    // The token of the physical function may have been set: it needs none while it has no users.
                    boolean isOwner = asked == owner;
                    asked = isOwner ? container.openDevice(address) : container.openDevice(address, token);
                    owner = isOwner ? asked : owner;
                }
            }
        }
        assertThat(differences).isEmpty();
    }

    private static void replay(KernelFact fact, VfioDevice device, List<String> differences) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = fact.argument(arena);
            MemorySegment before = arena.allocate(argument.byteSize()).copyFrom(argument);
            int result = device.executeRaw(FeatureRequest.raw(argument));
            boolean sameResult = fact.result() == KernelFact.ANY_DESCRIPTOR ? result >= 0 : fact.result() == result;
            String changes = KernelFact.changes(before, argument);
            if (!sameResult || !changes.equals(fact.bytesChanged())) {
                differences.add(fact + " but the emulated kernel: " + result + " " + changes);
            }
        }
    }
}
