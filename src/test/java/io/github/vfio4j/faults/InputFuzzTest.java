package io.github.vfio4j.faults;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.migration.MigrationDriver;
import io.github.vfio4j.migration.MigrationException;
import io.github.vfio4j.migration.MigrationListener;
import io.github.vfio4j.migration.MigrationOptions;
import io.github.vfio4j.trace.Replayer;
import io.github.vfio4j.trace.Transcript;
import io.github.vfio4j.trace.TranscriptException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.SplittableRandom;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import net.jqwik.api.lifecycle.AfterContainer;

/** What comes from outside is taken, or refused with an exception that is documented, at once and without much memory. */
class InputFuzzTest {

    private static final PciAddress PCI = PciAddress.parse("0000:02:00.0");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final EmulatedProcess PROCESS = EmulatedKernel.builder(KernelProfile.LINUX_7_2.withIommufdDriver())
            .pciFunction(PCI.toString(), function -> function.sriov(1).memoryBar(0, 1 << 14)).mtty(MTTY, 1).build()
            .newProcess();
    private static final byte[] STATE = state();
    private static final List<byte[]> TRANSCRIPTS = List.of(transcript("linux-7.2-demo"),
            transcript("linux-full-7.2-demo"));

    private static byte[] state() {
        ByteArrayOutputStream state = new ByteArrayOutputStream();
        try (VfioContainer container = Vfio.using(PROCESS).openContainer();
                VfioDevice device = container.openMediatedDevice(MTTY)) {
            MigrationDriver.of(device).orElseThrow().save(Channels.newChannel(state));
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        return state.toByteArray();
    }

    /** The first lines of a transcript of a real kernel. */
    private static byte[] transcript(String name) {
        try (InputStream in = InputFuzzTest.class.getResourceAsStream("/transcripts/kernels/" + name + ".jsonl.gz")) {
            String text = new String(
                    new java.util.zip.GZIPInputStream(java.util.Objects.requireNonNull(in)).readAllBytes(),
                    StandardCharsets.UTF_8);
            return text.lines().limit(60).reduce("", (all, line) -> all + line + "\n").getBytes(StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }

    @AfterContainer
    static void nothingIsLeftOpen() {
        assertThat(PROCESS.openFiles()).isEmpty();
    }

    @Property
    void aTranscriptIsUnderstoodOrRefusedWithItsPlace(@ForAll long seed, @ForAll @IntRange(max = 1) int which)
            throws Exception {
        byte[] bytes = Fuzz.mutated(TRANSCRIPTS.get(which), new SplittableRandom(seed));
        Fuzz.inProportion(() -> {
            try {
                Transcript transcript = Transcript.read(new ByteArrayInputStream(bytes));
                assertThat(transcript.describe()).hasSize(transcript.size());
            } catch (TranscriptException e) {
                assertThat(e.line()).isPositive();
                assertThat(e.column()).isPositive();
            }
        });
    }

    /** What it says is done, on a machine that it describes. */
    @Property
    void whatIsUnderstoodCanBeReplayed(@ForAll long seed, @ForAll @IntRange(max = 1) int which) throws Exception {
        byte[] bytes = Fuzz.mutated(TRANSCRIPTS.get(which), new SplittableRandom(seed));
        Fuzz.inProportion(() -> {
            Transcript transcript;
            try {
                transcript = Transcript.read(new ByteArrayInputStream(bytes));
            } catch (TranscriptException e) {
                return;
            }
            try {
                assertThat(Replayer.replayEmulated(transcript).calls()).isEqualTo(transcript.size());
            } catch (NotModelledException | KernelHazardException e) {
                assertThat(e.getMessage()).isNotBlank();
            }
        });
    }

    @Property
    void aDeviceTakesAStreamOrRefusesIt(@ForAll long seed, @ForAll @IntRange(min = 1, max = 4096) int buffer)
            throws Exception {
        byte[] bytes = Fuzz.mutated(STATE, new SplittableRandom(seed));
        try (VfioContainer container = Vfio.using(PROCESS).openContainer();
                VfioDevice device = container.openMediatedDevice(MTTY)) {
            MigrationDriver driver = MigrationDriver.of(device).orElseThrow();
            Fuzz.inProportion(() -> {
                try {
                    driver.restore(Channels.newChannel(new ByteArrayInputStream(bytes)),
                            MigrationOptions.DEFAULT.withBufferSize(buffer).withStallTimeout(Duration.ZERO),
                            MigrationListener.NONE);
                } catch (MigrationException e) {
                    assertThat(e.getCause()).isInstanceOf(IOException.class);
                }
            });
            device.reset();
            ByteArrayOutputStream saved = new ByteArrayOutputStream();
            assertThat(driver.save(Channels.newChannel(saved)).bytes()).isEqualTo(saved.size());
        }
    }

    @Property
    void anyBytesCanBeSentAsARequest(@ForAll @Size(max = 64) byte[] bytes, @ForAll boolean mediated) throws Exception {
        try (Arena arena = Arena.ofConfined(); VfioContainer container = Vfio.using(PROCESS).openContainer()) {
            VfioDevice device = mediated ? container.openMediatedDevice(MTTY) : container.openDevice(PCI);
            MemorySegment memory = arena.allocate(Math.max(8, bytes.length), 8);
            memory.asSlice(0, bytes.length).copyFrom(MemorySegment.ofArray(bytes));
            Fuzz.inProportion(() -> {
                FeatureRequest request = FeatureRequest.raw(memory);
                int result = device.executeRaw(request);
                if (result < 0) {
                    assertThat(Errno.ofResult(result).name()).isNotBlank();
                }
                assertThat(request.toString()).isNotBlank();
            });
        }
        PROCESS.openFiles().keySet().forEach(PROCESS::close);
    }
}
