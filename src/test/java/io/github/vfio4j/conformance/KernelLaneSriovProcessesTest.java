package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.examples.sriov.VfUser;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;

/** Owner and user as two processes on a real kernel; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLaneSriovProcessesTest extends SriovProcessesContract {

    @Override
    Vfio vfio() {
        return Vfio.open();
    }

    @Override
    PciAddress physicalFunction() {
        return KernelLaneApiTest.current().physicalFunction();
    }

    /** A small one that logs everything. */
    @Override
    User start(PciAddress virtualFunction) throws IOException {
        Process process = VfUser.command(virtualFunction, "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=trace").start();
        return new ChildProcess(process, process.inputReader(StandardCharsets.UTF_8));
    }

    /** The user in a JVM of its own. */
    private record ChildProcess(Process process, BufferedReader output) implements User {

        @Override
        public OutputStream input() {
            return process.getOutputStream();
        }

        @Override
        public String visible() throws IOException {
            Path files = Path.of("/proc", Long.toString(process.pid()));
            return Files.readString(files.resolve("cmdline"), StandardCharsets.ISO_8859_1)
                    + Files.readString(files.resolve("environ"), StandardCharsets.ISO_8859_1);
        }

        @Override
        public int waitFor() {
            return process.onExit().join().exitValue();
        }

        @Override
        public void close() {
            process.destroyForcibly();
            waitFor();
        }
    }
}
