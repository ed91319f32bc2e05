package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.RecordingBackend;
import io.github.vfio4j.trace.Replay;
import io.github.vfio4j.trace.Replayer;
import io.github.vfio4j.trace.Transcript;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The programs of the kernel lane, recorded: their transcripts are answered alike. */
class RecordedProgramsTest {

    private static final String DEVICES = """
            {"kind":"pci","name":"0000:01:00.0","group":4,"sriov":{"totalVfs":2},\
            "rom":65536,"msi":4,"msix":{"vectors":5,"tableBar":0},\
            "bars":[{"index":0,"size":16384,"kind":"memory"}]},\
            {"kind":"pci","name":"0000:02:00.0","group":5,"bars":[{"index":0,"size":1048576,"kind":"memory"}],\
            "reset":false,"express":false,"intx":false},\
            {"kind":"pci","name":"0000:03:00.0","group":6,"driver":null}""";

    @ParameterizedTest
    @ValueSource(strings = {"5.7", "6.1", "6.12", "7.2"})
    void theyAreAnsweredAlike(String kernel) throws IOException {
        Environment environment = Environment
                .parse("{\"transcript\":1,\"kernel\":\"" + kernel + "\",\"devices\":[" + DEVICES + "]}");
        EmulatedKernel emulated = environment.boot();
        StringWriter written = new StringWriter();
        try (RecordingBackend recording = new RecordingBackend(emulated.newProcess(), environment, written)) {
            EmulatedMachine machine = new EmulatedMachine(emulated, recording);
            LifecycleCalls.run(machine);
            Type1Calls.run(machine);
            if (!kernel.equals("5.7")) {
                // Which would not survive it.
                DeviceInfoCalls.run(machine);
            }
        }
        Transcript transcript = Transcript
                .read(new ByteArrayInputStream(written.toString().getBytes(StandardCharsets.UTF_8)));
        Replay replay = Replayer.replayEmulated(transcript);
        assertThat(replay.divergences()).isEmpty();
        assertThat(replay.calls()).isEqualTo((int) written.toString().lines().count() - 1).isGreaterThan(800);
    }
}
