package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Example;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Whatever a program does, its transcript is answered alike by a kernel like its own. */
class RecordReplayPropertiesTest {

    private static final String MTTY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
    private static final String TOKEN = "00112233-4455-6677-8899-aabbccddeeff";

    private static final List<String> PATHS = List.of("/dev/vfio/vfio", "/dev/vfio/4", "/dev/vfio/9", "/dev/vfio/5",
            "/dev/null", "/sys/module/vfio_pci/parameters/enable_sriov",
            "/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs", "/dev/nothing");
    private static final List<String> NAMES = List.of(MTTY, "0000:01:00.0", "0000:01:00.1",
            "0000:01:00.0 vf_token=" + TOKEN, "0000:01:00.1 vf_token=" + TOKEN, "0000:01:00.1 vf_token=" + TOKEN + "x");

    private static Transcript read(StringWriter written) throws IOException {
        return Transcript.read(new ByteArrayInputStream(written.toString().getBytes(StandardCharsets.UTF_8)));
    }

    @Provide
    Arbitrary<KernelProfile> kernels() {
        return Arbitraries.of(KernelProfile.all());
    }

    @Property
    void aRecordingIsAnsweredAlike(@ForAll("kernels") KernelProfile profile, @ForAll long seed) throws IOException {
        Environment environment = Environment.parse("{\"transcript\":1,\"kernel\":\"" + profile.version()
                + "\",\"options\":{\"iommufdDriver\":" + (seed % 2 == 0) + "},\"devices\":["
                + "{\"kind\":\"pci\",\"name\":\"0000:01:00.0\",\"group\":4,\"sriov\":{\"totalVfs\":2},"
                + "\"bars\":[{\"index\":0,\"size\":16384,\"kind\":\"memory\"}]},"
                + "{\"kind\":\"pci\",\"name\":\"0000:01:00.1\",\"group\":5,\"virtualFunctionOf\":\"0000:01:00.0\"},"
                + "{\"kind\":\"mtty\",\"name\":\"" + MTTY + "\",\"group\":9,\"ports\":2}]}");
        StringWriter written = new StringWriter();
        EmulatedKernel kernel = environment.boot();
        int calls;
        try (EmulatedProcess process = kernel.newProcess();
                RecordingBackend recording = new RecordingBackend(process, environment, written);
                Arena arena = Arena.ofConfined()) {
            calls = new RandomProgram(new Random(seed), kernel, recording, arena).run();
        }
        assertThat(written.toString()).doesNotContain(TOKEN, TOKEN.replace("-", ""));
        Transcript transcript = read(written);
        assertThat(transcript.size()).isEqualTo(calls);
        Replay replay = Replayer.replayEmulated(transcript);
        assertThat(replay.divergences()).isEmpty();
        assertThat(replay.calls()).isEqualTo(calls);
    }

    /** A refused change of state writes over the second half of what is at 8; of an address there, the first half stays. */
    @Example
    void halfOfAPointerIsNotRecordedAndStandsWhereItStood() throws IOException {
        Environment environment = Environment.parse("{\"transcript\":1,\"kernel\":\"7.2\",\"devices\":["
                + "{\"kind\":\"mtty\",\"name\":\"" + MTTY + "\",\"group\":9,\"ports\":1}]}");
        StringWriter written = new StringWriter();
        EmulatedKernel kernel = environment.boot();
        long address;
        try (EmulatedProcess process = kernel.newProcess();
                RecordingBackend recording = new RecordingBackend(process, environment, written);
                Arena arena = Arena.ofConfined()) {
            new RandomProgram(new Random(0), kernel, recording, arena).openDevice(true);
            MemorySegment pointee = arena.allocate(1 << 16, 1 << 16).asSlice(0x1230, 16);
            address = pointee.address();
            MemorySegment argument = arena.allocate(16, 8);
            argument.set(ValueLayout.JAVA_INT, 0, 16);
            argument.set(ValueLayout.JAVA_INT, 4, 2 | 1 << 17);
            argument.set(ValueLayout.JAVA_LONG, 8, address);
            assertThat(recording.ioctl(5, 0x3b75, argument, pointee)).isEqualTo(-22);
        }
        assertThat(written.toString().lines().toList()).last().asString()
                .contains("\"out\":\"100000000200020030020000ffffffff\"");
        assertThat(Replayer.replayEmulated(read(written)).divergences()).isEmpty();
    }

    /** Zeros over the second half of an address look like that half, of which a transcript shows nothing else. */
    @Example
    void zerosOverHalfOfAPointerAreAnsweredAlike() throws IOException {
        Environment environment = Environment.parse("{\"transcript\":1,\"kernel\":\"7.2\",\"devices\":["
                + "{\"kind\":\"mtty\",\"name\":\"" + MTTY + "\",\"group\":9,\"ports\":1}]}");
        StringWriter written = new StringWriter();
        EmulatedKernel kernel = environment.boot();
        try (EmulatedProcess process = kernel.newProcess();
                RecordingBackend recording = new RecordingBackend(process, environment, written);
                Arena arena = Arena.ofConfined()) {
            new RandomProgram(new Random(0), kernel, recording, arena).openDevice(true);
            MemorySegment pointee = arena.allocate(16, 16);
            MemorySegment argument = arena.allocate(16, 8);
            argument.set(ValueLayout.JAVA_INT, 0, 16);
            argument.set(ValueLayout.JAVA_INT, 4, 1 | 1 << 16);
            argument.set(ValueLayout.JAVA_LONG, 8, pointee.address());
            assertThat(recording.ioctl(5, 0x3b75, argument, pointee)).isZero();
            assertThat(argument.get(ValueLayout.JAVA_LONG, 8)).isEqualTo(7);
        }
        assertThat(Replayer.replayEmulated(read(written)).divergences()).isEmpty();
    }

    /** The kernel refuses a negative descriptor otherwise than an unknown one: half an address is as it was, or it may be either. */
    @Example
    void anAddressWhereADescriptorBelongsKeepsItsBits() throws IOException {
        Environment environment = Environment.parse("{\"transcript\":1,\"kernel\":\"7.2\",\"devices\":["
                + "{\"kind\":\"pci\",\"name\":\"0000:01:00.0\",\"group\":4}]}");
        StringWriter written = new StringWriter();
        EmulatedKernel kernel = environment.boot();
        long address;
        try (EmulatedProcess process = kernel.newProcess();
                RecordingBackend recording = new RecordingBackend(process, environment, written);
                Arena arena = Arena.ofConfined()) {
            new RandomProgram(new Random(0), kernel, recording, arena).openDevice(false);
            MemorySegment pointee = arena.allocate(16, 16);
            address = pointee.address();
            MemorySegment argument = arena.allocate(16, 8);
            argument.set(ValueLayout.JAVA_INT, 0, 16);
            argument.set(ValueLayout.JAVA_INT, 4, 4 | 1 << 17);
            argument.set(ValueLayout.JAVA_LONG, 8, address);
            assertThat(recording.ioctl(5, 0x3b75, argument, pointee)).isEqualTo((int) address < 0 ? -22 : -9);
        }
        assertThat(written.toString().lines().toList()).last().asString()
                .contains("1000000004000200" + HexFormat.of().toHexDigits(Long.reverseBytes(address)));
        assertThat(Replayer.replayEmulated(read(written)).divergences()).isEmpty();
    }

    /** Makes calls that often go right, in any order. */
    private static final class RandomProgram {

        private final Random random;
        private final EmulatedKernel kernel;
        private final RecordingBackend backend;
        private final Arena arena;

        RandomProgram(Random random, EmulatedKernel kernel, RecordingBackend backend, Arena arena) {
            this.random = random;
            this.kernel = kernel;
            this.backend = backend;
            this.arena = arena;
        }

        /** Until it has made many calls, or comes upon one that is not emulated. */
        int run() {
            int calls = 0;
            try {
                calls += openDevice(random.nextBoolean());
                for (int i = 0; i < 60; i++) {
                    call();
                    calls++;
                }
            } catch (NotModelledException | KernelHazardException e) {
                // Not recorded: there was no answer.
                return calls;
            }
            return calls;
        }

        private <T> T any(List<T> choices) {
            return choices.get(random.nextInt(choices.size()));
        }

        private int fd() {
            return random.nextInt(-1, 10);
        }

        private int openDevice(boolean mtty) {
            int container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
            int group = backend.open(mtty ? "/dev/vfio/9" : "/dev/vfio/4", Fcntl.O_RDWR);
            backend.ioctl(group, 0x3b68, arena.allocateFrom(ValueLayout.JAVA_INT, container));
            backend.ioctl(container, 0x3b66, MemorySegment.ofAddress(3));
            backend.ioctl(group, 0x3b6a, arena.allocateFrom(mtty ? MTTY : "0000:01:00.0"));
            return 5;
        }

        private void call() {
            switch (random.nextInt(12)) {
                case 0 -> backend.open(any(PATHS), random.nextInt(3));
                case 1 -> backend.close(fd());
                case 2 -> backend.eventfd(random.nextInt(3), Fcntl.EFD_NONBLOCK);
                case 3 -> backend.read(fd(), arena.allocate(random.nextInt(100) + 1L));
                case 4 -> backend.write(fd(),
                        random.nextBoolean()
                                ? arena.allocateFrom(ValueLayout.JAVA_LONG, random.nextInt(4))
                                : arena.allocateFrom("1").asSlice(0, 1));
                case 5 -> backend.pread(fd(), arena.allocate(8), random.nextInt(-1, 3));
                case 6 -> backend.ioctl(fd(), 0x3b64L + random.nextInt(6), MemorySegment.ofAddress(random.nextInt(5)));
                case 7 -> backend.ioctl(fd(), 0x3b68, arena.allocateFrom(ValueLayout.JAVA_INT, fd()));
                case 8 -> backend.ioctl(fd(), 0x3b6a, arena.allocateFrom(any(NAMES)));
                default -> feature();
            }
            kernel.advance(Duration.ofNanos(any(List.of(0L, 0L, 0L, 10_000L, 100_000L, 5_000_000L))));
        }

        private void feature() {
            long size = any(List.of(8L, 12L, 16L, 24L, 32L, 40L));
            MemorySegment memory = arena.allocate(64, 8);
            MemorySegment argument = arena.allocate(size, 8);
            argument.set(ValueLayout.JAVA_INT, 0, any(Arrays.asList((int) size, 8, 24)));
            argument.set(ValueLayout.JAVA_INT, 4,
                    random.nextInt(14) | any(List.of(0, 1 << 16, 1 << 17, 1 << 17, 1 << 18, 3 << 17)));
            for (long at = 8; at + 8 <= size; at += 8) {
                argument.set(ValueLayout.JAVA_LONG, at,
                        any(List.of(0L, 1L, (long) random.nextInt(8), 4096L, memory.address(), memory.address() + 8)));
            }
            if (random.nextInt(4) == 0 && size >= 24) {
                argument.set(ValueLayout.JAVA_INT, 4, 1 << 17);
                argument.set(ValueLayout.JAVA_LONG, 8, 0x7766_5544_3322_1100L);
                argument.set(ValueLayout.JAVA_LONG, 16, 0xffee_ddcc_bbaa_9988L);
            }
            backend.ioctl(fd(), 0x3b75, argument, memory);
        }
    }
}
