package io.github.vfio4j.emulation.mdev;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** mtty on both kernels on which it migrates: transitions, streams, pre-copy information, quirks (semantics §B.8, §C.1). */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
class MttyMigrationTest {

    private static final UUID NAME = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final int PRECOPY_INFO = 0x3b79;
    private static final int STOP = 1;
    private static final int RUNNING = 2;
    private static final int STOP_COPY = 3;
    private static final int RESUMING = 4;
    private static final int PRE_COPY = 6;
    private static final int PRE_COPY_P2P = 7;

    /** What a change of state returns: {@code .} success without a descriptor, {@code f} with one, {@code -} EINVAL. */
    private static final String TRANSITIONS = """
            from 1 2 3 4 5 6 7
            1    . . f f . f f
            2    . . f f . f f
            3    . . . f . - -
            4    . . f . . f f
            5    . . f f . f f
            6    . . . f . . .
            7    . . . f . . .
            """;

    @Parameter
    @SuppressWarnings("NullAway.Init") // JUnit injects it
    private KernelProfile profile;

    private Arena arena = Arena.ofShared();
    @SuppressWarnings("NullAway.Init") // opened before each test
    private EmulatedProcess process;
    private int groupFd;
    private int device;

    static List<KernelProfile> profiles() {
        return List.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2);
    }

    @BeforeEach
    void openOnePort() {
        open(1);
    }

    private void open(int ports) {
        process = EmulatedKernel.builder(profile).mtty(NAME, ports).build().newProcess();
        int container = process.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        int group = process.open("/dev/vfio/0", Fcntl.O_RDWR);
        process.ioctl(group, vfio_h.VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(JAVA_INT, container));
        process.ioctl(container, vfio_h.VFIO_SET_IOMMU(), MemorySegment.ofAddress(3));
        groupFd = group;
        device = 0;
        reopen();
    }

    private void reopen() {
        if (device > 0) {
            process.close(device);
        }
        device = process.ioctl(groupFd, vfio_h.VFIO_GROUP_GET_DEVICE_FD(), arena.allocateFrom(NAME.toString()));
        assertThat(device).isNotNegative();
    }

    @AfterEach
    void close() {
        process.close();
        arena.close();
    }

    private MemorySegment feature(int flags, int dataSize) {
        MemorySegment argument = arena.allocate(8 + dataSize);
        argument.set(JAVA_INT, 0, 8 + dataSize);
        argument.set(JAVA_INT, 4, flags);
        return argument;
    }

    private int send(MemorySegment argument) {
        return process.ioctl(device, vfio_h.VFIO_DEVICE_FEATURE(), argument);
    }

    private int state() {
        MemorySegment argument = feature(2 | 1 << 16, 8);
        assertThat(send(argument)).isZero();
        assertThat(argument.get(JAVA_INT, 12)).isEqualTo(-1);
        return argument.get(JAVA_INT, 8);
    }

    /** The new data descriptor, −1 if there is none, or −errno below that. */
    private int set(int state) {
        MemorySegment argument = feature(2 | 1 << 17, 8);
        argument.set(JAVA_INT, 8, state);
        int result = send(argument);
        assertThat(argument.get(JAVA_INT, 8)).as("the state asked for stays").isEqualTo(state);
        if (result < 0) {
            assertThat(argument.get(JAVA_INT, 12)).isEqualTo(-1);
            return result;
        }
        return argument.get(JAVA_INT, 12);
    }

    private byte[] read(int fd, int length) {
        MemorySegment buffer = arena.allocate(length);
        int read = (int) process.read(fd, buffer);
        assertThat(read).isNotNegative();
        return buffer.asSlice(0, read).toArray(JAVA_BYTE);
    }

    private long write(int fd, byte[] bytes) {
        MemorySegment buffer = arena.allocate(Math.max(1, bytes.length)).asSlice(0, bytes.length);
        MemorySegment.copy(bytes, 0, buffer, JAVA_BYTE, 0, bytes.length);
        return process.write(fd, buffer);
    }

    private byte[] savedState() {
        int fd = set(STOP_COPY);
        byte[] stream = read(fd, 200);
        process.close(fd);
        set(RUNNING);
        return stream;
    }

    static Stream<Arguments> transitions() {
        List<Arguments> transitions = new ArrayList<>();
        for (String row : TRANSITIONS.lines().skip(1).toList()) {
            List<String> cells = List.of(row.split(" +"));
            for (int to = 1; to < cells.size(); to++) {
                transitions.add(Arguments.of(Integer.parseInt(cells.getFirst()), to, cells.get(to)));
            }
        }
        return transitions.stream();
    }

    @ParameterizedTest(name = "{0} to {1}: {2}")
    @MethodSource("transitions")
    void everyTransitionEndsAsInTheTable(int from, int to, String outcome) {
        byte[] stream = savedState();
        int fd = from == RUNNING ? -1 : set(from);
        if (from == RESUMING) {
            assertThat(write(fd, stream)).isEqualTo(stream.length);
        }
        int answer = set(to);
        switch (outcome) {
            case "." -> assertThat(answer).isEqualTo(-1);
            case "f" -> assertThat(answer).isGreaterThan(2);
            default -> assertThat(answer).isEqualTo(-Errno.EINVAL.code());
        }
        assertThat(state()).isEqualTo(outcome.equals("-") ? from : to);
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 8, -1, Integer.MIN_VALUE})
    void statesThereAreNotAreRefused(int state) {
        assertThat(set(state)).isEqualTo(-Errno.EINVAL.code());
        assertThat(state()).isEqualTo(RUNNING);
    }

    @Test
    void theStreamOfAFreshDeviceIsKnownByteForByte() {
        String onePort = "4e2c3e8c89099d7e" + "01000000" + "00000000" + "01000000" + "00000000" + "00".repeat(33) + "10"
                + "0000";
        assertThat(HexFormat.of().formatHex(savedState())).isEqualTo(onePort);
        process.close();
        open(2);
        String port = "00".repeat(33) + "10" + "0000";
        assertThat(HexFormat.of().formatHex(savedState()))
                .isEqualTo("4e2c3e8c89099d7e" + "01000000" + "00000000" + "02000000" + "00000000" + port + port);
    }

    @Test
    void theDataSizeIsThatOfTheStream() {
        MemorySegment argument = feature(9 | 1 << 16, 8);
        assertThat(send(argument)).isZero();
        assertThat(argument.get(JAVA_LONG, 8)).isEqualTo(savedState().length).isEqualTo(60);
    }

    @ParameterizedTest
    @CsvSource({"1, 8, ''", "1, 9, 07", "1, 12, 07000000", "1, 15, 07000000000000", "9, 12, 3c000000",
            "9, 15, 3c000000000000"})
    void anAnswerThatFindsTooLittleMemoryFillsWhatThereIs(int index, int mapped, String written) {
        MemorySegment argument = feature(index | 1 << 16, 8);
        argument.asSlice(8).fill((byte) 0x55);
        assertThat(send(argument.asSlice(0, mapped))).isEqualTo(-Errno.EFAULT.code());
        assertThat(HexFormat.of().formatHex(argument.asSlice(8).toArray(JAVA_BYTE)))
                .isEqualTo(written + "55".repeat(16 - mapped));
    }

    @Test
    void preCopyDeliversTheHeaderAndStopCopyTheRest() {
        int fd = set(PRE_COPY);
        assertThat(read(fd, 100)).hasSize(24);
        assertThat(read(fd, 100)).isEmpty();
        assertThat(set(STOP_COPY)).isEqualTo(-1);
        assertThat(read(fd, 100)).hasSize(36);
        assertThat(read(fd, 100)).isEmpty();
        assertThat(set(STOP)).isEqualTo(-1);
        assertThat(process.read(fd, arena.allocate(1))).isEqualTo(-Errno.ENODEV.code());
    }

    @Test
    void preCopyInformationCountsDownAndEchoesFlagsUntilOptedIn() {
        int fd = set(PRE_COPY);
        MemorySegment info = arena.allocate(24);
        info.set(JAVA_INT, 0, 24);
        info.set(JAVA_INT, 4, 0xdead);
        assertThat(process.ioctl(fd, PRECOPY_INFO, info)).isZero();
        assertThat(info.get(JAVA_INT, 4)).isEqualTo(0xdead);
        assertThat(info.get(JAVA_LONG, 8)).isEqualTo(24);
        assertThat(info.get(JAVA_LONG, 16)).isZero();
        read(fd, 10);
        assertThat(process.ioctl(fd, PRECOPY_INFO, info)).isZero();
        assertThat(info.get(JAVA_LONG, 8)).isEqualTo(14);

        boolean version2 = send(feature(12 | 1 << 17, 0)) == 0;
        assertThat(version2).isEqualTo(profile.equals(KernelProfile.LINUX_7_2));
        assertThat(process.ioctl(fd, PRECOPY_INFO, info)).isZero();
        assertThat(info.get(JAVA_INT, 4)).isEqualTo(version2 ? 0 : 0xdead);

        assertThat(process.ioctl(device, vfio_h.VFIO_DEVICE_RESET(), MemorySegment.NULL)).isZero();
        info.set(JAVA_INT, 4, 0xdead);
        assertThat(process.ioctl(set(PRE_COPY), PRECOPY_INFO, info)).isZero();
        assertThat(info.get(JAVA_INT, 4)).as("after a reset").isEqualTo(version2 ? 0 : 0xdead);
    }

    @Test
    void preCopyInformationIsCheckedInOrder() {
        int fd = set(PRE_COPY);
        MemorySegment info = arena.allocate(24);
        info.set(JAVA_INT, 0, 23);
        assertThat(process.ioctl(fd, 0x3b75, info)).isEqualTo(-Errno.ENOTTY.code());
        assertThat(process.ioctl(fd, PRECOPY_INFO, info.asSlice(0, 23))).isEqualTo(-Errno.EFAULT.code());
        assertThat(process.ioctl(fd, PRECOPY_INFO, info)).isEqualTo(-Errno.EINVAL.code());
        info.set(JAVA_INT, 0, 24);
        set(STOP_COPY);
        assertThat(process.ioctl(fd, PRECOPY_INFO, info)).isEqualTo(-Errno.EINVAL.code());
    }

    @Test
    void aSessionThatWasClosedWithTheDeviceIsGoneThoughTheStateStays() {
        int fd = set(PRE_COPY);
        reopen();
        assertThat(state()).isEqualTo(PRE_COPY);
        assertThat(process.read(fd, arena.allocate(1))).isEqualTo(-Errno.ENODEV.code());
        MemorySegment info = arena.allocate(24);
        info.set(JAVA_INT, 0, 24);
        assertThat(process.ioctl(fd, PRECOPY_INFO, info)).isEqualTo(-Errno.ENODEV.code());
        assertThat(set(PRE_COPY_P2P)).isEqualTo(-1);
        int anew = set(STOP_COPY);
        assertThat(anew).isGreaterThan(2);
        assertThat(read(anew, 100)).hasSize(60);
    }

    @Test
    void theDataDescriptorsGoOneWayAndHaveNoPosition() {
        int saving = set(STOP_COPY);
        MemorySegment buffer = arena.allocate(8);
        assertThat(process.write(saving, buffer)).isEqualTo(-Errno.EBADF.code());
        assertThat(process.pread(saving, buffer, 0)).isEqualTo(-Errno.ESPIPE.code());
        int resuming = set(RESUMING);
        assertThat(process.read(resuming, buffer)).isEqualTo(-Errno.EBADF.code());
        assertThat(process.pwrite(resuming, buffer, 0)).isEqualTo(-Errno.ESPIPE.code());
        assertThat(process.ioctl(resuming, PRECOPY_INFO, buffer)).isEqualTo(-Errno.ENOTTY.code());
    }

    @Test
    void aRestoreTakesExactlyOneStream() {
        byte[] stream = savedState();
        int fd = set(RESUMING);
        assertThat(write(fd, new byte[61])).isEqualTo(-Errno.ENOMEM.code());
        assertThat(set(STOP)).isEqualTo(-Errno.EINVAL.code());
        assertThat(state()).isEqualTo(RESUMING);
        assertThat(write(fd, stream)).isEqualTo(60);
        assertThat(write(fd, new byte[1])).isEqualTo(-Errno.ENOMEM.code());
        assertThat(set(RUNNING)).isEqualTo(-1);
        assertThat(write(fd, new byte[60])).isEqualTo(-Errno.ENODEV.code());
        assertThat(write(fd, new byte[61])).isEqualTo(-Errno.ENOMEM.code());
    }

    @Test
    void aWrongHeaderIsSaidOnceAndThenForgotten() {
        int fd = set(RESUMING);
        assertThat(write(fd, new byte[23])).isEqualTo(23);
        assertThat(write(fd, new byte[1])).isEqualTo(-Errno.EFAULT.code());
        assertThat(write(fd, new byte[36])).isEqualTo(36);
        assertThat(set(STOP)).isEqualTo(-1);
    }

    @Test
    void resetReturnsToRunning() {
        int fd = set(RESUMING);
        assertThat(process.ioctl(device, vfio_h.VFIO_DEVICE_RESET(), MemorySegment.NULL)).isZero();
        assertThat(state()).isEqualTo(RUNNING);
        assertThat(write(fd, new byte[1])).isEqualTo(-Errno.ENODEV.code());
    }

    @Test
    void leavingResumingAfterTheDeviceWasClosedIsRefusedAsAHazard() {
        set(RESUMING);
        reopen();
        assertThatExceptionOfType(KernelHazardException.class).isThrownBy(() -> set(STOP))
                .withMessageContaining("Reset the device first");
        assertThat(process.ioctl(device, vfio_h.VFIO_DEVICE_RESET(), MemorySegment.NULL)).isZero();
        assertThat(set(STOP)).isEqualTo(-1);
    }
}
