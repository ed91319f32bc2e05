package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
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

    @ParameterizedTest(name = "Linux {0}, {1}")
    @CsvSource({"6.1, pf", "6.1, vf", "6.12, pf", "6.12, vf", "6.12, mtty", "6.12, mdpy", "7.2, pf", "7.2, vf",
            "7.2, mtty", "7.2, mdpy"})
    void everyRecordedCallIsAnsweredAlike(String version, String device) throws VfioException {
        List<KernelFact> facts = KernelFact.load(version).stream().filter(fact -> fact.device().equals(device))
                .toList();
        assertThat(facts).hasSize(CALLS_PER_DEVICE);

        List<String> differences = new ArrayList<>();
        try (AskedDevice asked = AskedDevice.of(device, KernelProfile.of(version))) {
            for (KernelFact fact : facts) {
                replay(fact, asked.device(), differences);
                if (fact.changesState()) {
                    asked.reopen();
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
