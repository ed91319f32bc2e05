package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.faults.Fuzz;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.lifecycle.AfterProperty;
import net.jqwik.api.lifecycle.BeforeProperty;

/** Whatever stands in sysfs, a machine is described that can be emulated, or it is said that it cannot be told. */
class MachineSurveyFuzzTest {

    private static final String FUNCTION = "sys/bus/pci/devices/0000:01:00.0/";
    private static final String VIRTUAL = "sys/bus/pci/devices/0000:01:00.1/";
    private static final String MTTY = "sys/bus/mdev/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/";

    /** What the kernel's files have in them, and where its links lead. */
    private static final Map<String, byte[]> FILES = files();
    private static final Map<String, String> LINKS = Map.of(FUNCTION + "iommu_group",
            "../../../../kernel/iommu_groups/4", FUNCTION + "driver", "../../drivers/vfio-pci", VIRTUAL + "iommu_group",
            "../../../../kernel/iommu_groups/5", VIRTUAL + "driver", "../../drivers/vfio-pci", VIRTUAL + "physfn",
            "../0000:01:00.0", MTTY + "iommu_group", "../../../../kernel/iommu_groups/9", MTTY + "mdev_type",
            "../../types/mtty-2");

    @SuppressWarnings("NullAway.Init") // before the property
    private Path root;

    private static Map<String, byte[]> files() {
        byte[] config = new byte[256];
        // MSI-X of 5 vectors in BAR 0, then MSI of 8, then the capability of PCI Express.
        ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN).putShort(6, (short) 0x10).put(0x34, (byte) 0x40)
                .put(0x3d, (byte) 1).putInt(0x40, 0x0004_5011).putInt(0x44, 0x2000).putInt(0x50, 0x0006_6005)
                .putInt(0x60, 0x10);
        String unused = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
        Map<String, String> texts = Map.of("sys/class/iommu/dmar0/intel-iommu/cap", "d2008c222f0686\n",
                FUNCTION + "resource",
                "0x00000000fe000000 0x00000000fe003fff 0x0000000000140204\n" + unused
                        + "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n" + unused.repeat(3)
                        + "0x00000000fd000000 0x00000000fd00ffff 0x0000000000046200\n",
                FUNCTION + "sriov_totalvfs", "2\n", FUNCTION + "sriov_numvfs", "1\n", FUNCTION + "sriov_offset", "1\n",
                FUNCTION + "sriov_stride", "1\n", FUNCTION + "reset", "");
        Map<String, byte[]> files = new HashMap<>(Map.of(FUNCTION + "config", config));
        texts.forEach((path, text) -> files.put(path, text.getBytes(StandardCharsets.US_ASCII)));
        return Map.copyOf(files);
    }

    @BeforeProperty
    void prepare() throws IOException {
        root = Files.createTempDirectory("vfio4j-sysfs");
        for (String path : FILES.keySet()) {
            restoreFile(path);
        }
        for (String path : LINKS.keySet()) {
            restoreLink(path);
        }
        Files.createDirectories(root.resolve(FUNCTION + "vfio-dev/vfio0"));
        Files.createDirectories(root.resolve(MTTY + "vfio-dev/vfio2"));
        Files.createDirectories(root.resolve(VIRTUAL + "vfio-dev/vfio1"));
        // Links lead to something.
        for (Map.Entry<String, String> link : LINKS.entrySet()) {
            Files.createDirectories(root.resolve(link.getKey()).resolveSibling(link.getValue()).normalize());
        }
        assertThat(MachineSurvey.of(root, "7.2.1").toString()).contains("\"msi\":8", "\"vectors\":5",
                "\"express\":true", "\"ports\":2", "\"virtualFunctionOf\"", "\"iommuAddressBits\":48");
    }

    @AfterProperty
    void clear() throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : files.sorted((one, other) -> other.compareTo(one)).toList()) {
                Files.delete(file);
            }
        }
    }

    private static byte[] text(String path) {
        return Objects.requireNonNull(FILES.get(path), path);
    }

    private static String target(String path) {
        return Objects.requireNonNull(LINKS.get(path), path);
    }

    private void restoreFile(String path) throws IOException {
        Path file = root.resolve(path);
        Files.createDirectories(file.getParent());
        Files.write(file, text(path));
    }

    private void restoreLink(String path) throws IOException {
        Path link = root.resolve(path);
        Files.createDirectories(link.getParent());
        Files.deleteIfExists(link);
        Files.createSymbolicLink(link, Path.of(target(path)));
    }

    /** Another text, another size, nothing at all, or a file that is not there. */
    private void changeFile(String path, SplittableRandom random) throws IOException {
        if (random.nextInt(8) == 0) {
            Files.delete(root.resolve(path));
        } else {
            Files.write(root.resolve(path), random.nextInt(16) == 0 ? new byte[0] : Fuzz.mutated(text(path), random));
        }
    }

    private void changeLink(String path, SplittableRandom random) throws IOException {
        Path link = root.resolve(path);
        Files.delete(link);
        String changed = new String(Fuzz.mutated(target(path).getBytes(StandardCharsets.US_ASCII), random),
                StandardCharsets.ISO_8859_1).replace('\0', '0');
        if (random.nextInt(8) != 0) {
            Files.createSymbolicLink(link, Path.of(random.nextInt(8) == 0 ? "/" : changed.isEmpty() ? "." : changed));
        }
    }

    @Property
    void aMachineIsDescribedOrItIsSaidWhyNot(@ForAll long seed) throws Exception {
        SplittableRandom random = new SplittableRandom(seed);
        List<String> files = FILES.keySet().stream().sorted().toList();
        List<String> links = LINKS.keySet().stream().sorted().toList();
        List<String> changed = new ArrayList<>();
        for (int i = random.nextInt(3); i >= 0; i--) {
            String path = files.get(random.nextInt(files.size()));
            if (!changed.contains(path)) {
                changed.add(path);
                changeFile(path, random);
            }
        }
        if (random.nextInt(3) == 0) {
            String path = links.get(random.nextInt(links.size()));
            changed.add(path);
            changeLink(path, random);
        }
        String release = random.nextInt(8) == 0
                ? HexFormat.of().toHexDigits(random.nextLong()) + ".12345678901"
                : random.nextInt(100) + "." + random.nextInt(100) + ".1";
        Fuzz.inProportion(() -> {
            try {
                Environment environment = MachineSurvey.of(root, release);
                assertThat(Environment.parse(environment.toString()).toString()).isEqualTo(environment.toString());
                assertThat(environment.boot().pciFunctions()).hasSizeLessThan(100_000);
            } catch (UncheckedIOException e) {
                assertThat(e.getMessage()).startsWith("What devices this machine has cannot be told: ")
                        .doesNotContain("\n", "\0");
            }
        });
        for (String path : changed) {
            if (FILES.containsKey(path)) {
                restoreFile(path);
            } else {
                restoreLink(path);
            }
        }
    }
}
