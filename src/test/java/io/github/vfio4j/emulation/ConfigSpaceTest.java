package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_SET_IRQS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_ACTION_TRIGGER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_DATA_EVENTFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_DATA_NONE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.vfio4j.emulation.device.DeviceModel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Configuration space as vfio-pci shows it (vfio_pci_config.c): what it hides, what it keeps for itself, and what a write
 * makes it do, on functions with capabilities of every kind.
 */
class ConfigSpaceTest {

    private static final String FUNCTION = "0000:01:00.0";
    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final long CONFIG = 7L << 40;
    private static final int CAPABILITIES = 0x34;
    private static final int EXTENDED = 0x100;
    /** A capability of no kind that vfio-pci knows the length of. */
    private static final int UNKNOWN = 0x06;

    /** Configuration space of a function to be, with a list of capabilities. */
    private static final class Image {

        private final byte[] bytes;

        Image(int size) {
            bytes = new byte[size];
            put32(0, 0x11111234);
            put16(6, 0x10);
            bytes[0x3d] = 1;
        }

        Image put8(int offset, int value) {
            bytes[offset] = (byte) value;
            return this;
        }

        Image put16(int offset, int value) {
            return put8(offset, value).put8(offset + 1, value >> 8);
        }

        Image put32(int offset, int value) {
            return put16(offset, value).put16(offset + 2, value >> 16);
        }

        Image first(int at) {
            return put8(CAPABILITIES, at);
        }

        Image capability(int at, int id, int next, String body) {
            byte[] rest = HexFormat.of().parseHex(body.replace(" ", ""));
            System.arraycopy(rest, 0, bytes, at + 2, rest.length);
            return put8(at, id).put8(at + 1, next);
        }

        Image extended(int at, int id, int next, String body) {
            byte[] rest = HexFormat.of().parseHex(body.replace(" ", ""));
            System.arraycopy(rest, 0, bytes, at + 4, rest.length);
            return put32(at, next << 20 | 1 << 16 | id);
        }
    }

    /** An open device, and its configuration space in numbers. */
    private record Device(Program program, int fd) {

        static Device of(KernelProfile kernel, Consumer<PciFunctionSpec> function) {
            Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(FUNCTION, function));
            return new Device(program, program.device(FUNCTION));
        }

        static Device of(KernelProfile kernel, Image image) {
            return of(kernel, function -> {
                function.configSpace(image.bytes);
                if (image.bytes.length == 256) {
                    function.conventional();
                }
            });
        }

        long access(long offset, byte[] bytes, boolean write) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment buffer = arena.allocateFrom(ValueLayout.JAVA_BYTE, bytes);
                long result = write
                        ? program.process().pwrite(fd, buffer, offset)
                        : program.process().pread(fd, buffer, offset);
                MemorySegment.copy(buffer, ValueLayout.JAVA_BYTE, 0, bytes, 0, bytes.length);
                return result;
            }
        }

        long read(int offset, int size) {
            byte[] bytes = new byte[size];
            assertThat(access(CONFIG + offset, bytes, false)).isEqualTo(size);
            return MemorySegment.ofArray(Arrays.copyOf(bytes, 8))
                    .get(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0);
        }

        byte[] bytes(int offset, int size) {
            byte[] bytes = new byte[size];
            assertThat(access(CONFIG + offset, bytes, false)).isEqualTo(size);
            return bytes;
        }

        void write(int offset, int size, long value) {
            byte[] bytes = new byte[8];
            MemorySegment.ofArray(bytes).set(ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0,
                    value);
            assertThat(access(CONFIG + offset, Arrays.copyOf(bytes, size), true)).isEqualTo(size);
        }

        /** What is read after this was written. */
        long after(int offset, int size, long value) {
            write(offset, size, value);
            return read(offset, size);
        }

        /** The capabilities that a program finds: id@position. */
        List<String> capabilities() {
            List<String> found = new ArrayList<>();
            for (int at = (int) read(CAPABILITIES, 1); at != 0; at = (int) read(at + 1, 1)) {
                found.add(Long.toHexString(read(at, 1)) + "@" + Integer.toHexString(at));
            }
            return found;
        }

        List<String> extendedCapabilities() {
            List<String> found = new ArrayList<>();
            for (int at = EXTENDED; at != 0;) {
                long header = read(at, 4);
                found.add(Long.toHexString(header & 0xffff) + "@" + Integer.toHexString(at));
                at = (int) (header >> 20);
            }
            return found;
        }
    }

    /** What vfio-pci does not know the length of is left out of the list; its bytes can be read all the same. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void unknownCapabilitiesAreLeftOut(KernelProfile kernel) {
        Image image = new Image(256).first(0x40).capability(0x40, UNKNOWN, 0x48, "aabb")
                .capability(0x48, 9, 0x58, "10 01020304").capability(0x58, 0x15, 0x60, "cc")
                .capability(0x60, 0, 0x68, "").capability(0x68, 1, 0x70, "03fe 0881").capability(0x70, 0x14, 0x74, "")
                .capability(0x74, 0x13, 0, "06");
        Device device = Device.of(kernel, image);
        assertThat(device.capabilities()).containsExactly("9@48", "1@68", "13@74");
        assertThat(device.read(0x40, 4)).isEqualTo(0xbbaa4806L);
        assertThat(device.read(0x58, 4)).isEqualTo(0xcc6015L);
        // The link is the kernel's, whatever is read with it.
        assertThat(device.read(0x48, 2)).isEqualTo(0x6809);
        assertThat(device.read(0x48, 4)).isEqualTo(0x01106809);
        assertThat(device.read(0x49, 3)).isEqualTo(0x011068);
        assertThat(device.read(6, 2)).isEqualTo(0x10);
        // Waking the machine is not the program's business (Linux 5.19).
        boolean hidden = !kernel.version().equals("5.7");
        assertThat(device.read(0x6a, 2)).isEqualTo(hidden ? 0x0603 : 0xfe03);
        assertThat(device.read(0x6c, 2)).isEqualTo(hidden ? 0x0008 : 0x8108);
    }

    @Test
    void withoutACapabilityThatIsShownThereIsNoList() {
        Device none = Device.of(KernelProfile.LINUX_7_2,
                new Image(256).first(0x40).capability(0x40, UNKNOWN, 0x44, "").capability(0x44, UNKNOWN, 0, ""));
        assertThat(none.read(CAPABILITIES, 1)).isZero();
        assertThat(none.read(6, 2)).isZero();
        Device noList = Device.of(KernelProfile.LINUX_7_2, new Image(256).put16(6, 0).first(0x40)
                .capability(0x40, 9, 0x50, "08").capability(0x50, UNKNOWN, 0, ""));
        assertThat(noList.capabilities()).as("nobody looked").containsExactly("9@40", "6@50");
    }

    /** A list that does not end is left after as many capabilities as there is room for. */
    @Test
    void aListGoesRoundOnlySoOften() {
        Device device = Device.of(KernelProfile.LINUX_7_2, new Image(4096).first(0x40).capability(0x40, 9, 0x48, "08")
                .capability(0x48, 0x10, 0x40, "0200").extended(EXTENDED, 3, 0x110, "").extended(0x110, 3, 0x100, ""));
        assertThat(device.read(0x48, 2)).isEqualTo(0x4010);
        assertThat(device.read(0x110, 4)).isEqualTo(0x10010003);
    }

    private static Stream<Arguments> lengths() {
        // id | what follows the link | length on 5.7, 6.1, 6.12, 7.2
        return Tables.byKernel("""
                1  | 0300 0000          | 0x08 | 0x08 | 0x08 | 0x08
                2  | 0000               | 0x0c | 0x0c | 0x0c | 0x0c
                3  | 0000               | 0x08 | 0x08 | 0x08 | 0x08
                5  | 0000               | 0x0a | 0x0a | 0x0a | 0x0a
                5  | 8000               | 0x0e | 0x0e | 0x0e | 0x0e
                5  | 0001               | 0x14 | 0x14 | 0x14 | 0x14
                5  | 8001               | 0x18 | 0x18 | 0x18 | 0x18
                7  | 0000               | 0x08 | 0x08 | 0x08 | 0x08
                7  | 0010               | 0x18 | 0x18 | 0x18 | 0x18
                7  | 0020               | 0x18 | 0x18 | 0x18 | 0x18
                8  | 0000               | 0x3c | 0x3c | 0x3c | 0x3c
                8  | 0020               | 0x1c | 0x1c | 0x1c | 0x1c
                8  | 00a8               | 0x1c | 0x1c | 0x1c | 0x1c
                8  | 001f               | 0x3c | 0x3c | 0x3c | 0x3c
                9  | 18                 | 0x18 | 0x18 | 0x18 | 0x18
                10 | 0100               | 0x14 | 0x14 | 0x14 | 0x14
                10 | 9100               | 0x0c | 0x0c | 0x0c | 0x0c
                10 | 9200               | 0x2c | 0x2c | 0x2c | 0x2c
                10 | 0200               | 0x2c | 0x32 | 0x32 | 0x34
                10 | 8200               | 0x2c | 0x32 | 0x32 | 0x34
                11 | 0000               | 0x0c | 0x0c | 0x0c | 0x0c
                """);
    }

    /**
     * How long vfio-pci takes a capability to be shows where two of a kind stand one behind the other: if there is no gap,
     * it takes them for one, of which the second's link is like any other byte: it still leads to what is left out.
     */
    @ParameterizedTest(name = "{0}: capability {1}, {2}: {3} bytes")
    @MethodSource("lengths")
    void capabilitiesHaveTheLengthsOfTheirKind(KernelProfile kernel, String id, String body, String length) {
        int kind = Integer.parseInt(id, 16);
        int end = 0x40 + Integer.decode(length);
        int next = (end + 3) / 4 * 4;
        Device adjacent = Device.of(kernel, twoOfAKind(kind, body, next));
        assertThat(adjacent.read(next + 1, 1)).as("no gap").isEqualTo(next == end ? 0xf0 : 0);
        Device apart = Device.of(kernel, twoOfAKind(kind, body, next + 4));
        assertThat(apart.read(next + 5, 1)).as("a gap").isZero();
    }

    private static Image twoOfAKind(int kind, String body, int second) {
        return new Image(256).first(0x40).capability(0x40, kind, second, body).capability(second, kind, 0xf0, body)
                .capability(0xf0, UNKNOWN, 0, "");
    }

    private static Stream<Arguments> extendedLengths() {
        return Tables.byKernel("""
                3  |                     | 0x0c | 0x0c | 0x0c | 0x0c
                e  |                     | 0x08 | 0x08 | 0x08 | 0x08
                b  | 0000c001            | 0x1c | 0x1c | 0x1c | 0x1c
                d  | 0000                | 0x08 | 0x08 | 0x08 | 0x08
                d  | 1f08                | 0x08 | 0x08 | 0x08 | 0x08
                d  | 2000                | 0x28 | 0x28 | 0x28 | 0x28
                d  | 2020                | 0x0c | 0x0c | 0x0c | 0x0c
                d  | 2021                | 0x10 | 0x10 | 0x10 | 0x10
                d  | 3f01                | 0x0c | 0x0c | 0x0c | 0x0c
                15 | 00000000 20         | 0x0c | 0x0c | 0x0c | 0x0c
                15 | 00000000 60         | 0x1c | 0x1c | 0x1c | 0x1c
                23 | 00000002            | 0    | 0    | 0x20 | 0x20
                """);
    }

    @ParameterizedTest(name = "{0}: extended capability {1}, {2}: {3} bytes")
    @MethodSource("extendedLengths")
    void extendedCapabilitiesHaveTheLengthsOfTheirKind(KernelProfile kernel, String id, String body, String length) {
        int kind = Integer.parseInt(id, 16);
        int size = Integer.decode(length);
        if (size == 0) {
            assertThat(Device.of(kernel, twoExtended(kind, body, 0x200)).extendedCapabilities())
                    .containsExactly("3@100");
            return;
        }
        int next = 0x140 + size;
        assertThat(Device.of(kernel, twoExtended(kind, body, next)).read(next, 4) >> 20).as("no gap").isEqualTo(0x300);
        Device apart = Device.of(kernel, twoExtended(kind, body, next + 4));
        assertThat(apart.read(next + 4, 4) >> 20).as("a gap").isZero();
        assertThat(apart.extendedCapabilities()).containsExactly("3@100", id + "@140",
                id + "@" + Integer.toHexString(next + 4));
    }

    private static Image twoExtended(int kind, String body, int second) {
        return new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0200").extended(EXTENDED, 3, 0x140, "")
                .extended(0x140, kind, second, body).extended(second, kind, 0x300, body).extended(0x300, 0x30, 0, "");
    }

    /** The first extended capability has nothing before it that could lead past it: it stays, of no kind. */
    @Test
    void theFirstExtendedCapabilityIsHiddenInItsPlace() {
        Image image = new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0200")
                .extended(EXTENDED, 0x30, 0x140, "ffffffff").extended(0x140, 0x31, 0x180, "")
                .extended(0x180, 3, 0, "01020304 05060708");
        Device device = Device.of(KernelProfile.LINUX_7_2, image);
        assertThat(device.extendedCapabilities()).containsExactly("0@100", "3@180");
        assertThat(device.read(EXTENDED, 4)).isEqualTo(0x18000000);
        assertThat(device.read(0x104, 4)).isEqualTo(0xffffffffL);
        assertThat(device.read(0x184, 8)).isEqualTo(0x0807060504030201L);
        Device none = Device.of(KernelProfile.LINUX_7_2, new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0200")
                .extended(EXTENDED, 0x30, 0x140, "").extended(0x140, 0x31, 0, ""));
        assertThat(none.read(EXTENDED, 4)).isZero();
        Device astray = Device.of(KernelProfile.LINUX_7_2,
                new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0200").extended(EXTENDED, 0x30, 0x80, ""));
        assertThat(astray.read(EXTENDED, 4)).as("a link to where nothing is extended").isZero();
    }

    /** What ends where conventional configuration space does is no part of what begins there. */
    @Test
    void theSpacesAreApart() {
        Device device = Device.of(KernelProfile.LINUX_7_2,
                new Image(4096).first(0x40).capability(0x40, 0x10, 0xf8, "0200").capability(0xf8, 3, 0, "0000 11223344")
                        .extended(EXTENDED, 3, 0x140, "01020304 05060708").extended(0x140, 0x30, 0, ""));
        assertThat(device.capabilities()).containsExactly("10@40", "3@f8");
        assertThat(device.extendedCapabilities()).containsExactly("3@100");
        assertThat(device.read(0xfc, 8)).isEqualTo(0x0001000344332211L);
        assertThat(device.read(0x104, 8)).isEqualTo(0x0807060504030201L);
        Device conventional = Device.of(KernelProfile.LINUX_7_2,
                new Image(256).first(0xf8).capability(0xf8, 3, 0, "0000 11223344"));
        assertThat(conventional.read(0xfc, 4)).isEqualTo(0x44332211);
    }

    /** Extended capabilities are looked for where there is a PCI Express capability (vfio_cap_len). */
    @Test
    void withoutExpressNothingIsExtended() {
        Device device = Device.of(KernelProfile.LINUX_7_2, new Image(4096).first(0x40).capability(0x40, 1, 0, "0300")
                .extended(EXTENDED, 0x30, 0x140, "").extended(0x140, 0x31, 0, ""));
        assertThat(device.extendedCapabilities()).as("as in the hardware").containsExactly("30@100", "31@140");
    }

    @Test
    void everySizeReadsTheSame() {
        Device device = Device.of(KernelProfile.LINUX_7_2, function -> function.memoryBar(0, 16384).msi(4).msix(3, 0)
                .capability(9, (byte) 5, (byte) 1, (byte) 2).sriov(3).rom(2048));
        byte[] whole = device.bytes(0, 4096);
        for (int size : new int[]{1, 2, 3, 4, 5, 8, 13}) {
            for (int offset = 0; offset < 0xb0; offset++) {
                assertThat(device.bytes(offset, size)).as("%d bytes at %x", size, offset)
                        .isEqualTo(Arrays.copyOfRange(whole, offset, offset + size));
            }
        }
        assertThat(device.bytes(4090, 6)).isEqualTo(new byte[6]);
        for (long[] beyond : new long[][]{{4096, 1}, {4095, 2}, {0, 4097}, {1L << 39, 1}, {4093, 4}}) {
            byte[] bytes = new byte[(int) beyond[1]];
            Arrays.fill(bytes, (byte) 0x55);
            assertThat(answer(device.access(CONFIG + beyond[0], bytes, false))).isEqualTo("EFAULT");
            assertThat(bytes).as("not even the part that there is").containsOnly(0x55);
            assertThat(answer(device.access(CONFIG + beyond[0], bytes, true))).isEqualTo("EFAULT");
        }
        assertThat(device.access(CONFIG + 5000, new byte[0], false)).isZero();
    }

    /** Which of the bits of a function's header and capabilities a program can set, and which it can clear. */
    @Test
    void whatCanBeWrittenIsKept() {
        Device device = Device.of(KernelProfile.LINUX_7_2, function -> function.memoryBar(0, 16384).ioPortBar(1, 32)
                .memoryBar(3, 1 << 20).msi(4).rom(65536).id(0x1234, 0x5678));
        device.write(4, 2, 0);
        assertThat(device.after(0, 4, 0)).isEqualTo(0x56781234);
        assertThat(device.after(4, 2, 0xffff)).isEqualTo(0x0507);
        assertThat(device.after(5, 1, 0)).isZero();
        assertThat(device.read(4, 1)).isEqualTo(7);
        assertThat(device.after(4, 1, 2)).isEqualTo(2);
        assertThat(device.after(6, 2, 0)).isEqualTo(0x10);
        assertThat(device.after(8, 4, 0)).isEqualTo(0xff000000L);
        assertThat(device.after(0xc, 4, 0xffffffffL)).isEqualTo(0xff);
        assertThat(device.after(0x10, 4, 0xffffffffL)).isEqualTo(0xffffc000L);
        assertThat(device.after(0x10, 4, 0x12345678)).isEqualTo(0x12344000);
        assertThat(device.after(0x11, 1, 0xff)).isEqualTo(0xc0);
        assertThat(device.read(0x10, 4)).isEqualTo(0x1234c000);
        assertThat(device.after(0x14, 4, 0xffffffffL)).isEqualTo(0xffffffe1L);
        assertThat(device.after(0x14, 4, 0)).isEqualTo(1);
        assertThat(device.after(0x18, 4, 0xffffffffL)).as("no BAR").isZero();
        assertThat(device.after(0x1c, 4, 0xffffffffL)).isEqualTo(0xfff00000L);
        assertThat(device.after(0x24, 4, 0xffffffffL)).isZero();
        assertThat(device.after(0x28, 4, 0xffffffffL)).isZero();
        assertThat(device.after(0x30, 4, 0xffffffffL)).isEqualTo(0xffff0001L);
        assertThat(device.after(0x30, 4, 0xfffffffeL)).isEqualTo(0xffff0000L);
        assertThat(device.after(CAPABILITIES, 4, 0)).isEqualTo(0x40);
        assertThat(device.after(0x3c, 4, 0xffffffffL)).isEqualTo(0x1ff);
        assertThat(device.after(0x3c, 1, 7)).isEqualTo(7);
        int msi = 0x48;
        assertThat(device.read(msi, 1)).isEqualTo(5);
        assertThat(device.after(msi + 4, 4, 0xfee01234L)).isEqualTo(0xfee01234L);
        assertThat(device.after(msi + 8, 4, 0x87654321L)).isEqualTo(0x87654321L);
        assertThat(device.after(msi + 12, 2, 0xabcd)).isEqualTo(0xabcd);
        assertThat(device.after(msi + 2, 2, 0xffff)).as("off; and no vectors").isEqualTo(0x8e);
        assertThat(device.after(msi, 2, 0)).isNotZero();
        Device without = Device.of(KernelProfile.LINUX_7_2, PciFunctionSpec::conventional);
        assertThat(without.after(0x30, 4, 0xffffffffL)).as("no ROM").isZero();
        assertThat(without.access(CONFIG + 256, new byte[1], false)).isNegative();
    }

    /** The size of a BAR of 64 bits is in both of its registers; bits that say of what kind it is are the hardware's. */
    @Test
    void aBarOf64BitsHasTwoRegisters() {
        Image image = new Image(256).put16(6, 0).put32(0x10, 0xc).put32(0x18, 4).put32(0x20, 8).put32(0x24, 1);
        Device device = Device.of(KernelProfile.LINUX_7_2, function -> function.configSpace(image.bytes).conventional()
                .memoryBar(0, 1L << 33).memoryBar(2, 4096).memoryBar(4, 1 << 16).ioPortBar(5, 8));
        for (int bar = 0x10; bar < 0x28; bar += 4) {
            device.write(bar, 4, 0xffffffffL);
        }
        List<Long> sizes = new ArrayList<>();
        for (int bar = 0x10; bar < 0x28; bar += 4) {
            sizes.add(device.read(bar, 4));
        }
        assertThat(sizes).containsExactly(0xcL, 0xfffffffeL, 0xfffff004L, 0xffffffffL, 0xffff0008L, 0xfffffff9L);
    }

    /** An image of virtual functions: neither ids nor an interrupt pin of their own, and memory that is always on. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aVirtualFunctionHasWhatItLacksFromTheKernel(KernelProfile kernel) {
        Program program = Program
                .on(EmulatedKernel.builder(kernel).pciFunction(FUNCTION, function -> function.id(0x1234, 0x5678)
                        .driver("a-host-driver").sriov(1).virtualFunctions(1, "vfio-pci").memoryBar(0, 4096)));
        boolean memory = !kernel.version().equals("5.7");
        Device device = new Device(program, program.device("0000:01:00.1"));
        assertThat(device.read(0, 4)).isEqualTo(0x56781234);
        assertThat(device.read(0x3d, 1)).isZero();
        assertThat(device.read(4, 2)).isEqualTo(memory ? 2 : 0);
        assertThat(device.after(4, 2, 0)).isZero();
        assertThat(device.after(4, 2, 0x407)).as("with bus mastering, INTx and memory").isEqualTo(0x406);
        assertThat(device.after(0x10, 4, 0xffffffffL)).isEqualTo(0xfffff000L);
        assertThat(device.access(0, new byte[4], false)).as("memory is there all the time").isEqualTo(4);
    }

    /** Which device a virtual function is, the SR-IOV capability says, wherever that is; without one it is like its owner. */
    @Test
    void theSriovCapabilityNamesTheVirtualDevice() {
        Image named = new Image(4096).extended(EXTENDED, 3, 0x140, "").extended(0x140, 0x10, 0, "").put16(0x140 + 0x1a,
                0xabcd);
        Image unnamed = new Image(4096).extended(EXTENDED, 3, 0x140, "").extended(0x140, 0x0e, 0, "");
        Image without = new Image(256);
        for (Image image : List.of(named, unnamed, without)) {
            Program program = Program.on(EmulatedKernel.builder(KernelProfile.LINUX_7_2).pciFunction(FUNCTION,
                    function -> function.configSpace(image.bytes).driver("a-host-driver").sriov(1).virtualFunctions(1,
                            "vfio-pci")));
            Device device = new Device(program, program.device("0000:01:00.1"));
            assertThat(device.read(0, 4)).isEqualTo(image == named ? 0xabcd1234L : 0x11111234L);
        }
    }

    /** At the first opening what there is decodes, and there is neither bus mastering nor a silenced INTx. */
    @Test
    void whatThereIsDecodes() {
        assertThat(commandOf(function -> {
        })).isZero();
        assertThat(commandOf(function -> function.memoryBar(0, 4096))).isEqualTo(2);
        assertThat(commandOf(function -> function.ioPortBar(0, 16))).isEqualTo(1);
        assertThat(commandOf(function -> function.memoryBar(1, 16).ioPortBar(4, 16))).isEqualTo(3);
        assertThat(commandOf(
                function -> function.ioPortBar(4, 16).configSpace(new Image(4096).put16(4, 0x0546).put16(6, 0).bytes)))
                .isEqualTo(0x0143);
    }

    private static long commandOf(Consumer<PciFunctionSpec> function) {
        return Device.of(KernelProfile.LINUX_7_2, function).read(4, 2);
    }

    @Test
    void aPinThatLeadsNowhereIsHidden() {
        assertThat(Device.of(KernelProfile.LINUX_7_2, PciFunctionSpec::withoutInterruptLine).read(0x3d, 1)).isZero();
        assertThat(Device.of(KernelProfile.LINUX_7_2, function -> {
        }).read(0x3d, 1)).isEqualTo(1);
    }

    /** The power states it has: D0 and D3hot, in which memory does not answer (Linux 5.19). */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void powerIsTheKernels(KernelProfile kernel) {
        Device device = Device.of(kernel, function -> function.memoryBar(0, 4096));
        int power = (int) device.read(CAPABILITIES, 1) + 4;
        boolean guarded = !kernel.version().equals("5.7");
        for (int state : new int[]{1, 2}) {
            assertThat(device.after(power, 2, state) & 3).as("not one it has").isZero();
        }
        assertThat(device.after(power, 2, 3) & 3).isEqualTo(3);
        assertThat(answer(device.access(0, new byte[4], false))).isEqualTo(guarded ? "EIO" : "4");
        assertThat(device.after(power, 2, 0) & 3).isZero();
        assertThat(answer(device.access(0, new byte[4], false))).isEqualTo("4");
        assertThat(device.after(power - 4, 2, 0xffff)).as("id and link stay").isNotEqualTo(0xffff);
        device.write(power - 1, 2, 0x0300);
        assertThat(device.read(power, 2) & 3).as("in aligned pieces").isEqualTo(3);
        device.write(power - 4, 8, 0);
        assertThat(device.read(power, 2) & 3).isZero();
        Device sleepy = Device.of(kernel, new Image(256).first(0x40).capability(0x40, 1, 0, "0306 0000"));
        assertThat(sleepy.after(0x44, 2, 1) & 3).isEqualTo(1);
        assertThat(sleepy.after(0x44, 1, 2) & 3).isEqualTo(2);
        assertThat(sleepy.after(0x45, 1, 0) & 3).as("another byte of it").isZero();
    }

    /** Counts the resets of a device. */
    private static final class Resets implements DeviceModel {
        private int resets;

        @Override
        public void reset() {
            resets++;
        }
    }

    /** A reset by a register of the device: PCI Express's, and that of the advanced features of conventional PCI. */
    @Test
    void aRegisterCanAskForAReset() {
        Resets model = new Resets();
        Device express = Device.of(KernelProfile.LINUX_7_2, function -> function.variantDriver("a-driver", () -> model)
                .configSpace(new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0200 00000010 1028").bytes));
        assertThat(express.after(0x48, 2, 0x2810)).isEqualTo(0x2810);
        assertThat(model.resets).isZero();
        assertThat(express.after(0x48, 2, 0xa810)).as("done").isEqualTo(0x2810);
        assertThat(model.resets).isEqualTo(1);
        assertThat(express.after(0x49, 1, 0xa8)).isEqualTo(0x28);
        assertThat(model.resets).isEqualTo(2);
        assertThat(express.after(0x48, 2, 0x50ff)).as("payload and read request are the kernel's").isEqualTo(0x50ff);

        Resets other = new Resets();
        Device cannot = Device.of(KernelProfile.LINUX_7_2, function -> function.variantDriver("a-driver", () -> other)
                .configSpace(new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0200 00000000 1028").bytes));
        assertThat(cannot.after(0x48, 2, 0x8000)).isZero();
        assertThat(other.resets).isZero();

        for (String capabilities : List.of("0603", "0602", "0601")) {
            Resets advanced = new Resets();
            Device device = Device.of(KernelProfile.LINUX_7_2,
                    function -> function.variantDriver("a-driver", () -> advanced).conventional()
                            .configSpace(new Image(256).first(0x40).capability(0x40, 0x13, 0, capabilities).bytes));
            assertThat(device.after(0x44, 1, 0)).isZero();
            assertThat(advanced.resets).isZero();
            assertThat(device.after(0x44, 1, 0xff)).isZero();
            assertThat(advanced.resets).isEqualTo(capabilities.equals("0603") ? 1 : 0);
        }
    }

    /** Control registers of PCI Express, the second of which is there from its second version on, and the masks of MSI. */
    @Test
    void whatTheHardwareHasCanBeWritten() {
        Device first = Device.of(KernelProfile.LINUX_7_2,
                new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0100").put32(0x68, 0));
        assertThat(first.after(0x48, 2, 0x7dff)).isEqualTo(0x7dff);
        assertThat(first.after(0x68, 2, 0xffff)).as("version 1").isZero();
        Device second = Device.of(KernelProfile.LINUX_7_2,
                new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0200").put32(0x68, 0));
        assertThat(second.after(0x68, 2, 0xffff)).isEqualTo(0x041f);
        assertThat(second.after(0x48, 2, 0x7fff)).as("phantom functions are not the program's").isEqualTo(0x7dff);
        for (String control : List.of("0000", "8000")) {
            Device msi = Device.of(KernelProfile.LINUX_7_2, new Image(256).first(0x40).capability(0x40, 5, 0, control));
            int end = control.equals("0000") ? 0x4a : 0x4e;
            assertThat(msi.after(end - 2, 2, 0x1234)).isEqualTo(0x1234);
            assertThat(msi.after(end, 2, 0x1234)).as("behind it").isZero();
        }
        for (String control : List.of("0001", "8001")) {
            Device msi = Device.of(KernelProfile.LINUX_7_2, new Image(256).first(0x40).capability(0x40, 5, 0, control));
            int masks = control.equals("0001") ? 0x4c : 0x50;
            assertThat(msi.after(masks, 4, 0xffffffffL)).isEqualTo(0xffffffffL);
            assertThat(msi.after(masks + 4, 4, 0x12345678)).isEqualTo(0x12345678);
            assertThat(msi.after(masks + 8, 4, 0x12345678)).as("behind it").isZero();
        }
    }

    /** VFIO_DEVICE_RESET of a function that can be reset clears its memory; power comes back with it. */
    @Test
    void aResetLeavesConfigurationSpace() {
        Device device = Device.of(KernelProfile.LINUX_7_2, function -> function.memoryBar(0, 4096));
        int power = (int) device.read(CAPABILITIES, 1) + 4;
        assertThat(device.access(0, new byte[]{1, 2, 3, 4}, true)).isEqualTo(4);
        device.write(0xc, 1, 0x10);
        device.write(power, 2, 3);
        assertThat(answer(device.program.ioctl(device.fd, VFIO_DEVICE_RESET()))).isEqualTo("0");
        assertThat(device.read(power, 2) & 3).isZero();
        byte[] memory = {9, 9, 9, 9};
        assertThat(device.access(0, memory, false)).isEqualTo(4);
        assertThat(memory).containsOnly(0);
        assertThat(device.read(0xc, 1)).as("saved and restored").isEqualTo(0x10);
    }

    /** The last closing puts everything back, and the function is awake when it is opened again. */
    @Test
    void aNewOpeningBeginsAnew() {
        Device device = Device.of(KernelProfile.LINUX_7_2, function -> function.memoryBar(0, 4096).withoutReset());
        byte[] before = device.bytes(0, 4096);
        int power = (int) device.read(CAPABILITIES, 1) + 4;
        device.write(0xc, 1, 0x10);
        device.write(4, 2, 0x406);
        device.write(0x10, 4, 0xffffffffL);
        assertThat(device.access(0, new byte[]{1, 2, 3, 4}, true)).isEqualTo(4);
        device.write(power, 2, 3);
        device.program.close(device.fd);
        Device again = new Device(device.program, device.program.device(FUNCTION));
        assertThat(again.bytes(0, 4096)).isEqualTo(before);
        byte[] memory = new byte[4];
        assertThat(again.access(0, memory, false)).isEqualTo(4);
        assertThat(memory).as("of a function that cannot be reset").containsExactly(1, 2, 3, 4);
        Device resettable = Device.of(KernelProfile.LINUX_7_2, function -> function.memoryBar(0, 4096));
        assertThat(resettable.access(0, new byte[]{1, 2, 3, 4}, true)).isEqualTo(4);
        resettable.program.close(resettable.fd);
        assertThat(new Device(resettable.program, resettable.program.device(FUNCTION)).access(0, memory, false))
                .isEqualTo(4);
        assertThat(memory).as("of one that can").containsOnly(0);
        Device asleep = Device.of(KernelProfile.LINUX_7_2,
                new Image(256).first(0x40).capability(0x40, 1, 0, "0300 0300"));
        assertThat(asleep.read(0x44, 2) & 3).as("the kernel wakes it").isZero();
    }

    @Test
    void vitalProductDataIsNotModelled() {
        Device device = Device.of(KernelProfile.LINUX_7_2, new Image(256).first(0x40).capability(0x40, 3, 0, ""));
        assertThat(device.after(0x44, 4, 0x12345678)).isEqualTo(0x12345678);
        assertThat(device.after(0x42, 1, 4)).isEqualTo(4);
        assertThatThrownBy(() -> device.write(0x43, 1, 0x80)).isInstanceOf(NotModelledException.class)
                .hasMessageContaining("vital product data");
        assertThatThrownBy(() -> device.write(0x42, 2, 4)).isInstanceOf(NotModelledException.class);
        assertThatThrownBy(
                () -> Device.of(KernelProfile.LINUX_7_2, new Image(256).first(0x40).capability(0x40, 0x12, 0, "")))
                .isInstanceOf(NotModelledException.class).hasMessageContaining("the length of PCI capability 0x12");
        assertThatThrownBy(() -> Device.of(KernelProfile.LINUX_7_2,
                new Image(4096).first(0x40).capability(0x40, 0x10, 0, "0200").extended(EXTENDED, 2, 0, "")))
                .isInstanceOf(NotModelledException.class)
                .hasMessageContaining("the length of extended PCI capability 0x2");
    }

    /** With MSI on, the program sees it on, with as many vectors as there are, whatever it writes. */
    @Test
    void messagesAreSwitchedByTheKernelAlone() {
        Device device = Device.of(KernelProfile.LINUX_7_2, function -> function.msi(8).memoryBar(0, 4096).msix(2, 0));
        int msi = 0x48;
        assertThat(device.read(msi + 2, 2)).isEqualTo(0x86);
        assertThat(device.after(msi + 2, 1, 0x87)).isEqualTo(0x86);
        setIrqs(device, 1, 4);
        assertThat(device.after(msi + 2, 1, 0x87)).isEqualTo(0x87);
        assertThat(device.after(msi + 2, 2, 0x97)).isEqualTo(0x97);
        assertThat(device.after(msi + 2, 1, 0xb7)).as("not more than there are").isEqualTo(0xa7);
        assertThat(device.after(msi, 4, 0xffb70000L) >> 16).as("with the link").isEqualTo(0xa7);
        assertThat(device.after(msi + 3, 1, 0xff)).as("not the control's").isZero();
        setIrqs(device, 1, 0);
        assertThat(device.after(msi + 2, 1, 0xb7)).as("not more than there were").isEqualTo(0xa6);
        int msix = (int) device.read(msi + 1, 1);
        assertThat(device.read(msix, 1)).isEqualTo(0x11);
        assertThat(device.after(msix + 2, 2, 0xc000)).isEqualTo(1);
        setIrqs(device, 2, 2);
        assertThat(device.read(msix + 2, 2)).isEqualTo(0x8001);
        setIrqs(device, 2, 0);
        assertThat(device.read(msix + 2, 2)).isEqualTo(1);
        Device many = Device.of(KernelProfile.LINUX_7_2, function -> function.memoryBar(0, 8192).msix(300, 0));
        setIrqs(many, 2, 1);
        assertThat(many.read(msi + 2, 2)).isEqualTo(0x8000 | 299);
    }

    /** VFIO_DEVICE_SET_IRQS: so many vectors without eventfds; none switches the interrupt off. */
    private static void setIrqs(Device device, int index, int count) {
        int size = 20 + 4 * count;
        int flags = VFIO_IRQ_SET_ACTION_TRIGGER()
                | (count == 0 ? VFIO_IRQ_SET_DATA_NONE() : VFIO_IRQ_SET_DATA_EVENTFD());
        ByteBuffer argument = ByteBuffer.allocate(size).order(ByteOrder.nativeOrder()).putInt(size).putInt(flags)
                .putInt(index).putInt(0).putInt(count);
        for (int i = 0; i < count; i++) {
            argument.putInt(-1);
        }
        assertThat(answer(device.program.ioctlOn(device.fd, VFIO_DEVICE_SET_IRQS(), argument.array()))).isEqualTo("0");
    }
}
