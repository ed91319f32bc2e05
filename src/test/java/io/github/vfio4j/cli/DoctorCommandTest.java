package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.InstanceOfAssertFactories.LIST;
import static org.assertj.core.api.InstanceOfAssertFactories.list;
import static org.assertj.core.api.InstanceOfAssertFactories.map;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The command on the emulated machine, and on this one whatever it is; what it finds is another test's (doctor.DoctorTest). */
class DoctorCommandTest {

    private static final List<String> CHECKS = List.of("iommu", "module", "driver", "group", "permissions", "use",
            "memlock", "sriov", "native access", "kernel");
    private static final List<String> STATUSES = List.of("ok", "note", "problem", "unknown", "not applicable");

    private static CommandRun emulated(String kernel, String device) {
        return CommandRun.withoutKernel("", "doctor", device, "--emulated", "--kernel", kernel);
    }

    @ParameterizedTest
    @ValueSource(strings = {"5.7", "6.1", "6.12", "7.2"})
    void theNextStepIsOnTop(String kernel) {
        for (String usable : List.of("0000:01:00.0", "02:00.0", "0000:03:00.1",
                "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001")) {
            assertThat(emulated(kernel, usable).assertDone().out())
                    .contains(": emulated Linux " + kernel + ", as root\n",
                            "\n\nNext: nothing stands in the way; 'vfio4j features ")
                    .doesNotContain("problem");
        }
        CommandRun bound = emulated(kernel, "0000:03:00.0");
        assertThat(bound.exitCode()).isEqualTo(3);
        assertThat(bound.err()).isEmpty();
        assertThat(bound.out()).startsWith("0000:03:00.0: emulated Linux " + kernel
                + """
                        , as root

                        Next: 0000:03:00.0 is bound to nvme, not to vfio-pci; see first that nothing here uses it (disks, network interfaces)
                            # echo 0 > /sys/bus/pci/devices/0000:03:00.0/sriov_numvfs
                            # echo vfio-pci > /sys/bus/pci/devices/0000:03:00.0/driver_override
                            # echo 0000:03:00.0 > /sys/bus/pci/devices/0000:03:00.0/driver/unbind
                            # echo 0000:03:00.0 > /sys/bus/pci/drivers_probe

                        ok              iommu          On: dmar0; 4 groups
                        """);
    }

    @Test
    void withoutADeviceThereIsAListOfThem() {
        assertThat(CommandRun.withoutKernel("", "doctor", "--emulated").assertDone().out())
                .startsWith("This machine: emulated Linux 7.2, as root\n\nNext: nothing stands in the way; ")
                .endsWith("""

                        0000:01:00.0  -          group 4    vfio-pci       can be used
                        0000:02:00.0  -          group 5    vfio-pci       can be used
                        0000:03:00.0  -          group 6    nvme           stopped by: driver
                        0000:03:00.1  -          group 7    vfio-pci       can be used
                        """);
    }

    @Test
    void jsonHasTheKeysThatAreDocumented() throws IOException {
        CommandRun run = CommandRun.withoutKernel("", "doctor", "0000:03:00.0", "--emulated", "--json");
        assertThat(run.exitCode()).isEqualTo(3);
        assertThat(run.out()).endsWith("]\n");
        assertThat(Json.parse(run.out())).asInstanceOf(list(Object.class)).hasSize(CHECKS.size())
                .satisfies(findings -> assertThat(findings.get(2)).isEqualTo(Map.of("check", "driver", "status",
                        "problem", "message",
                        "0000:03:00.0 is bound to nvme, not to vfio-pci; see first that nothing here uses it (disks, network"
                                + " interfaces)",
                        "asRoot", true, "commands",
                        List.of("echo 0 > /sys/bus/pci/devices/0000:03:00.0/sriov_numvfs",
                                "echo vfio-pci > /sys/bus/pci/devices/0000:03:00.0/driver_override",
                                "echo 0000:03:00.0 > /sys/bus/pci/devices/0000:03:00.0/driver/unbind",
                                "echo 0000:03:00.0 > /sys/bus/pci/drivers_probe"))));
    }

    /** Whatever this machine is, it is told without a complaint. */
    @Test
    void thisMachine() throws IOException {
        CommandRun run = CommandRun.of("doctor", "--json");
        assertThat(run.err()).isEmpty();
        assertThat(run.exitCode()).isIn(0, 3);
        assertThat(Json.parse(run.out())).asInstanceOf(LIST).allSatisfy(
                finding -> assertThat(finding).asInstanceOf(map(String.class, Object.class)).satisfies(fields -> {
                    assertThat(fields).containsOnlyKeys("check", "status", "message", "asRoot", "commands");
                    assertThat(fields.get("status")).isIn(STATUSES);
                }));
        assertThat(run.out().contains("\"problem\"")).isEqualTo(run.exitCode() == 3);
        CommandRun words = CommandRun.of("doctor");
        assertThat(words.exitCode()).isEqualTo(run.exitCode());
        assertThat(words.out()).contains("\n\nNext: ");
    }

    @Test
    void badUsageIsOneLine() {
        CommandRun.withoutKernel("", "doctor", "0000:01:00.0", "--kernel", "6.1").assertFailed(2, "add --emulated")
                .assertNoOutput();
        CommandRun.withoutKernel("", "doctor", "0000:01:00", "--emulated").assertFailed(2, "is not a PCI address")
                .assertNoOutput();
        CommandRun.withoutKernel("", "doctor", "--emulated", "--kernel", "6.2").assertFailed(2, "is not emulated")
                .assertNoOutput();
        CommandRun.withoutKernel("", "doctor", "0000:09:00.0", "--emulated")
                .assertFailed(3, "examine 0000:09:00.0: ENODEV", "The emulated machine has 0000:01:00.0")
                .assertNoOutput();
        CommandRun.withoutKernel("", "doctor", "01:00.0", "02:00.0").assertFailed(2, "an argument too many")
                .assertNoOutput();
    }
}
