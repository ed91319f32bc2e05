package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Replays of transcripts written by hand. In these texts, single quotes stand for the double ones. */
class ReplayerTest {

    private static final String PF = "{'kind':'pci','name':'0000:01:00.0','group':4,'driver':'vfio-pci',"
            + "'sriov':{'totalVfs':2},'bars':[{'index':0,'size':16384,'kind':'memory'}]}";
    private static final String MTTY = "{'kind':'mtty','name':'83b8f4f2-509f-382f-3c1e-e6bfe0fa1001','group':9,'ports':1}";

    private static final String OPEN_GROUP = """
            {'op':'open','as':'c','path':'/dev/vfio/vfio','flags':2,'result':'fd'}
            {'op':'open','as':'g','path':'/dev/vfio/%s','flags':2,'result':'fd'}
            {'op':'ioctl','fd':'g','request':'0x3b68','arg':'00000000','fds':[{'offset':0,'name':'c'}],'result':0}
            {'op':'ioctl','fd':'c','request':'0x3b66','arg':3,'result':0}
            """;
    private static final String OPEN_PF = OPEN_GROUP.formatted("4")
            + "{'op':'ioctl','fd':'g','as':'d','request':'0x3b6a','arg':'303030303a30313a30302e3000','result':'fd'}\n";
    private static final String OPEN_MTTY = OPEN_GROUP.formatted("9") + "{'op':'ioctl','fd':'g','as':'d',"
            + "'request':'0x3b6a','arg':'38336238663466322d353039662d333832662d336331652d65366266653066613130303100','result':'fd'}\n";

    private static Transcript transcript(String lines) throws IOException {
        String environment = "{'transcript':1,'kernel':'7.2','options':{'dmaBuf':true},'devices':[" + PF + "," + MTTY
                + "]}\n";
        return Transcript.read(
                new ByteArrayInputStream((environment + lines).replace('\'', '"').getBytes(StandardCharsets.UTF_8)));
    }

    /** On a machine of its own, where nothing must be left open. */
    private static List<Divergence> replay(String lines) throws IOException {
        Transcript transcript = transcript(lines);
        try (EmulatedProcess process = transcript.environment().boot().newProcess()) {
            Replay replay = Replayer.on(process).replay(transcript);
            assertThat(replay.calls()).isEqualTo((int) lines.lines().count());
            assertThat(process.openDescriptors()).isEqualTo(3);
            return replay.divergences();
        }
    }

    private static Divergence onlyDivergence(String lines) throws IOException {
        List<Divergence> divergences = replay(lines);
        assertThat(divergences).hasSize(1);
        return divergences.getFirst();
    }

    @Test
    void whatIsMappedEndsTheBuffer() throws IOException {
        assertThat(replay(
                OPEN_PF + """
                        {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0800000000000400','mapped':8,'result':0}
                        {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0800000000000400','mapped':7,'result':-14}
                        {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0800000000000400','mapped':0,'result':-14}
                        {'op':'ioctl','fd':'g','request':'0x3b68','arg':'00000000','mapped':3,'fds':[{'offset':0,'name':'c'}],'result':-14}
                        """))
                .isEmpty();
    }

    @Test
    void descriptorsCanBeNumbersAndArgumentsToo() throws IOException {
        assertThat(replay("""
                {'op':'open','as':'c','path':'/dev/vfio/vfio','flags':2,'result':'fd'}
                {'op':'close','fd':-1,'result':-9}
                {'op':'ioctl','fd':9999,'request':'0x3b64','arg':null,'result':-9}
                {'op':'ioctl','fd':1,'request':'0x3b64','arg':null,'result':-25}
                {'op':'ioctl','fd':'c','request':'0x3b64','arg':18446744073709551615,'result':0}
                {'op':'ioctl','fd':'c','request':'0x3b65','arg':1,'anyOf':[0,1]}
                {'op':'close','fd':'c','result':0}
                {'op':'close','fd':'c','result':-9}
                {'op':'eventfd','as':'e','value':7,'flags':2048,'result':'fd'}
                {'op':'read','fd':'e','length':8,'data':'0700000000000000','result':8}
                {'op':'read','fd':'e','length':8,'result':-11}
                {'op':'read','fd':'e','length':7,'result':-22}
                {'op':'write','fd':'e','data':'0200000000000000','result':8}
                {'op':'pread','fd':'e','length':8,'offset':0,'result':-29}
                {'op':'pwrite','fd':'e','data':'0200000000000000','offset':0,'result':-29}
                {'op':'sysfs','path':'/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs','value':'3','result':-34}
                {'op':'sysfs','path':'/sys/bus/pci/devices/0000:02:00.0/sriov_numvfs','value':'3','result':-2}
                """)).isEmpty();
    }

    @Test
    void pointersLeadToMemoryThatIsCompared() throws IOException {
        String start = "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'2000000006000200001000000000000001000000000000000000000000000000',"
                + "'pointees':[{'offset':24,'in':'%s'}],'result':%s}\n";
        assertThat(replay(OPEN_MTTY + start.formatted("00000100000000000010000000000000", 0)
                + start.formatted("01000100000000000010000000000000", -22)
                + start.formatted("0000010000000000001000000000", -14))).isEmpty();
    }

    @Test
    void aPauseMovesTheClock() throws IOException {
        String enter = "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000040002000000000000000000','fds':[{'offset':8,'name':'e'}],%s'result':%s}\n";
        String before = OPEN_PF + "{'op':'eventfd','as':'e','value':0,'flags':2048,'result':'fd'}\n";
        assertThat(replay(before + enter.formatted("", 0) + enter.formatted("", -22))).isEmpty();
        assertThat(replay(before + enter.formatted("", 0) + enter.formatted("'pauseMillis':1,", 0)
                + "{'op':'read','fd':'e','length':8,'data':'0100000000000000','result':8}\n")).isEmpty();
    }

    /** The calls of a good transcript, each with one thing changed in what it expects. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'0800000001000400','result':-22} | VFIO_DEVICE_FEATURE PROBE MIGRATION, argsz 8 on d | EINVAL (invalid argument) | 0
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000010001000000000000000000','out':'10000000010001000300000000000000','result':0} | VFIO_DEVICE_FEATURE GET MIGRATION, argsz 16 on d | 0 with byte 8 03 | 0 with byte 8 07
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000010001000000000000000000','result':1} | VFIO_DEVICE_FEATURE GET MIGRATION, argsz 16 on d | 1 with byte 8 00 | 0 with byte 8 07
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000020002000200000000000000','outFds':[{'offset':12,'name':'m'}],'result':0} | VFIO_DEVICE_FEATURE SET MIG_DEVICE_STATE, argsz 16 on d | 0 with at 12 descriptor m | 0 with at 12 -1
            {'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000020002000300000000000000','outFds':[{'offset':12,'name':'c'}],'result':-1} | VFIO_DEVICE_FEATURE SET MIG_DEVICE_STATE, argsz 16 on d | `EPERM (operation not permitted) with at 12 descriptor c` | 0 with at 12 6
            {'op':'ioctl','fd':'c','request':'0x3b65','arg':3,'anyOf':[0,-22]} | VFIO_CHECK_EXTENSION 3 on c | 0 or EINVAL (invalid argument) | 1
            {'op':'ioctl','fd':'g','request':'0x3b68','arg':'00000000','fds':[{'offset':0,'name':'c'}],'result':0} | VFIO_GROUP_SET_CONTAINER, with c, on g | 0 | EINVAL (invalid argument)
            {'op':'ioctl','fd':'g','request':'0x3b6a','arg':'782076665f746f6b656e3d30303131323233332d343435352d363637372d383839392d61616262636364646565666600','result':'fd'} | VFIO_GROUP_GET_DEVICE_FD "x vf_token=[redacted]" on g | a descriptor | ENODEV (no such device)
            {'op':'ioctl','fd':'c','request':'0x3b70','arg':'00000000000000000000000000000000','result':0} | VFIO_IOMMU_GET_INFO, argsz 0, flags 0x0 on c | 0 | EINVAL (invalid argument)
            {'op':'ioctl','fd':'d','request':'0x3bff','arg':null,'result':0} | request 0x3bff null on d | 0 | ENOTTY (inappropriate ioctl for device)
            {'op':'open','path':'/dev/vfio/vfio','flags':2,'result':-13} | open /dev/vfio/vfio | EACCES (permission denied) | 6
            {'op':'eventfd','value':3,'result':-24} | eventfd of 3 | EMFILE (too many open files) | 6
            {'op':'read','fd':'c','length':4,'data':'00000000','result':4} | read 4 bytes from c | 4 | EINVAL (invalid argument)
            {'op':'pwrite','fd':'c','data':'0000','offset':16,'result':2} | write 2 bytes to c at 16 | 2 | EINVAL (invalid argument)
            {'op':'close','fd':77,'result':0} | close descriptor 77 | 0 | EBADF (bad file descriptor)
            {'op':'sysfs','path':'/sys/module/vfio_pci/parameters/enable_sriov','value':'?','result':0} | write "?" to /sys/module/vfio_pci/parameters/enable_sriov | 0 | EINVAL (invalid argument)
            """)
    void aDifferenceIsToldInWords(String line, String call, String expected, String actual) throws IOException {
        assertThat(onlyDivergence(OPEN_MTTY + line + "\n")).isEqualTo(new Divergence(7, call, expected, actual));
    }

    @Test
    void whatIsReadIsCompared() throws IOException {
        assertThat(onlyDivergence("""
                {'op':'eventfd','as':'e','value':7,'flags':2048,'result':'fd'}
                {'op':'read','fd':'e','length':8,'data':'0800000000000100','result':8}
                """)).hasToString("line 3: read 8 bytes from e: expected 8 with byte 0 08, byte 6 01,"
                + " but was 8 with byte 0 07, byte 6 00");
    }

    /** A descriptor that was not to be is closed at the end, as every other. */
    @Test
    void nothingIsLeftOpen() throws IOException {
        assertThat(replay(OPEN_MTTY
                + """
                        {'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000020002000300000000000000','out':'100000000200020003000000ffffffff','result':0}
                        {'op':'ioctl','fd':'g','request':'0x3b6a','arg':'38336238663466322d353039662d333832662d336331652d65366266653066613130303100','result':-13}
                        """))
                .hasSize(2);
    }

    @Test
    void whatIsNotModelledIsADivergence() throws IOException {
        assertThat(onlyDivergence(OPEN_PF + """
                {'op':'ioctl','fd':'d','request':'0x3b74','arg':null,'result':-14}
                """).actual()).startsWith("not made: The emulated kernel does not model");
    }

    @Test
    void aTokenIsNotTold() throws IOException {
        String token = "00112233445566778899aabbccddeeff";
        Divergence divergence = onlyDivergence(
                OPEN_PF + "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'1800000000000200" + token
                        + "','out':'1800000000000200" + token.replace('0', '1') + "','result':0}\n");
        assertThat(divergence.toString()).doesNotContain("00112233", "aabbcc", "11112233");
        assertThat(divergence.expected()).startsWith("0 with byte");
    }

    /** A local file answers FIONREAD with its size; the native kernel looks at real memory. */
    @Test
    @EnabledOnOs(OS.LINUX)
    void theRealKernelIsReplayedOnAlike(@TempDir Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("five"), "12345");
        Transcript transcript = transcript("""
                {'op':'open','as':'n','path':'/dev/null','flags':2,'result':'fd'}
                {'op':'ioctl','fd':'n','request':'0x3b75','arg':'0800000000000400','result':-25}
                {'op':'close','fd':'n','result':0}
                {'op':'ioctl','fd':'n','request':'0x3b75','arg':'0800000000000400','result':-9}
                {'op':'open','as':'f','path':'%s','flags':0,'result':'fd'}
                {'op':'ioctl','fd':'f','request':'0x541b','arg':'ffffffff','out':'05000000','result':0}
                {'op':'ioctl','fd':'f','request':'0x541b','arg':'ffffffff','mapped':3,'result':-14}
                {'op':'ioctl','fd':'f','request':'0x541b','arg':'ffffffff','mapped':0,'result':-14}
                {'op':'ioctl','fd':'f','request':'0x541b','arg':null,'result':-14}
                {'op':'read','fd':'f','length':4,'data':'31323334','result':4}
                {'op':'ioctl','fd':'f','request':'0x541b','arg':'ffffffff','out':'01000000','result':0}
                {'op':'pread','fd':'f','length':4,'offset':3,'data':'3435','result':2}
                {'op':'write','fd':'f','data':'00','result':-9}
                {'op':'eventfd','as':'e','value':3,'flags':2048,'result':'fd'}
                {'op':'read','fd':'e','length':8,'data':'0300000000000000','pauseMillis':1,'result':8}
                """.formatted(file));
        assertThat(Replayer.on(NativeBackend.create()).replay(transcript).divergences()).isEmpty();
    }

    @Test
    void anotherKernelCanBeAsked() throws IOException {
        Transcript transcript = transcript(
                OPEN_PF + "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'080000000b000400','result':0}\n");
        for (KernelProfile profile : KernelProfile.all()) {
            EmulatedProcess process = transcript.environment().boot(profile).newProcess();
            assertThat(Replayer.on(process).replay(transcript).divergences())
                    .hasSize(profile.version().equals("7.2") ? 0 : 1);
        }
    }

    @Test
    void theTextIsTheCount() throws IOException {
        Replay replay = Replayer.replayEmulated(transcript("""
                {'op':'close','fd':77,'result':0}
                {'op':'close','fd':78,'result':-9}
                """));
        assertThat(replay).hasToString("2 calls, 1 divergences");
    }

    /** A process can be handed over as any backend; it is no less emulated for that, and a pause moves its clock. */
    @Test
    void anEmulatedBackendIsKnownAsOne() throws IOException {
        Transcript transcript = transcript("{'op':'close','fd':-1,'pauseMillis':3600000,'result':-9}\n");
        IoctlBackend process = transcript.environment().boot().newProcess();
        assertThat(Replayer.on(process).replay(transcript).divergences()).isEmpty();
    }

    private static final String START = "2000000006000200001000000000000001000000000000000000000000000000";
    private static final String RANGES = "'pointees':[{'offset':24,'in':'00000000000000000010000000000000'}]";

    /** DMA_LOGGING_START writes its data back, pointer included: that stands where it was (semantics §B.4.1). */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            '' | 0
            'out':'20000000060002000010000000000000010000000000000000000000ffffffff', | 0 with bytes 28-31 ffffffff
            'out':'200000000600020000100000000000000100000000000000ffffffff00000000', | 0 with bytes 24-27 ffffffff
            """)
    void aPointerThatIsLeftStandingIsNotCompared(String out, String expected) throws IOException {
        String line = "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'" + START + "'," + out.replace("''", "")
                + RANGES + ",'result':0}\n";
        if (expected.equals("0")) {
            assertThat(replay(OPEN_MTTY + line)).isEmpty();
        } else {
            assertThat(onlyDivergence(OPEN_MTTY + line).expected()).isEqualTo(expected);
        }
    }

    /** What stands in an argument, and is another afterwards, is told by its place. */
    @Test
    void aDescriptorOrPointerThatWasOverwrittenIsToldByItsPlace() throws IOException {
        Transcript transcript = transcript(OPEN_MTTY + "{'op':'eventfd','as':'e','value':0,'flags':0,'result':'fd'}\n"
                + "{'op':'ioctl','fd':'d','request':'0x3b74','arg':'" + "00".repeat(32)
                + "','fds':[{'offset':24,'name':'e'}],'result':0}\n"
                + "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'" + START + "'," + RANGES + ",'result':0}\n");
        IoctlBackend process = transcript.environment().boot().newProcess();
        IoctlBackend overwriting = new ForwardingBackend(process) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                if (request == 0x3b74) {
                    argument.set(ValueLayout.JAVA_INT, 24, 77);
                    return 0;
                }
                int result = super.ioctl(fd, request, argument, pointees);
                if (pointees.length > 0) {
                    argument.set(ValueLayout.JAVA_LONG, 24, 0x1234);
                }
                return result;
            }
        };
        assertThat(Replayer.on(overwriting).replay(transcript).divergences())
                .extracting(Divergence::expected, Divergence::actual)
                .containsExactly(tuple("0 with at 24 descriptor e", "0 with at 24 77"),
                        tuple("0 with at 24 the pointer", "0 with at 24 0x1234"));
    }

    @Test
    void longBytesAreCutShort() throws IOException {
        String divergence = onlyDivergence(
                OPEN_MTTY + "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000020002000300000000000000',"
                        + "'outFds':[{'offset':12,'name':'m'}],'result':0}\n"
                        + "{'op':'read','fd':'m','length':60,'data':'" + "aa".repeat(60) + "','result':60}\n")
                .expected();
        assertThat(divergence).isEqualTo("60 with bytes 0-59 " + "aa".repeat(32) + "…");
    }

    @Test
    void whatPointersLeadToIsCompared() throws IOException {
        Divergence divergence = onlyDivergence(OPEN_MTTY + "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'" + START
                + "','pointees':[{'offset':24,'in':'00000000000000000010000000000000',"
                + "'out':'0100000000000000001000000000ff00'}],'result':0}\n");
        assertThat(divergence.expected())
                .isEqualTo("0 with behind the pointer at 24 byte 0 01, behind the pointer at 24 byte 14 ff");
        assertThat(divergence.actual())
                .isEqualTo("0 with behind the pointer at 24 byte 0 00, behind the pointer at 24 byte 14 00");
    }

    @Test
    void aTokenBehindAPointerIsNotTold() throws IOException {
        String token = "00112233445566778899aabbccddeeff";
        Divergence divergence = onlyDivergence(OPEN_PF + "{'op':'ioctl','fd':'d','request':'0x3b76','arg':'"
                + "180000000100000000000000000000000000000000000000','pointees':[{'offset':16,'in':'" + token
                + "','out':'" + token.replace('0', '1') + "'}],'result':-25}\n");
        assertThat(divergence.toString()).contains("behind the pointer at 16").doesNotContain("0011", "2233", "aabb");
    }

    /** A name stands for its descriptor as long as that is open; then for none, whoever has the number. */
    @Test
    void aClosedDescriptorsNumberIsNoLongerItsName() throws IOException {
        assertThat(replay("""
                {'op':'eventfd','as':'a','value':1,'flags':2048,'result':'fd'}
                {'op':'close','fd':'a','result':0}
                {'op':'eventfd','as':'b','value':2,'flags':2048,'result':'fd'}
                {'op':'read','fd':'a','length':8,'result':-9}
                {'op':'close','fd':'a','result':-9}
                {'op':'read','fd':'b','length':8,'data':'0200000000000000','result':8}
                """)).isEmpty();
    }

    @Test
    void thirtyTwoBytesAreShownInFull() throws IOException {
        String divergence = onlyDivergence(
                OPEN_MTTY + "{'op':'ioctl','fd':'d','request':'0x3b75','arg':'10000000020002000300000000000000',"
                        + "'outFds':[{'offset':12,'name':'m'}],'result':0}\n"
                        + "{'op':'read','fd':'m','length':32,'data':'" + "aa".repeat(32) + "','result':32}\n")
                .expected();
        assertThat(divergence).isEqualTo("32 with bytes 0-31 " + "aa".repeat(32));
    }
}
