package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.backend.FreshJvm;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** What could end a process in C is an exception here. Whether it is can only be seen in a process of its own. */
class DmaMisuseTest {

    private static final Map<String, String> EXPECTED = new LinkedHashMap<>();

    static {
        EXPECTED.put("map of freed memory", "IllegalStateException: The memory is freed");
        EXPECTED.put("map of the heap", "IllegalArgumentException: Devices reach no memory of the Java heap");
        EXPECTED.put("map beyond the range", "IllegalArgumentException: IOVA 0x1000000000000000-");
        EXPECTED.put("map across the end", "IllegalArgumentException: There is no range of 4096 bytes");
        EXPECTED.put("access past the end", "IndexOutOfBoundsException: ");
        EXPECTED.put("map over it", "IllegalArgumentException: IOVA 0x");
        EXPECTED.put("unmap twice", "IllegalStateException: The DMA mapping 0x");
        EXPECTED.put("access after close", "IllegalStateException: Already closed");
        EXPECTED.put("map after close", "IllegalStateException: The memory is freed");
        EXPECTED.put("view past its end", "IndexOutOfBoundsException: ");
        EXPECTED.put("memory of a view past its end", "IndexOutOfBoundsException: ");
        EXPECTED.put("more memory than there is", "VfioException: allocate 1152921504606846976 bytes for DMA: ENOMEM");
        EXPECTED.put("no memlock allowance",
                "ENOMEM (cannot allocate memory). The process may not lock that much memory:"
                        + " RLIMIT_MEMLOCK is 65536 bytes, 64 in 'ulimit -l'");
        EXPECTED.put("view after close", "IllegalStateException: ");
        EXPECTED.put("access after close of all", "IllegalStateException: Already closed");
        EXPECTED.put("unmap after close of all", "IllegalStateException: The DMA mapping 0x");
        EXPECTED.put("map after close of all", "is closed; open it again to use it");
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void everyMistakeIsAnExceptionAndTheJvmLives() throws IOException, InterruptedException {
        List<String> lines = FreshJvm.run(DmaMisuses.class, "--enable-native-access=ALL-UNNAMED").lines()
                .filter(line -> !line.startsWith("SLF4J")).toList();
        assertThat(lines).last().isEqualTo(DmaMisuses.LAST_WORDS);
        for (String kind : List.of("container", "iommufd")) {
            for (String where : List.of(kind, kind + " with memory of the real kernel")) {
                EXPECTED.forEach((what, outcome) -> assertThat(lines)
                        .filteredOn(line -> line.startsWith(where + " | " + what + " | ")).as("%s: %s", where, what)
                        .isNotEmpty().allSatisfy(line -> assertThat(line).contains(outcome)));
                assertThat(lines).filteredOn(line -> line.startsWith(where + " | 70,000 mappings | ")).singleElement()
                        .asString()
                        .contains(kind.equals("container")
                                ? "VfioException: VFIO_IOMMU_MAP_DMA at 0x10000000-0x10000fff: ENOSPC"
                                : "no exception but 70000 mappings");
            }
        }
        assertThat(lines).filteredOn(line -> line.startsWith("this machine")).hasSize(3)
                .allMatch(line -> line.contains("Exception: "));
    }
}
