package io.github.vfio4j.cli.doctor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine.Help.Ansi;

/** What a new user finds in the way, one thing at a time, and the step that is named first. */
@EnabledOnOs(OS.LINUX)
class DoctorTest {

    private static final String NIC = "0000:01:00.0";
    private static final String NIC_PATH = "/sys/bus/pci/devices/" + NIC;
    private static final String GRUB = "/etc/default/grub";
    private static final UUID MDEV = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    @TempDir
    @SuppressWarnings("NullAway.Init") // JUnit injects it
    private Path root;

    @SuppressWarnings("NullAway.Init")
    private PreparedMachine machine;

    @BeforeEach
    void prepare() {
        // A kernel on which the group is free.
        machine = new PreparedMachine(root).kernel(opening(0));
    }

    /** A kernel that answers every opening so. */
    private static IoctlBackend opening(int result) {
        return new ForwardingBackend(EmulatedKernel.builder(KernelProfile.LINUX_7_2).build().newProcess()) {
            @Override
            public int open(String path, int flags) {
                return result;
            }
        };
    }

    private static String text(Report report) {
        StringWriter text = new StringWriter();
        report.print(new PrintWriter(text), Ansi.OFF);
        return text.toString().replace(System.lineSeparator(), "\n");
    }

    /** The next step is this, and the commands for it. */
    private static void assertNext(Report report, String check, String message, String... commands) {
        assertThat(report.next()).hasValueSatisfying(next -> {
            assertThat(next.check()).isEqualTo(check);
            assertThat(next.message()).isEqualTo(message);
            assertThat(next.fix().commands()).containsExactly(commands);
        });
        String prefix = report.next().orElseThrow().fix().asRoot() ? "    # " : "    $ ";
        assertThat(text(report).lines().skip(2)).startsWith(Stream
                .concat(Stream.of("Next: " + message), Stream.of(commands).map(prefix::concat)).toArray(String[]::new));
    }

    private static Finding finding(Report report, String check) {
        return report.findings().stream().filter(finding -> finding.check().equals(check)).findFirst().orElseThrow();
    }

    private static void assertOutcome(Report report, String check, Outcome outcome, String message) {
        assertThat(finding(report, check)).satisfies(found -> {
            assertThat(found.message()).isEqualTo(message);
            assertThat(found.outcome()).isEqualTo(outcome);
        });
    }

    @Test
    void whereAllIsWellNothingStandsInTheWay() throws VfioException {
        Report report = machine.function(NIC, 4, "vfio-pci").examine(NIC);
        assertThat(report.next()).isEmpty();
        assertThat(text(report)).startsWith(
                """
                        0000:01:00.0 (8086:1533): Linux 6.12.107+deb13-amd64, as alice

                        Next: nothing stands in the way; 'vfio4j features 0000:01:00.0' shows what it can do

                        ok              iommu          On: dmar0; 2 groups
                        ok              module         A driver of VFIO has the device
                        ok              driver         0000:01:00.0 is bound to vfio-pci
                        ok              group          Group 4 is viable: nothing else is in it
                        ok              permissions    alice may open /dev/vfio/vfio and /dev/vfio/4
                        ok              use            Nobody has it: /dev/vfio/4 could be opened, and was closed again
                        ok              memlock        All memory may be locked
                        not applicable  sriov          0000:01:00.0 has no SR-IOV
                        ok              native access  Allowed
                        note            kernel         Linux 6.12.107+deb13-amd64 has no feature DMA_BUF, MIG_PRECOPY_INFOv2; no iommufd: devices share a container
                        """);
    }

    @Test
    void anIommuThatNobodyHasTurnedOn() throws VfioException {
        machine.function(NIC, 4, "igb").withoutIommu().file("/sys/firmware/acpi/tables/DMAR", "").file(GRUB, "");
        machine.without(NIC_PATH.replace("bus/pci/devices", "devices/pci0000:00") + "/iommu_group");
        assertNext(machine.examine(NIC), "iommu",
                "Off, though the machine has one of Intel: add intel_iommu=on to the kernel's command line",
                "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on /' /etc/default/grub", "update-grub", "reboot");
        machine.file("/usr/sbin/grubby", "");
        assertNext(machine.examine(), "iommu",
                "Off, though the machine has one of Intel: add intel_iommu=on to the kernel's command line",
                "grubby --update-kernel=ALL --args=intel_iommu=on", "reboot");
        assertOutcome(machine.examine(NIC), "group", Outcome.UNKNOWN,
                "0000:01:00.0 is in no IOMMU group as long as the above is not right");
    }

    @Test
    void anIommuThatTheCommandLineTurnsOff() {
        machine.withoutIommu().file("/sys/firmware/acpi/tables/IVRS", "").file(GRUB, "").file("/proc/cmdline",
                "root=/dev/sda1 amd_iommu=off quiet");
        assertNext(machine.examine(), "iommu", "Off: the kernel's command line says amd_iommu=off; take that out",
                "sed -i 's/ *amd_iommu=off//' /etc/default/grub", "update-grub", "reboot");
        machine.file("/proc/cmdline", "quiet").without(GRUB);
        assertNext(machine.examine(), "iommu", "Off, though the machine has one of AMD: this kernel does not use it"
                + " (CONFIG_AMD_IOMMU); see 'dmesg | grep AMD-Vi'");
    }

    @Test
    void aMachineWithoutAnIommuInSight() {
        machine.withoutIommu();
        assertNext(machine.examine(), "iommu",
                "The firmware shows none: turn it on in its setup (called VT-d, AMD-Vi, IOMMU or SMMU there)",
                "systemctl reboot --firmware-setup");
        machine.file("/proc/cpuinfo", "flags\t\t: fpu hypervisor lahf_lm");
        assertNext(machine.examine(), "iommu",
                "This virtual machine has none: its host must give it one, QEMU with these options",
                "qemu-system-x86_64 -machine q35,kernel-irqchip=split -device intel-iommu,intremap=on …");
        // What VFIO puts into the place of groups where there is no IOMMU is none.
        machine.file("/sys/kernel/iommu_groups/0/name", "vfio-noiommu");
        assertNext(machine.examine(), "iommu",
                "This virtual machine has none: its host must give it one, QEMU with these options",
                "qemu-system-x86_64 -machine q35,kernel-irqchip=split -device intel-iommu,intremap=on …");
    }

    @Test
    void aModuleThatIsNotLoaded() throws VfioException {
        machine.function(NIC, 4, "igb").without("/sys/bus/pci/drivers/vfio-pci").without("/dev/vfio");
        assertNext(machine.examine(NIC), "module", "vfio-pci is not loaded (in a container: load it on the host)",
                "modprobe vfio-pci");
        String modules = "/lib/modules/" + PreparedMachine.RELEASE + "/modules.dep";
        machine.file(modules, "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz").sriov(NIC, 8,
                0);
        assertNext(machine.examine(NIC), "module", "vfio-pci is not loaded", "modprobe vfio-pci enable_sriov=1");
        machine.file(modules, "kernel/drivers/net/dummy.ko.xz:");
        assertNext(machine.examine(), "module", "This kernel has no vfio-pci (CONFIG_VFIO_PCI), nor is it among its"
                + " modules: install those, or boot another kernel");
        assertOutcome(machine.examine(), "permissions", Outcome.UNKNOWN, "/dev/vfio/vfio comes with the module");
    }

    @Test
    void theOtherModuleThatIsNotLoaded() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").without("/sys/module/vfio_iommu_type1");
        assertNext(machine.examine(NIC), "module",
                "vfio_iommu_type1 is not loaded, by which containers get at the IOMMU", "modprobe vfio_iommu_type1");
    }

    @Test
    void aDeviceThatTheHostUses() throws VfioException {
        Report report = machine.function(NIC, 4, "igb").examine(NIC);
        assertNext(report, "driver",
                "0000:01:00.0 is bound to igb, not to vfio-pci; see first that nothing here uses it (disks, network"
                        + " interfaces)",
                "echo vfio-pci > " + NIC_PATH + "/driver_override", "echo " + NIC + " > " + NIC_PATH + "/driver/unbind",
                "echo " + NIC + " > /sys/bus/pci/drivers_probe");
        assertOutcome(report, "permissions", Outcome.UNKNOWN, "The files of 0000:01:00.0 come when it is bound");
        assertOutcome(report, "use", Outcome.UNKNOWN, "Nobody can have it before it is bound");
    }

    @Test
    void aDeviceWithoutADriver() throws VfioException {
        assertNext(machine.function(NIC, 4, null).examine(NIC), "driver", "0000:01:00.0 is bound to no driver",
                "echo vfio-pci > " + NIC_PATH + "/driver_override", "echo " + NIC + " > /sys/bus/pci/drivers_probe");
    }

    /** vfio-pci refuses a physical function that has virtual ones (EBUSY). */
    @Test
    void aPhysicalFunctionThatHasVirtualOnesAlready() throws VfioException {
        Report report = machine.function(NIC, 4, "igb").sriov(NIC, 8, 2).examine(NIC);
        assertThat(report.next().orElseThrow().fix().commands()).hasSize(4)
                .startsWith("echo 0 > " + NIC_PATH + "/sriov_numvfs");
        assertOutcome(report, "sriov", Outcome.OK, "0000:01:00.0 has 2 of 8 virtual functions");
    }

    @Test
    void aBridge() throws VfioException {
        machine.function(NIC, 4, "pcieport").file(NIC_PATH + "/class", "0x060400");
        assertNext(machine.examine(NIC), "driver",
                "0000:01:00.0 is a bridge, and vfio-pci takes endpoints only: choose a device behind it",
                "lspci -t -D");
    }

    @Test
    void aGroupThatIsNotViable() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").function("0000:01:00.1", 4, "snd_hda_intel")
                .function("0000:01:00.2", 4, null).function("0000:01:00.3", 4, "vfio-pci")
                .function("0000:01:00.4", 4, "pci-stub").function("0000:00:01.0", 4, "pcieport");
        String other = "/sys/bus/pci/devices/0000:01:00.1";
        assertNext(machine.examine(NIC), "group",
                "Group 4 is not viable: drivers of the host have 0000:01:00.1 (snd_hda_intel) of it; see first that"
                        + " nothing here uses it",
                "echo vfio-pci > " + other + "/driver_override", "echo 0000:01:00.1 > " + other + "/driver/unbind",
                "echo 0000:01:00.1 > /sys/bus/pci/drivers_probe");
        machine.without("/sys/devices/pci0000:00/0000:01:00.1/driver");
        assertThat(machine.examine(NIC).next()).isEmpty();
    }

    @Test
    void aDeviceThatTheIommuDoesNotCover() throws VfioException {
        machine.function(NIC, 4, null).without("/sys/devices/pci0000:00/" + NIC + "/iommu_group");
        assertNext(machine.examine(NIC), "group", "0000:01:00.0 is in no IOMMU group: the IOMMU does not cover it");
        assertOutcome(machine.examine(NIC), "driver", Outcome.UNKNOWN,
                "0000:01:00.0 is bound to no driver; vfio-pci takes it only once it is in an IOMMU group");
    }

    @Test
    void aGroupThatBelongsToRoot() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").closed("/dev/vfio/4");
        Report report = machine.examine(NIC);
        assertNext(report, "permissions",
                "alice may not open /dev/vfio/4; until the next boot this helps, a rule of udev for longer"
                        + " (SUBSYSTEM==\"vfio\", OWNER=\"alice\")",
                "chown alice /dev/vfio/4");
        assertOutcome(report, "use", Outcome.UNKNOWN, "Nobody whom alice may look at has /dev/vfio/4 open");
        machine.closed("/dev/vfio/vfio");
        assertThat(machine.examine(NIC).next().orElseThrow().fix().commands())
                .containsExactly("chmod 666 /dev/vfio/vfio", "chown alice /dev/vfio/4");
    }

    @Test
    void aContainerThatHasNotGotTheFiles() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").without("/dev/vfio");
        assertNext(machine.examine(NIC), "permissions",
                "The module is loaded, but /dev/vfio/vfio and /dev/vfio/4 are not here: hand them to the container this"
                        + " runs in",
                "docker run --device /dev/vfio/vfio --device /dev/vfio/4 …");
    }

    /** A kernel without groups, or a user who has got the device's own file only. */
    @Test
    void aDeviceThatIsUsedByItsOwnFile() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").without("/dev/vfio").file("/dev/iommu", "").file("/dev/vfio/devices/vfio4",
                "");
        assertOutcome(machine.examine(NIC), "permissions", Outcome.OK,
                "alice may open /dev/iommu and /dev/vfio/devices/vfio4");
        machine.closed("/dev/vfio/devices/vfio4");
        assertThat(machine.examine(NIC).next().orElseThrow().fix().commands())
                .containsExactly("chown alice /dev/vfio/devices/vfio4");
    }

    @Test
    void aDeviceThatSomebodyHas() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").file("/proc/4711/comm", "qemu-system-x86")
                .link("/proc/4711/fd/7", "/dev/null").link("/proc/4711/fd/21", "/dev/vfio/4")
                .link("/proc/4712/fd/3", "/dev/vfio/5");
        assertNext(machine.examine(NIC), "use",
                "Process 4711 (qemu-system-x86) has /dev/vfio/4 open, and one at a time can: end it, or take another device",
                "kill 4711");
        machine.without("/proc/4711").link("/proc/4712/fd/3", "/dev/vfio/devices/vfio4");
        assertNext(machine.examine(NIC), "use",
                "Process 4712 (?) has /dev/vfio/devices/vfio4 open, and one at a time can: end it, or take another device",
                "kill 4712");
    }

    @Test
    void whatOnlyTheKernelKnows() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").kernel(opening(-Errno.EBUSY.code()));
        assertNext(machine.examine(NIC), "use",
                "Somebody whom alice may not look at has /dev/vfio/4 open, and one at a time can: this shows who",
                "fuser -v /dev/vfio/4");
        machine.kernel(opening(-Errno.EPERM.code()));
        assertNext(machine.examine(NIC), "use",
                "The kernel refuses /dev/vfio/4 (EPERM) though its mode allows it: hand it to the container this runs in",
                "docker run --device /dev/vfio/4 …");
        machine.kernel(opening(-Errno.EIO.code()));
        assertNext(machine.examine(NIC), "use", "The kernel refuses to open /dev/vfio/4: EIO (input/output error)",
                "dmesg");
    }

    @Test
    void tooLittleMemoryThatMayBeLocked() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").memlock("65536", "65536");
        assertNext(machine.examine(NIC), "memlock",
                "64 KiB may be locked, and so mapped for devices: more is ENOMEM; raise it and log in again (in a unit of"
                        + " systemd: LimitMEMLOCK=infinity)",
                "echo 'alice - memlock unlimited' > /etc/security/limits.d/vfio.conf");
        machine.memlock("65536", "unlimited");
        assertThat(machine.examine(NIC).next().orElseThrow().fix()).isEqualTo(Fix.byUser("ulimit -l unlimited"));
        machine.memlock("65536", "1073741824");
        assertThat(machine.examine(NIC).next().orElseThrow().fix()).isEqualTo(Fix.byUser("ulimit -l 1048576"));
        machine.memlock("8388608", "8388608");
        assertOutcome(machine.examine(NIC), "memlock", Outcome.NOTE,
                "8192 KiB may be locked, and so mapped for devices: more is ENOMEM; raise it and log in again (in a unit of"
                        + " systemd: LimitMEMLOCK=infinity)");
        machine.memlock("65536", "65536").file("/proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff");
        assertOutcome(machine.examine(NIC), "memlock", Outcome.OK, "alice may lock all memory (CAP_IPC_LOCK)");
        // As Docker leaves it to root.
        machine.file("/proc/self/status", "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb");
        assertThat(machine.examine(NIC).next().orElseThrow().check()).isEqualTo("memlock");
        machine.without("/proc/self/limits");
        assertOutcome(machine.examine(NIC), "memlock", Outcome.UNKNOWN, "The limit of locked memory cannot be read");
    }

    @Test
    void aPhysicalFunctionWithoutTheModulesOption() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").sriov(NIC, 8, 0).file("/sys/module/vfio_pci/parameters/enable_sriov", "N");
        Report report = machine.examine(NIC);
        assertThat(report.next()).isEmpty();
        assertThat(finding(report, "sriov")).isEqualTo(new Finding("sriov", Outcome.NOTE,
                "0000:01:00.0 has 0 of 8 virtual functions, and vfio-pci creates none (ENOENT) until it is told to",
                Fix.byRoot("echo 1 > /sys/module/vfio_pci/parameters/enable_sriov")));
    }

    @Test
    void aVirtualFunctionThatTakesAToken() throws VfioException {
        machine.function(NIC, 4, "vfio-pci").sriov(NIC, 8, 1).virtualFunction("0000:01:10.0", 5, NIC);
        Report report = machine.examine("0000:01:10.0");
        assertThat(report.next()).isEmpty();
        assertThat(finding(report, "sriov")).isEqualTo(new Finding("sriov", Outcome.UNKNOWN,
                "Its physical function 0000:01:00.0 is on vfio-pci, so it opens only with the VF token that the owner of"
                        + " that has set: ask for it, and see whether it is the right one",
                Fix.byUser("vfio4j token check 0000:01:10.0 --file vf-token")));
        machine.function(NIC, 4, "igb");
        assertOutcome(machine.examine("0000:01:10.0"), "sriov", Outcome.OK,
                "Its physical function 0000:01:00.0 is not on vfio-pci, so it opens without a VF token");
    }

    @Test
    void aJvmThatMayNotCallTheKernel() throws VfioException {
        Module module = DoctorTest.class.getModule();
        Report report = new PreparedMachine(root).function(NIC, 4, "vfio-pci").examine(NIC);
        assertNext(report, "native access",
                "Calls to libc need native access: start java with --enable-native-access=ALL-UNNAMED",
                "java --enable-native-access=" + (module.isNamed() ? module.getName() : "ALL-UNNAMED") + " …");
        assertThat(report.findings()).hasSize(10);
        assertOutcome(report, "use", Outcome.UNKNOWN, "Nobody whom alice may look at has /dev/vfio/4 open");
    }

    @Test
    void anotherSystem() throws VfioException {
        for (Report report : List.of(machine.system("Mac OS X").examine(), machine.examine(NIC),
                machine.examine(MDEV))) {
            assertNext(report, "system",
                    "VFIO is an interface of the Linux kernel, and this is Mac OS X: the emulated kernel runs here too",
                    "vfio4j doctor --emulated", "vfio4j demo");
            assertThat(report.findings()).hasSize(1);
        }
    }

    @Test
    void aMachineWithFunctionsToChooseFrom() {
        machine.function(NIC, 4, "igb").function("0000:02:00.0", 5, null).function("0000:00:01.0", 6, "pcieport")
                .file("/sys/bus/pci/devices/0000:00:01.0/class", "0x060400");
        assertNext(machine.examine(), "driver", "No PCI function is bound to vfio-pci; choose one of the 2 there are",
                "vfio4j doctor 0000:02:00.0");
        machine.function("0000:03:00.0", 7, "vfio-pci").function("0000:04:00.0", 8, "vfio-pci").closed("/dev/vfio/8");
        Report report = machine.examine();
        assertOutcome(report, "driver", Outcome.OK,
                "2 functions are bound to a driver of VFIO: 0000:03:00.0, 0000:04:00.0");
        assertThat(report.next()).isEmpty();
        assertThat(text(report)).contains("Next: nothing stands in the way; 'vfio4j doctor DEVICE' examines a device\n")
                .endsWith("""

                        0000:01:00.0  8086:1533  group 4    igb            stopped by: driver
                        0000:02:00.0  8086:1533  group 5    no driver      stopped by: driver
                        0000:03:00.0  8086:1533  group 7    vfio-pci       can be used
                        0000:04:00.0  8086:1533  group 8    vfio-pci       stopped by: permissions
                        """);
    }

    @Test
    void aMachineWithoutAnything() {
        assertOutcome(machine.examine(), "driver", Outcome.UNKNOWN, "There is no PCI function in an IOMMU group");
        machine.function(NIC, 4, "igb");
        assertThat(machine.examine().next().orElseThrow().fix().commands()).containsExactly("vfio4j doctor DEVICE");
        machine.closed("/dev/vfio/vfio").without("/sys/bus/pci/devices/" + NIC).function(NIC, 4, "vfio-pci");
        assertThat(machine.examine().next().orElseThrow().fix()).isEqualTo(Fix.byRoot("chmod 666 /dev/vfio/vfio"));
    }

    @Test
    void aMediatedDevice() throws VfioException {
        machine.withoutIommu().directory("/sys/kernel/iommu_groups/9/devices").file("/dev/vfio/9", "")
                .link("/sys/bus/mdev/devices/" + MDEV, "../../../devices/virtual/mtty/mtty/" + MDEV)
                .directory("/sys/devices/virtual/mtty/mtty/" + MDEV);
        assertOutcome(machine.examine(MDEV), "driver", Outcome.PROBLEM,
                MDEV + " has no driver of VFIO: make it anew, and see dmesg");
        machine.link("/sys/devices/virtual/mtty/mtty/" + MDEV + "/iommu_group", "../../../../../kernel/iommu_groups/9")
                .link("/sys/devices/virtual/mtty/mtty/" + MDEV + "/driver", "../../../../../bus/mdev/drivers/mtty");
        Report report = machine.examine(MDEV);
        assertThat(report.next()).isEmpty();
        assertOutcome(report, "iommu", Outcome.NOT_APPLICABLE, "A mediated device needs no IOMMU");
        assertOutcome(report, "driver", Outcome.OK, MDEV + " is bound to mtty");
        assertOutcome(report, "permissions", Outcome.OK, "alice may open /dev/vfio/vfio and /dev/vfio/9");
    }

    @Test
    void aDeviceThatIsNotThere() {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> machine.examine(NIC))
                .satisfies(e -> assertThat(e.is(Errno.ENODEV)).isTrue()).withMessageContaining("lspci -D");
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> machine.examine(MDEV))
                .withMessageContaining("ls /sys/bus/mdev/devices");
    }

    /** What came between two kernels that are known, one between them may have or not. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
            "5.4.0-192-generic | no feature PCI_VF_TOKEN, MIGRATION, MIG_DEVICE_STATE, LOW_POWER_ENTRY,"
                    + " LOW_POWER_ENTRY_WITH_WAKEUP, LOW_POWER_EXIT, DMA_LOGGING_START, DMA_LOGGING_STOP,"
                    + " DMA_LOGGING_REPORT, MIG_DATA_SIZE, BUS_MASTER, DMA_BUF, MIG_PRECOPY_INFOv2;",
            "6.1.0-56-amd64 | no feature MIG_DATA_SIZE, BUS_MASTER, DMA_BUF, MIG_PRECOPY_INFOv2; no iommufd",
            "6.8.0-45 | no feature DMA_BUF, MIG_PRECOPY_INFOv2; perhaps no feature MIG_DATA_SIZE, BUS_MASTER (to be probed);",
            "6.18.44 | perhaps no feature DMA_BUF, MIG_PRECOPY_INFOv2 (to be probed);",
            "7.2.13 | has no iommufd: devices share a container", "9.0 | has no iommufd: devices share a container"})
    void whatAKernelLacks(String release, String lacking) {
        machine.file("/proc/sys/kernel/osrelease", release);
        assertThat(finding(machine.examine(), "kernel")).satisfies(found -> {
            assertThat(found.outcome()).isEqualTo(Outcome.NOTE);
            assertThat(found.message()).startsWith("Linux " + release + " has ").contains(lacking);
        });
    }

    @Test
    void howAKernelWasBuilt() {
        machine.file("/proc/sys/kernel/osrelease", "7.2.13").file("/dev/iommu", "");
        assertOutcome(machine.examine(), "kernel", Outcome.NOTE,
                "Linux 7.2.13 has no files of devices of their own: they share a container");
        machine.directory("/dev/vfio/devices");
        assertOutcome(machine.examine(), "kernel", Outcome.OK,
                "Linux 7.2.13 has all 13 features, iommufd, and files of devices");
        machine.file("/proc/sys/kernel/osrelease", "6.12.1");
        assertThat(finding(machine.examine(), "kernel").message())
                .endsWith("; no VF token for who opens a device by its own file");
        machine.file("/proc/sys/kernel/osrelease", "6.15.1");
        assertThat(finding(machine.examine(), "kernel").message())
                .endsWith("; perhaps no VF token for who opens a device by its own file");
        machine.file("/proc/sys/kernel/osrelease", "unknown");
        assertOutcome(machine.examine(), "kernel", Outcome.UNKNOWN, "'unknown' is no release of Linux");
    }

    /** A user who does one step after the other comes to the end, and never back. */
    @Test
    void theStepsComeInTheOrderInWhichTheyCanBeDone() throws VfioException {
        machine = new PreparedMachine(root).function(NIC, 4, "igb").function("0000:01:00.1", 4, "igb")
                .memlock("65536", "65536").without("/sys/bus/pci/drivers/vfio-pci").closed("/dev/vfio/4")
                .without("/sys/class/iommu/dmar0").without("/sys/kernel/iommu_groups");
        assertThat(machine.examine(NIC).next().orElseThrow().check()).isEqualTo("iommu");
        machine.directory("/sys/class/iommu/dmar0").function(NIC, 4, "igb").function("0000:01:00.1", 4, "igb");
        assertThat(machine.examine(NIC).next().orElseThrow().check()).isEqualTo("module");
        machine.directory("/sys/bus/pci/drivers/vfio-pci");
        assertThat(machine.examine(NIC).next().orElseThrow().check()).isEqualTo("driver");
        machine.function(NIC, 4, "vfio-pci");
        assertThat(machine.examine(NIC).next().orElseThrow().check()).isEqualTo("group");
        machine.function("0000:01:00.1", 4, "vfio-pci");
        assertThat(machine.examine(NIC).next().orElseThrow().check()).isEqualTo("permissions");
        machine.open("/dev/vfio/4");
        assertThat(machine.examine(NIC).next().orElseThrow().check()).isEqualTo("memlock");
        machine.memlock("unlimited", "unlimited");
        assertThat(machine.examine(NIC).next().orElseThrow().check()).isEqualTo("native access");
        machine.kernel(opening(0));
        assertThat(machine.examine(NIC).next()).isEmpty();
    }

    @Test
    void nothingIsChanged() throws IOException {
        machine.function(NIC, 4, "igb").sriov(NIC, 8, 1).virtualFunction("0000:01:10.0", 5, NIC);
        Map<String, String> before = contents();
        for (Report report : List.of(machine.examine(), machine.examine(NIC), machine.examine("0000:01:10.0"))) {
            assertThat(report.findings()).hasSize(10);
        }
        assertThat(contents()).isEqualTo(before);
    }

    private Map<String, String> contents() throws IOException {
        Map<String, String> contents = new TreeMap<>();
        try (Stream<Path> files = Files.walk(root)) {
            for (Path file : files.toList()) {
                contents.put(file.toString(), Files.getLastModifiedTime(file, LinkOption.NOFOLLOW_LINKS)
                        + (Files.isRegularFile(file) ? Files.readString(file) : ""));
            }
        }
        return contents;
    }
}
