package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIOException;

import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.StringWriter;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RecordingBackendTest {

    private static final String ENVIRONMENT = "{\"transcript\":1,\"kernel\":\"7.2\",\"devices\":["
            + "{\"kind\":\"pci\",\"name\":\"0000:01:00.0\",\"group\":4,\"driver\":\"vfio-pci\",\"sriov\":{\"totalVfs\":2},"
            + "\"bars\":[{\"index\":0,\"size\":16384,\"kind\":\"memory\"}]},"
            + "{\"kind\":\"mtty\",\"name\":\"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001\",\"group\":9,\"ports\":1}]}";

    private static final int GET_API_VERSION = 0x3b64;
    private static final int SET_CONTAINER = 0x3b68;
    private static final int GET_DEVICE_FD = 0x3b6a;
    private static final int SET_IOMMU = 0x3b66;
    private static final int FEATURE = 0x3b75;
    private static final int BIND_IOMMUFD = 0x3b76;
    private static final int GET = 1 << 16;
    private static final int SET = 1 << 17;

    private final Arena arena = Arena.ofConfined();
    private final StringWriter written = new StringWriter();
    private final EmulatedKernel kernel;
    private final RecordingBackend backend;

    RecordingBackendTest() throws IOException {
        Environment environment = Environment.parse(ENVIRONMENT);
        kernel = environment.boot();
        backend = new RecordingBackend(kernel.newProcess(), environment, written);
    }

    @AfterEach
    void free() {
        arena.close();
    }

    /** The calls; single quotes stand for the double ones. */
    private List<String> lines() {
        List<String> lines = written.toString().lines().toList();
        assertThat(lines.getFirst()).isEqualTo(ENVIRONMENT);
        return lines.subList(1, lines.size()).stream().map(line -> line.replace('"', '\'')).toList();
    }

    private String lastLine() {
        return lines().getLast();
    }

    private void assertReplaysAlike() throws IOException {
        Transcript transcript = Transcript
                .read(new ByteArrayInputStream(written.toString().getBytes(StandardCharsets.UTF_8)));
        assertThat(transcript.size()).isEqualTo(lines().size()).isPositive();
        assertThat(Replayer.replayEmulated(transcript).divergences()).isEmpty();
    }

    private MemorySegment bytes(String hex) {
        return arena.allocateFrom(ValueLayout.JAVA_BYTE, HexFormat.of().parseHex(hex));
    }

    private MemorySegment feature(int flags, String data) {
        MemorySegment argument = arena.allocate(8 + data.length() / 2, 8);
        argument.set(ValueLayout.JAVA_INT, 0, (int) argument.byteSize());
        argument.set(ValueLayout.JAVA_INT, 4, flags);
        MemorySegment.copy(bytes(data + "00"), 0, argument, 8, argument.byteSize() - 8);
        return argument;
    }

    /** A device, opened in the usual way. */
    private int open(int groupNumber, String name) {
        int container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        int group = backend.open("/dev/vfio/" + groupNumber, Fcntl.O_RDWR);
        backend.ioctl(group, SET_CONTAINER, arena.allocateFrom(ValueLayout.JAVA_INT, container));
        backend.ioctl(container, SET_IOMMU, MemorySegment.ofAddress(3));
        return backend.ioctl(group, GET_DEVICE_FD, arena.allocateFrom(name));
    }

    private int openMtty() {
        return open(9, "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    }

    @Test
    void everyCallIsALineAndTheCallerGetsItsAnswer() throws IOException {
        int device = openMtty();
        MemorySegment buffer = arena.allocate(64);
        assertThat(backend.ioctl(device, FEATURE, feature(1 | GET, "0000000000000000"))).isZero();
        assertThat(backend.ioctl(device, GET_API_VERSION, MemorySegment.NULL)).isEqualTo(-25);
        int eventfd = backend.eventfd(3, Fcntl.EFD_NONBLOCK);
        assertThat(backend.read(eventfd, buffer.asSlice(0, 9))).isEqualTo(8);
        assertThat(buffer.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) 3);
        assertThat(backend.read(eventfd, buffer.asSlice(0, 8))).isEqualTo(-11);
        assertThat(backend.write(eventfd, bytes("0100000000000000"))).isEqualTo(8);
        assertThat(backend.pread(eventfd, buffer.asSlice(0, 8), -1)).isEqualTo(-22);
        assertThat(backend.pwrite(eventfd, bytes("0100"), 4)).isEqualTo(-29);
        assertThat(backend.readlink("/sys/bus/pci/devices/0000:01:00.0/driver", buffer)).isPositive();
        assertThat(backend.close(eventfd)).isZero();
        assertThat(backend.close(eventfd)).isEqualTo(-9);
        assertThat(backend.close(9999)).isEqualTo(-9);
        assertThat(lines()).containsExactly(
                "{'op':'open','as':'container0','path':'/dev/vfio/vfio','flags':2,'result':'fd'}",
                "{'op':'open','as':'group0','path':'/dev/vfio/9','flags':2,'result':'fd'}",
                "{'op':'ioctl','fd':'group0','request':'0x3b68','arg':'00000000','fds':[{'offset':0,'name':'container0'}],'result':0}",
                "{'op':'ioctl','fd':'container0','request':'0x3b66','arg':3,'result':0}",
                "{'op':'ioctl','fd':'group0','as':'device0','request':'0x3b6a','arg':'38336238663466322d353039662d333832662d336331652d65366266653066613130303100','result':'fd'}",
                "{'op':'ioctl','fd':'device0','request':'0x3b75','arg':'10000000010001000000000000000000','out':'10000000010001000700000000000000','result':0}",
                "{'op':'ioctl','fd':'device0','request':'0x3b64','arg':null,'result':-25}",
                "{'op':'eventfd','as':'eventfd0','value':3,'flags':2048,'result':'fd'}",
                "{'op':'read','fd':'eventfd0','length':9,'data':'0300000000000000','result':8}",
                "{'op':'read','fd':'eventfd0','length':8,'result':-11}",
                "{'op':'write','fd':'eventfd0','data':'0100000000000000','result':8}",
                "{'op':'pread','fd':'eventfd0','length':8,'offset':-1,'result':-22}",
                "{'op':'pwrite','fd':'eventfd0','data':'0100','offset':4,'result':-29}",
                "{'op':'close','fd':'eventfd0','result':0}", "{'op':'close','fd':'eventfd0','result':-9}",
                "{'op':'close','fd':9999,'result':-9}");
        assertReplaysAlike();
    }

    /** MIG_DEVICE_STATE writes a descriptor; LOW_POWER_ENTRY_WITH_WAKEUP takes one; DMA_BUF returns one. */
    @Test
    void descriptorsHaveNamesWhereverTheyStand() throws IOException {
        int device = openMtty();
        MemorySegment state = feature(2 | SET, "0300000000000000");
        backend.ioctl(device, FEATURE, state);
        assertThat(lastLine())
                .isEqualTo("{'op':'ioctl','fd':'device0','request':'0x3b75','arg':'10000000020002000300000000000000',"
                        + "'outFds':[{'offset':12,'name':'data0'}],'result':0}");
        backend.read(state.get(ValueLayout.JAVA_INT, 12), arena.allocate(100));
        assertThat(lastLine()).startsWith("{'op':'read','fd':'data0','length':100,'data':'4e2c3e8c89099d7e")
                .endsWith(",'result':60}");

        int function = open(4, "0000:01:00.0");
        MemorySegment entry = feature(4 | SET, "0000000000000000");
        entry.set(ValueLayout.JAVA_INT, 8, backend.eventfd(0, 0));
        backend.ioctl(function, FEATURE, entry);
        assertThat(lastLine())
                .isEqualTo("{'op':'ioctl','fd':'device1','request':'0x3b75','arg':'10000000040002000000000000000000',"
                        + "'fds':[{'offset':8,'name':'eventfd0'}],'result':0}");
        backend.ioctl(function, FEATURE, feature(5 | SET, ""));
        backend.ioctl(function, FEATURE,
                feature(11 | GET, "00000000000000000000000001000000" + "0000000000000000" + "0010000000000000"));
        assertThat(lastLine()).startsWith("{'op':'ioctl','fd':'device1','as':'dmabuf0',").endsWith("'result':'fd'}");
        assertReplaysAlike();
    }

    @Test
    void memoryBehindPointersIsWrittenDownAndItsAddressIsNot() throws IOException {
        int device = openMtty();
        MemorySegment ranges = arena.allocate(64, 4096).asSlice(8, 16);
        ranges.set(ValueLayout.JAVA_LONG, 8, 0x1000);
        MemorySegment start = feature(6 | SET, "00100000000000000100000000000000" + "0000000000000000");
        start.set(ValueLayout.JAVA_LONG, 24, ranges.address());
        backend.ioctl(device, FEATURE, start, ranges);
        assertThat(lastLine()).isEqualTo("{'op':'ioctl','fd':'device0','request':'0x3b75',"
                + "'arg':'2000000006000200001000000000000001000000000000000800000000000000',"
                + "'pointees':[{'offset':24,'in':'00000000000000000010000000000000'}],'result':0}");
        assertReplaysAlike();
    }

    @Test
    void timeThatPassesIsWrittenDown() throws IOException {
        int device = open(4, "0000:01:00.0");
        int eventfd = backend.eventfd(0, Fcntl.EFD_NONBLOCK);
        MemorySegment entry = feature(4 | SET, "0000000000000000");
        entry.set(ValueLayout.JAVA_INT, 8, eventfd);
        backend.ioctl(device, FEATURE, entry);
        kernel.advance(Duration.ofNanos(99_999));
        backend.ioctl(device, FEATURE, entry);
        assertThat(lastLine()).endsWith("'result':-22}");
        kernel.advance(Duration.ofMillis(7));
        backend.ioctl(device, FEATURE, entry);
        assertThat(lastLine()).endsWith("'result':0,'pauseMillis':7}");
        backend.read(eventfd, arena.allocate(8));
        assertThat(lastLine()).contains("'data':'0100000000000000'");
        assertReplaysAlike();
    }

    private static final String TOKEN = "8f0d1b2c-3e4a-4c5b-9d6e-7f8091a2b3c4";
    private static final String OTHER = "18f0d1b2-3e4a-4c5b-9d6e-7f8091a2b3c4";
    private static final String STAND_IN = "decafbad-0000-4000-8000-000000000001";
    private static final String OTHER_STAND_IN = "decafbad-0000-4000-8000-000000000002";

    /** What the name becomes in the transcript, after TOKEN has been set. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', ignoreLeadingAndTrailingWhitespace = true, textBlock = """
            0000:01:00.0                                                    | 0000:01:00.0
            0000:01:00.0 foo=1                                              | 0000:01:00.0 foo=1
            0000:01:00.0 vf_token=TOKEN                                     | 0000:01:00.0 vf_token=STAND_IN
            0000:01:00.0   vf_token=OTHER  x                                | 0000:01:00.0   vf_token=OTHER_STAND_IN  x
            0000:01:00.0 vf_token=TOKEN vf_token=OTHER                      | 0000:01:00.0 vf_token=STAND_IN vf_token=OTHER_STAND_IN
            0000:01:00.0 VF_TOKEN={TOKEN}                                   | 0000:01:00.0 VF_TOKEN={STAND_IN}
            0000:01:00.0 vf_token=00000000-0000-0000-0000-000000000000      | 0000:01:00.0 vf_token=00000000-0000-0000-0000-000000000000
            0000:01:00.0 vf_token=8F0D1B2C-3E4A-4C5B-9D6E-7F8091A2B3C4      | 0000:01:00.0 vf_token=DECAFBAD-0000-4000-8000-000000000001
            0000:01:00.0 vf_token=f0d1b2c-3e4a-4c5b-9d6e-7f8091a2b3c4       | 0000:01:00.0 vf_token=0000000-0000-0000-0000-000000000000
            0000:01:00.0 vf_token=8f0d1b2c3e4a4c5b9d6e7f8091a2b3c4          | 0000:01:00.0 vf_token=00000000000000000000000000000000
            83b8f4f2-509f-382f-3c1e-e6bfe0fa1001                            | 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
            """)
    void aTokenInANameHasAStandIn(String name, String recorded) throws IOException {
        int device = open(4, "0000:01:00.0");
        backend.ioctl(device, FEATURE, feature(SET, TOKEN.replace("-", "")));
        backend.ioctl(4, GET_DEVICE_FD, arena.allocateFrom(
                name.replace("TOKEN}", TOKEN + "}").replace("=TOKEN", "=" + TOKEN).replace("=OTHER", "=" + OTHER)));
        String line = lastLine();
        String hex = line.replaceFirst(".*'arg':'([0-9a-f]*)00'.*", "$1");
        assertThat(new String(HexFormat.of().parseHex(hex), StandardCharsets.US_ASCII))
                .isEqualTo(recorded.replace("OTHER_STAND_IN", OTHER_STAND_IN).replace("STAND_IN", STAND_IN));
        assertReplaysAlike();
    }

    /** In feature 0, where there may be too little of it; behind the pointer of BIND. */
    @ParameterizedTest
    @CsvSource({"8f0d1b2c3e4a4c5b9d6e7f8091a2b3c4, decafbad000040008000000000000001",
            "8f0d1b2c3e4a4c5b9d6e7f8091a2b3c4ff, decafbad000040008000000000000001ff",
            "00000000000000000000000000000000, 00000000000000000000000000000000",
            "8f0d1b2c3e4a4c5b9d6e7f8091a2b3, 000000000000000000000000000000", "8f, 00"})
    void aTokenInBytesHasAStandIn(String token, String recorded) throws IOException {
        int device = open(4, "0000:01:00.0");
        MemorySegment set = feature(SET, token);
        backend.ioctl(device, FEATURE, set);
        assertThat(lastLine()).contains("00000200" + recorded + "'");
        assertThat(HexFormat.of().formatHex(set.asSlice(8).toArray(ValueLayout.JAVA_BYTE))).isEqualTo(token);

        MemorySegment secret = bytes(token);
        MemorySegment bind = bytes("180000000100000000000000" + "000000000000000000000000");
        bind.set(ValueLayout.JAVA_LONG_UNALIGNED, 16, secret.address());
        backend.ioctl(device, BIND_IOMMUFD, bind, secret);
        assertThat(lastLine()).contains("'pointees':[{'offset':16,'in':'" + recorded + "'}]");
        assertReplaysAlike();
    }

    @Test
    void threadsShareATranscript() throws Exception {
        int threads = 4;
        try (ExecutorService executor = Executors.newFixedThreadPool(threads)) {
            List<Future<?>> running = new ArrayList<>();
            for (int i = 0; i < threads; i++) {
                int number = i;
                running.add(executor.submit(() -> useEventfds(number)));
            }
            for (Future<?> thread : running) {
                thread.get();
            }
        }
        assertThat(lines()).hasSize(threads * 50 * 4);
        assertReplaysAlike();
    }

    private void useEventfds(int number) {
        try (Arena own = Arena.ofConfined()) {
            for (int i = 0; i < 50; i++) {
                int eventfd = backend.eventfd(number, Fcntl.EFD_NONBLOCK);
                backend.write(eventfd, own.allocateFrom(ValueLayout.JAVA_LONG, i));
                backend.read(eventfd, own.allocate(8));
                backend.close(eventfd);
            }
        }
    }

    @Test
    void aTranscriptThatCannotBeWrittenDisturbsNoCall() throws IOException {
        Writer full = new Writer() {
            @Override
            public void write(char[] text, int offset, int length) throws IOException {
                throw new IOException("No space left on device");
            }

            @Override
            public void flush() {
            }

            @Override
            public void close() {
            }
        };
        Environment environment = Environment.parse(ENVIRONMENT);
        IoctlBackend process = environment.boot().newProcess();
        try (RecordingBackend recording = new RecordingBackend(process, environment, full)) {
            assertThat(recording.open("/dev/vfio/vfio", Fcntl.O_RDWR)).isEqualTo(3);
            assertThat(recording.ioctl(3, GET_API_VERSION, MemorySegment.NULL)).isZero();
            assertThatIOException().isThrownBy(recording::close).withMessage("No space left on device");
        } catch (IOException again) {
            assertThat(again).hasMessage("No space left on device");
        }
    }

    @Test
    void afterItsEndNothingIsRecorded() throws IOException {
        backend.close();
        assertThat(backend.open("/dev/vfio/vfio", Fcntl.O_RDWR)).isEqualTo(3);
        assertThat(lines()).isEmpty();
    }

    @Test
    void theEventfdsOfInterruptsHaveNames() throws IOException {
        int device = open(4, "0000:01:00.0");
        int eventfd = backend.eventfd(0, 0);
        MemorySegment set = bytes("18000000" + "24000000" + "00000000" + "00000000" + "01000000" + "00000000");
        set.set(ValueLayout.JAVA_INT_UNALIGNED, 20, eventfd);
        assertThat(backend.ioctl(device, 0x3b6e, set)).isZero();
        assertThat(lastLine()).isEqualTo("{'op':'ioctl','fd':'device0','request':'0x3b6e','arg':"
                + "'180000002400000000000000000000000100000000000000','fds':[{'offset':20,'name':'eventfd0'}],'result':0}");
        assertReplaysAlike();
    }

    /** Of memory that is mapped for DMA, the part that is mapped is written down. */
    @Test
    void memoryForDmaIsWrittenDownAsFarAsItIsMapped() throws IOException {
        open(4, "0000:01:00.0");
        MemorySegment memory = arena.allocate(3 * 4096, 4096);
        MemorySegment map = bytes("2000000003000000" + "0000000000000000" + "0000010000000000" + "0010000000000000");
        map.set(ValueLayout.JAVA_LONG_UNALIGNED, 8, memory.address() + 4096);
        assertThat(backend.ioctl(3, 0x3b71, map, memory)).isZero();
        assertThat(lastLine()).endsWith(",'pointees':[{'offset':8,'in':'" + "00".repeat(4096) + "'}],'result':0}");
        map.set(ValueLayout.JAVA_LONG_UNALIGNED, 8, memory.address() + memory.byteSize());
        backend.ioctl(3, 0x3b71, map, memory);
        assertThat(lastLine()).as("behind the memory").doesNotContain("pointees");
        map.set(ValueLayout.JAVA_LONG_UNALIGNED, 24, 1L << 40);
        map.set(ValueLayout.JAVA_LONG_UNALIGNED, 8, memory.address() + 2 * 4096);
        backend.ioctl(3, 0x3b71, map, memory);
        assertThat(lastLine()).as("as much as there is").contains("'in':'" + "00".repeat(4096) + "'}");
    }

    /** Answers every call with what the test says; nothing of the sort has a place in a transcript. */
    @Test
    void whatHasNoPlaceInTheFormatIsHandedOn() throws IOException {
        List<String> calls = new ArrayList<>();
        IoctlBackend process = kernel.newProcess();
        MemorySegment mapping = arena.allocate(8);
        StringWriter text = new StringWriter();
        try (RecordingBackend recording = new RecordingBackend(new ForwardingBackend(process) {
            @Override
            public MemorySegment mmap(Arena life, long length, int protection, int flags, int fd, long offset) {
                calls.add("mmap " + length + " " + protection + " " + flags + " " + fd + " " + offset);
                return mapping;
            }

            @Override
            public int poll(int[] fds, short[] events, int timeoutMillis) {
                calls.add("poll " + fds.length + " " + timeoutMillis);
                return -22;
            }

            @Override
            public String toString() {
                return "the backend behind it";
            }
        }, Environment.parse(ENVIRONMENT), text)) {
            assertThat(recording.mmap(arena, 4096, 3, 1, 7, 8192)).isSameAs(mapping);
            assertThat(recording.poll(new int[2], new short[2], 5)).isEqualTo(-22);
            assertThat(recording).hasToString("the backend behind it");
            assertThat(calls).containsExactly("mmap 4096 3 1 7 8192", "poll 2 5");
        }
        assertThat(text.toString().lines()).hasSize(1);
    }

    @Test
    void aRefusedEventfdHasNoName() {
        assertThat(backend.eventfd(0, -1)).isEqualTo(-22);
        assertThat(lastLine()).isEqualTo("{'op':'eventfd','value':0,'flags':-1,'result':-22}");
        assertThat(backend.open("/dev/vfio/99", Fcntl.O_RDWR)).isEqualTo(-2);
        assertThat(lastLine()).isEqualTo("{'op':'open','path':'/dev/vfio/99','flags':2,'result':-2}");
    }

    @Test
    void aPauseThatAKernelMightNoticeIsWrittenDown() {
        kernel.advance(Duration.ofNanos(100_000));
        backend.close(99);
        assertThat(lastLine()).isEqualTo("{'op':'close','fd':99,'result':-9,'pauseMillis':1}");
        kernel.advance(Duration.ofNanos(99_999));
        backend.close(99);
        assertThat(lastLine()).isEqualTo("{'op':'close','fd':99,'result':-9}");
        kernel.advance(Duration.ofNanos(1_000_001));
        backend.close(99);
        assertThat(lastLine()).endsWith("'pauseMillis':2}");
    }

    /** Number 0 is given out like any other, once it is free. */
    @Test
    void aDescriptorMayBeNumber0() throws IOException {
        assertThat(backend.close(0)).isZero();
        assertThat(backend.open("/dev/vfio/vfio", Fcntl.O_RDWR)).isZero();
        assertThat(backend.ioctl(0, GET_API_VERSION, MemorySegment.NULL)).isZero();
        assertThat(lines()).containsExactly("{'op':'close','fd':0,'result':0}",
                "{'op':'open','as':'container0','path':'/dev/vfio/vfio','flags':2,'result':'fd'}",
                "{'op':'ioctl','fd':'container0','request':'0x3b64','arg':null,'result':0}");
        backend.close(0);
        assertThat(backend.eventfd(7, 0)).isZero();
        backend.write(0, bytes("0100000000000000"));
        assertThat(lastLine()).startsWith("{'op':'write','fd':'eventfd0'");
        assertReplaysAlike();
    }

    @Test
    void aReadOfNothingHasNoData() {
        assertThat(backend.read(1, arena.allocate(8))).isZero();
        assertThat(lastLine()).isEqualTo("{'op':'read','fd':1,'length':8,'result':0}");
    }
}
