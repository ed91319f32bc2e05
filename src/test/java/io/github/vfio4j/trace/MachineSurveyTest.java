package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedKernel;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A machine is described by what its sysfs shows. */
@EnabledOnOs(OS.LINUX)
class MachineSurveyTest {

    private static final String NO_BAR = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit injects it
    private Path root;

    private Path device(String bus, String name, int group) throws IOException {
        Path device = Files.createDirectories(root.resolve("sys/bus/" + bus + "/devices/" + name));
        Files.createDirectories(root.resolve("sys/kernel/iommu_groups/" + group));
        Files.createSymbolicLink(device.resolve("iommu_group"), root.resolve("sys/kernel/iommu_groups/" + group));
        return device;
    }

    private static void link(Path device, String name, Path target) throws IOException {
        Files.createDirectories(target);
        Files.createSymbolicLink(device.resolve(name), target);
    }

    @Test
    void theDevicesAreDescribed() throws IOException {
        Path owner = device("pci", "0000:01:00.0", 4);
        link(owner, "driver", root.resolve("drivers/vfio-pci"));
        Files.writeString(owner.resolve("resource"), "0x00000000fe000000 0x00000000fe003fff 0x0000000000140204\n"
                + NO_BAR + "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n" + NO_BAR.repeat(4));
        for (String[] attribute : new String[][]{{"sriov_totalvfs", "2"}, {"sriov_numvfs", "1"}, {"sriov_offset", "3"},
                {"sriov_stride", "2"}}) {
            Files.writeString(owner.resolve(attribute[0]), attribute[1] + "\n");
        }
        Files.createFile(owner.resolve("reset"));
        byte[] config = new byte[256];
        // An interrupt pin; an MSI-X capability of 5 vectors in BAR 0; the capability of PCI Express.
        ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN).putShort(6, (short) 0x10).put(0x34, (byte) 0x40)
                .put(0x3d, (byte) 1).putInt(0x40, 0x0004_5011).putInt(0x44, 0x2000).putInt(0x50, 0x10);
        Files.write(owner.resolve("config"), config);
        Path virtual = device("pci", "0000:01:00.3", 5);
        link(virtual, "driver", root.resolve("drivers/vfio-pci"));
        link(virtual, "physfn", owner);
        Path unbound = device("pci", "0000:02:00.0", 6);
        Files.writeString(unbound.resolve("resource"), NO_BAR.repeat(7));
        Files.write(unbound.resolve("config"), new byte[64]);
        Path mtty = device("mdev", "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", 9);
        link(mtty, "mdev_type", root.resolve("types/mtty-2"));
        Path other = device("mdev", "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002", 10);
        link(other, "mdev_type", root.resolve("types/i915-GVTg_V5_4"));
        Files.createDirectories(root.resolve("sys/bus/pci/devices/0000:00:00.0"));

        Environment environment = MachineSurvey.of(root, "6.12.107+deb13-amd64");
        assertThat(environment.toString())
                .startsWith("{\"transcript\":1,\"kernel\":\"6.12\",\"release\":\"6.12.107+deb13-amd64\"")
                .contains("{\"index\":0,\"size\":16384,\"kind\":\"memory\"}",
                        "{\"index\":2,\"size\":32,\"kind\":\"ioport\"}",
                        "\"reset\":true,\"intx\":true,\"msix\":{\"vectors\":5,\"tableBar\":0,\"tableOffset\":8192},\"express\":true",
                        "\"bars\":[],\"reset\":false,\"intx\":false,\"express\":false",
                        "\"sriov\":{\"totalVfs\":2,\"numVfs\":1,\"offset\":3,\"stride\":2}",
                        "\"name\":\"0000:01:00.3\",\"group\":5,\"driver\":\"vfio-pci\",\"virtualFunctionOf\":\"0000:01:00.0\"}",
                        "\"name\":\"0000:02:00.0\",\"group\":6,\"driver\":null")
                .doesNotContain("GVT", "0000:00:00.0");
        EmulatedKernel kernel = environment.boot();
        assertThat(kernel.pciFunctions()).containsExactlyElementsOf(
                List.of("0000:01:00.0", "0000:01:00.3", "0000:02:00.0").stream().map(PciAddress::parse).toList());
        for (int group : new int[]{4, 5, 9}) {
            assertThat(kernel.newProcess().open("/dev/vfio/" + group, Fcntl.O_RDWR)).as("group " + group).isEqualTo(3);
        }
        assertThat(kernel.newProcess().open("/dev/vfio/6", Fcntl.O_RDWR)).isEqualTo(-2);
    }

    /** Bits of the Intel IOMMU's capability register, an expansion ROM, MSI, and the device's own file. */
    @Test
    void whatOnlySomeMachinesHaveIsDescribedToo() throws IOException {
        Path iommu = Files.createDirectories(root.resolve("sys/class/iommu/dmar0/intel-iommu"));
        Files.writeString(iommu.resolve("cap"), "d2008c222f0686\n");
        Files.createDirectories(root.resolve("dev/vfio/devices"));
        Files.createFile(root.resolve("dev/iommu"));
        Path function = device("pci", "0000:01:00.0", 4);
        link(function, "driver", root.resolve("drivers/vfio-pci"));
        Files.writeString(function.resolve("resource"),
                NO_BAR.repeat(6) + "0x00000000fe000000 0x00000000fe00ffff 0x0000000000046200\n");
        byte[] config = new byte[64 + 8];
        // An MSI capability of 8 vectors, the last thing in sight.
        ByteBuffer.wrap(config).order(ByteOrder.LITTLE_ENDIAN).putShort(6, (short) 0x10).put(0x34, (byte) 0x40)
                .putInt(0x40, 0x0006_5005);
        Path other = device("pci", "0000:02:00.0", 5);
        Files.writeString(other.resolve("resource"),
                NO_BAR.repeat(4) + "0x00000000fd000000 0x00000000fd000fff 0x0000000000040200\n" + NO_BAR.repeat(2));
        byte[] otherConfig = new byte[256];
        // MSI-X of 3 vectors in BAR 4.
        ByteBuffer.wrap(otherConfig).order(ByteOrder.LITTLE_ENDIAN).putShort(6, (short) 0x10).put(0x34, (byte) 0x50)
                .putInt(0x50, 0x0002_0011).putInt(0x54, 4);
        Files.write(other.resolve("config"), otherConfig);
        Path plain = device("pci", "0000:03:00.0", 6);
        Files.writeString(plain.resolve("resource"), NO_BAR.repeat(7));
        // Where the status says that there are no capabilities, what stands in their place means nothing.
        ByteBuffer.wrap(otherConfig).order(ByteOrder.LITTLE_ENDIAN).putShort(6, (short) 0x20).putInt(0x50, 0x10);
        Files.write(plain.resolve("config"), otherConfig);
        Files.write(function.resolve("config"), config);
        Files.createDirectories(function.resolve("vfio-dev/vfio0"));
        Path mdpy = device("mdev", "83b8f4f2-509f-382f-3c1e-e6bfe0fa1003", 11);
        link(mdpy, "mdev_type", root.resolve("types/mdpy-vga"));
        Files.createDirectories(mdpy.resolve("vfio-dev"));

        assertThat(MachineSurvey.of(root, "7.2.13").toString())
                .contains("\"options\":{\"iommufd\":true,\"iommufdDriver\":true,\"cdev\":true},\"iommuAddressBits\":48",
                        "\"rom\":65536", "\"msi\":8", "\"cdev\":\"/dev/vfio/devices/vfio0\"",
                        "{\"kind\":\"mdpy\",\"name\":\"83b8f4f2-509f-382f-3c1e-e6bfe0fa1003\",\"group\":11}",
                        "\"msix\":{\"vectors\":3,\"tableBar\":4,\"tableOffset\":0},\"express\":false,")
                .doesNotContain("sriov", "\"express\":true");
    }

    @Test
    void aMachineThatCannotBeReadIsNoMachineWithoutDevices() throws IOException {
        device("pci", "0000:01:00.0", 4);
        assertThatExceptionOfType(UncheckedIOException.class).isThrownBy(() -> MachineSurvey.of(root, "7.2"))
                .withMessageContaining("cannot be told");
    }

    /** The profile is the newest that is not newer. */
    @ParameterizedTest
    @CsvSource({"6.1.0-56-amd64, 6.1", "6.11.9, 6.1", "6.12.0, 6.12", "7.1.2, 6.12", "7.2.13, 7.2", "8.0.1, 7.2",
            "5.10.1, 5.7", "4.19.0, 5.7"})
    void theKernelIsTheOneItIsLike(String release, String profile) {
        assertThat(MachineSurvey.of(root, release).kernel().version()).isEqualTo(profile);
    }
}
