package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.cli.Main;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** {@code vfio4j doctor} on a real kernel, as a new user has it; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLaneDoctorTest {

    /**
     * What the command has said.
     *
     * @param exitCode
     *            0, or 3 if something stands in the way
     * @param out
     *            its output
     */
    private record Answer(int exitCode, String out) {

        /** The line of the next step. */
        String next() {
            return out.lines().filter(line -> line.startsWith("Next: ")).findFirst().orElse(out);
        }

        /** The commands below it. */
        List<String> commands() {
            return out.lines().dropWhile(line -> !line.startsWith("Next: ")).skip(1)
                    .takeWhile(line -> line.startsWith("    # ")).map(line -> line.substring(6)).toList();
        }

        /** Does what was said. */
        void follow() throws IOException {
            assertThat(commands()).isNotEmpty();
            for (String command : commands()) {
                assertThat(run("sh", "-c", command)).isEqualTo(new Answer(0, ""));
            }
        }
    }

    private static Answer run(String... command) throws IOException {
        Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
        String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        return new Answer(process.onExit().join().exitValue(), out);
    }

    /** As root. */
    private static Answer doctor(String... arguments) {
        StringWriter out = new StringWriter();
        String[] command = new String[arguments.length + 1];
        command[0] = "doctor";
        System.arraycopy(arguments, 0, command, 1, arguments.length);
        int exitCode = Main.run(new PrintWriter(out), new PrintWriter(out), command);
        return new Answer(exitCode, out.toString());
    }

    /** In a JVM without privileges, below a shell that has been told something. */
    private static Answer doctorAsNobody(String shell, PciAddress function) throws IOException {
        Path users = Path.of("/etc/passwd");
        if (!Files.exists(users)) {
            Files.createDirectories(users.getParent());
            Files.writeString(users, "root:x:0:0:root:/tmp:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n");
        }
        return run("su", "-s", "/bin/sh", "nobody", "-c",
                shell + "exec " + System.getProperty("java.home") + "/bin/java -Xmx64m -XX:+UseSerialGC"
                        + " -XX:TieredStopAtLevel=1 --enable-native-access=ALL-UNNAMED -cp "
                        + System.getProperty("java.class.path") + " " + Main.class.getName() + " doctor " + function);
    }

    /** From a function without a driver to one that works for a user without privileges. */
    @Test
    void whoFollowsTheStepsComesToAWorkingDevice() throws IOException {
        PciAddress function = KernelLaneApiTest.current().unboundFunction();
        Path sysfs = Path.of("/sys/bus/pci/devices/" + function);
        String group = "/dev/vfio/" + Files.readSymbolicLink(sysfs.resolve("iommu_group")).getFileName();
        try {
            Answer unbound = doctor(function.toString());
            assertThat(unbound.next()).isEqualTo("Next: " + function + " is bound to no driver");
            assertThat(unbound.exitCode()).isEqualTo(3);
            unbound.follow();

            Answer bound = doctor(function.toString());
            assertThat(bound.next()).startsWith("Next: nothing stands in the way");
            assertThat(bound.exitCode()).isZero();

            Answer closed = doctorAsNobody("ulimit -l 64; ", function);
            assertThat(closed.next()).startsWith("Next: nobody may not open " + group + "; ");
            assertThat(closed.exitCode()).isEqualTo(3);
            closed.follow();

            Answer small = doctorAsNobody("ulimit -l 64; ", function);
            assertThat(small.next())
                    .startsWith("Next: 64 KiB may be locked, and so mapped for devices: more is ENOMEM; ");
            assertThat(small.exitCode()).isEqualTo(3);

            Answer well = doctorAsNobody("", function);
            assertThat(well.next()).startsWith("Next: nothing stands in the way");
            assertThat(well.out()).contains(group + " could be opened, and was closed again");
            assertThat(well.exitCode()).isZero();
        } finally {
            if (Files.exists(sysfs.resolve("driver"))) {
                Files.writeString(sysfs.resolve("driver/unbind"), function.toString());
            }
            Files.writeString(sysfs.resolve("driver_override"), "\n");
        }
        assertThat(doctor(function.toString()).next()).isEqualTo("Next: " + function + " is bound to no driver");
    }

    @Test
    void whoHasTheDeviceIsNamed() throws IOException {
        PciAddress function = KernelLaneApiTest.current().plainFunction();
        try (VfioContainer container = Vfio.open().openContainer()) {
            container.openDevice(function);
            Answer used = doctor(function.toString());
            assertThat(used.next())
                    .startsWith("Next: Process " + ProcessHandle.current().pid() + " (java) has /dev/vfio/")
                    .endsWith(" open, and one at a time can: end it, or take another device");
            assertThat(used.exitCode()).isEqualTo(3);
        }
        assertThat(doctor(function.toString()).exitCode()).isZero();
    }

    /** The lane's kernels have all that the machine as a whole needs. */
    @Test
    void theMachineHasFunctionsToChooseFrom() {
        Answer machine = doctor();
        assertThat(machine.next()).startsWith("Next: nothing stands in the way");
        assertThat(machine.out()).contains("\n" + KernelLaneApiTest.current().plainFunction() + "  ",
                "\n" + KernelLaneApiTest.current().unboundFunction() + "  ", "  can be used\n",
                "  stopped by: driver\n");
        assertThat(machine.exitCode()).isZero();
    }
}
