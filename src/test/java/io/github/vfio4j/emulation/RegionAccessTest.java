package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.answer;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.vfio4j.backend.Mman;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.RegionModel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** read(2), write(2) and mmap(2) on the regions of a device on vfio-pci (vfio_pci_rdwr.c, vfio_pci_core_mmap). */
class RegionAccessTest {

    private static final String FUNCTION = "0000:01:00.0";
    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final int CONFIG = 7;
    private static final int COMMAND = 4;
    private static final int TABLE = 0x1000;

    /** A device with memory in BARs 0, 1 and 2, ports in BAR 3, no BAR 4, a ROM, and an MSI-X table inside of BAR 2. */
    private static Consumer<PciFunctionSpec> function() {
        return function -> function.memoryBar(0, 8192).memoryBar(1, 16).memoryBar(2, 16384).ioPortBar(3, 32).rom(2048)
                .msix(3, 2, TABLE);
    }

    private record Device(Program program, int fd) {

        static Device of(KernelProfile kernel, Consumer<PciFunctionSpec> function) {
            Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(FUNCTION, function));
            return new Device(program, program.device(FUNCTION));
        }

        private static long at(int region, long offset) {
            return ((long) region << 40) + offset;
        }

        /** How many bytes were read, or the errno. */
        String read(int region, long offset, byte[] bytes) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment buffer = arena.allocateFrom(JAVA_BYTE, bytes);
                String answer = answer(program.process().pread(fd, buffer, at(region, offset)));
                MemorySegment.copy(buffer, JAVA_BYTE, 0, bytes, 0, bytes.length);
                return answer;
            }
        }

        byte[] read(int region, long offset, int size) {
            byte[] bytes = new byte[size];
            assertThat(read(region, offset, bytes)).isEqualTo(Integer.toString(size));
            return bytes;
        }

        String write(int region, long offset, byte... bytes) {
            try (Arena arena = Arena.ofConfined()) {
                return answer(program.process().pwrite(fd, arena.allocateFrom(JAVA_BYTE, bytes), at(region, offset)));
            }
        }

        MemorySegment map(Arena arena, int region, long offset, long length, int protection, int flags) {
            return program.process().mmap(arena, length, protection, flags, fd, at(region, offset));
        }
    }

    private static byte[] pattern(int length) {
        byte[] bytes = new byte[length];
        for (int i = 0; i < length; i++) {
            bytes[i] = (byte) (i + 1);
        }
        return bytes;
    }

    private static Stream<Arguments> places() {
        // region, offset, bytes | answer of read, of write
        return Tables.onEveryKernel("""
                0 0 1       | 1      | 1
                0 8191 1    | 1      | 1
                0 8188 8    | 4      | 4
                0 8192 1    | EINVAL | EINVAL
                0 8192 0    | 0      | 0
                0 0 9000    | 8192   | 8192
                1 0 16      | 16     | 16
                1 8 16      | 8      | 8
                1 16 1      | EINVAL | EINVAL
                2 16383 2   | 1      | 1
                3 32 1      | EINVAL | EINVAL
                4 0 1       | EINVAL | EINVAL
                5 0 4       | EINVAL | EINVAL
                6 0 1       |        | EINVAL
                6 2047 1    |        | EINVAL
                6 2048 1    | EINVAL | EINVAL
                7 4095 1    | 1      | 1
                7 4096 1    | EFAULT | EFAULT
                8 0 1       | EINVAL | EINVAL
                8 655360 1  | EINVAL | EINVAL
                9 0 1       | EINVAL | EINVAL
                100 0 1     | EINVAL | EINVAL
                100 0 0     | 0      | 0
                """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2} and {3}")
    @MethodSource("places")
    void anAccessEndsWhereItsRegionDoes(KernelProfile kernel, String place, String read, String written) {
        Device device = Device.of(kernel, function());
        int[] parts = Arrays.stream(place.split(" ", -1)).mapToInt(Integer::parseInt).toArray();
        byte[] buffer = new byte[parts[2]];
        assertThat(device.write(parts[0], parts[1], buffer)).isEqualTo(written);
        if (!read.isEmpty()) {
            assertThat(device.read(parts[0], parts[1], buffer)).isEqualTo(read);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void whatNobodyHasDescribedIsNotModelled(KernelProfile kernel) {
        Device device = Device.of(kernel, function());
        assertThatThrownBy(() -> device.read(6, 0, 4)).isInstanceOf(NotModelledException.class)
                .hasMessageContaining("expansion ROM");
        assertThatThrownBy(() -> device.read(3, 0, 4)).isInstanceOf(NotModelledException.class)
                .hasMessageContaining("I/O ports");
        assertThatThrownBy(() -> device.write(3, 0, new byte[1])).isInstanceOf(NotModelledException.class);
        Device without = Device.of(kernel, spec -> spec.memoryBar(0, 4096));
        assertThat(without.read(6, 0, new byte[1])).as("no ROM").isEqualTo("EINVAL");
    }

    /** Whatever the pieces are that an access is made in, memory is memory. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void memoryKeepsWhatIsWritten(KernelProfile kernel) {
        Device device = Device.of(kernel, function());
        for (int offset = 0; offset < 9; offset++) {
            for (int size : new int[]{1, 2, 3, 4, 7, 8, 9, 16, 17}) {
                assertThat(device.write(0, 0, new byte[64])).isEqualTo("64");
                assertThat(device.write(0, offset, pattern(size))).isEqualTo(Integer.toString(size));
                byte[] expected = new byte[64];
                System.arraycopy(pattern(size), 0, expected, offset, size);
                assertThat(device.read(0, 0, 64)).as("%d at %d", size, offset).isEqualTo(expected);
                assertThat(device.read(0, offset, size)).isEqualTo(pattern(size));
            }
        }
        assertThat(device.read(1, 0, 16)).as("another BAR").containsOnly(0);
    }

    /** Of the MSI-X table nothing is to be seen, and nothing gets there; what is around it is memory. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theTableIsOutOfReach(KernelProfile kernel) {
        Device device = Device.of(kernel, function());
        for (int bar : new int[]{0, 2}) {
            assertThat(device.write(bar, TABLE - 16, pattern(80))).isEqualTo("80");
            byte[] expected = pattern(80);
            if (bar == 2) {
                Arrays.fill(expected, 16, 16 + 3 * 16, (byte) 0xff);
            }
            assertThat(device.read(bar, TABLE - 16, 80)).as("BAR %d", bar).isEqualTo(expected);
            assertThat(device.read(bar, TABLE - 3, 5)).isEqualTo(Arrays.copyOfRange(expected, 13, 18));
            assertThat(device.read(bar, TABLE + 5, 3)).isEqualTo(Arrays.copyOfRange(expected, 21, 24));
            assertThat(device.read(bar, TABLE + 45, 6)).isEqualTo(Arrays.copyOfRange(expected, 61, 67));
        }
        try (Arena arena = Arena.ofConfined()) {
            byte[] behind = device.map(arena, 2, TABLE, 4096, Mman.PROT_READ, Mman.MAP_SHARED).toArray(JAVA_BYTE);
            assertThat(Arrays.copyOf(behind, 48)).as("what was written there").containsOnly(0);
            assertThat(behind[48]).isEqualTo((byte) 65);
        }
        Device without = Device.of(kernel, spec -> spec.memoryBar(0, 4 << 20).memoryBar(2, 4 << 20));
        for (int bar : new int[]{0, 2}) {
            for (int at = 0; at < 4 << 20; at += 1 << 16) {
                assertThat(without.write(bar, at, pattern(64))).isEqualTo("64");
                assertThat(without.read(bar, at, 64)).as("no table").isEqualTo(pattern(64));
            }
        }
    }

    /** While memory does not decode, there is nobody to answer: since Linux 5.8 nobody is asked. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void memoryThatDoesNotDecodeIsLeftAlone(KernelProfile kernel) {
        Device device = Device.of(kernel, function());
        assertThat(device.write(2, 0, pattern(8))).isEqualTo("8");
        assertThat(device.write(CONFIG, COMMAND, new byte[2])).isEqualTo("2");
        boolean refused = !kernel.version().equals("5.7");
        byte[] buffer = new byte[8];
        assertThat(device.read(2, 0, buffer)).isEqualTo(refused ? "EIO" : "8");
        assertThat(buffer).containsOnly(refused ? 0 : 0xff);
        assertThat(device.write(2, 0, new byte[8])).isEqualTo(refused ? "EIO" : "8");
        byte[] table = new byte[16];
        assertThat(device.read(2, TABLE, table)).as("the table is the kernel's own answer").isEqualTo("16");
        assertThat(table).containsOnly(0xff);
        assertThatThrownBy(() -> device.read(3, 0, 1)).as("ports").isInstanceOf(NotModelledException.class);
        assertThat(device.write(CONFIG, COMMAND, (byte) 2, (byte) 0)).isEqualTo("2");
        assertThat(device.read(2, 0, 8)).isEqualTo(pattern(8));
    }

    /** Registers in memory and in ports, and what is done with them. */
    private static final class Registers implements DeviceModel {
        private final List<String> accesses = new ArrayList<>();

        @Override
        public Map<Integer, RegionModel> regions() {
            RegionModel model = new RegionModel() {
                @Override
                public long read(long offset, int size) {
                    accesses.add("r" + size + "@" + offset);
                    return 0x8877665544332211L;
                }

                @Override
                public void write(long offset, int size, long value) {
                    accesses.add("w" + size + "@" + offset + "=" + Long.toHexString(value));
                }
            };
            return Map.of(0, model, 3, model);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void registersAreAskedInAlignedPieces(KernelProfile kernel) {
        for (int bar : new int[]{0, 3}) {
            Registers model = new Registers();
            Device device = Device.of(kernel, function().andThen(spec -> spec.variantDriver("a-driver", () -> model)));
            boolean wide = kernel.version().equals("7.2");
            assertThat(device.read(bar, 1, 7)).containsExactly(0x11, 0x11, 0x22, 0x11, 0x22, 0x33, 0x44);
            assertThat(device.read(bar, 8, 8)).containsExactly(wide
                    ? new byte[]{0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, (byte) 0x88}
                    : new byte[]{0x11, 0x22, 0x33, 0x44, 0x11, 0x22, 0x33, 0x44});
            assertThat(device.write(bar, 1, pattern(7))).isEqualTo("7");
            assertThat(device.write(bar, 24, (byte) 0xf1, (byte) 0xf2, (byte) 0xf3, (byte) 0xf4)).isEqualTo("4");
            assertThat(device.write(bar, 24, (byte) 0xf1, (byte) 0xf2, (byte) 0xf3)).isEqualTo("3");
            List<String> expected = new ArrayList<>(List.of("r1@1", "r2@2", "r4@4"));
            expected.addAll(wide ? List.of("r8@8") : List.of("r4@8", "r4@12"));
            expected.addAll(List.of("w1@1=1", "w2@2=302", "w4@4=7060504", "w4@24=f4f3f2f1", "w2@24=f2f1", "w1@26=f3"));
            assertThat(model.accesses).containsExactlyElementsOf(expected);
            assertThat(device.write(CONFIG, COMMAND, new byte[2])).isEqualTo("2");
            model.accesses.clear();
            device.read(bar, 0, new byte[1]);
            assertThat(model.accesses).as("with decoding of memory off").hasSize(bar == 3 ? 1 : 0);
            assertThat(device.write(CONFIG, COMMAND, (byte) 2, (byte) 0)).isEqualTo("2");
            assertThat(device.write(2, 0, pattern(4))).as("memory beside them").isEqualTo("4");
            assertThat(device.read(2, 0, 4)).isEqualTo(pattern(4));
        }
    }

    private static Stream<Arguments> mappings() {
        // region, offset, length, flags (1 shared, 2 private) | answer
        return Tables.onEveryKernel("""
                0 0 8192 1      | mapped
                0 0 1 1         | mapped
                0 4096 4096 1   | mapped
                0 4096 1 1      | mapped
                0 0 8193 1      | EINVAL
                0 4096 4097 1   | EINVAL
                0 8192 1 1      | EINVAL
                0 0 8192 2      | EINVAL
                1 0 4096 1      | mapped
                1 0 4097 1      | EINVAL
                1 4096 1 1      | EINVAL
                2 0 16384 1     | mapped
                3 0 32 1        | EINVAL
                4 0 1 1         | EINVAL
                6 0 2048 1      | EINVAL
                7 0 4096 1      | EINVAL
                8 0 4096 1      | EINVAL
                9 0 4096 1      | EINVAL
                100 0 4096 1    | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("mappings")
    void memoryIsMappedInWholePages(KernelProfile kernel, String place, String expected) {
        Device device = Device.of(kernel, function());
        int[] parts = Arrays.stream(place.split(" ", -1)).mapToInt(Integer::parseInt).toArray();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment mapping = device.map(arena, parts[0], parts[1], parts[2], Mman.PROT_READ | Mman.PROT_WRITE,
                    parts[3]);
            if (!expected.equals("mapped")) {
                assertThat(answer(mapping.address())).isEqualTo(expected);
                return;
            }
            assertThat(mapping.byteSize()).isEqualTo(parts[2]);
            mapping.set(JAVA_BYTE, 0, (byte) 77);
            assertThat(device.read(parts[0], parts[1], 1)).containsExactly(77);
        }
    }

    @Test
    void aMappingIsReadOrWrittenAsItWasAskedFor() {
        Device device = Device.of(KernelProfile.LINUX_7_2, function());
        assertThat(device.write(0, 4096, pattern(4))).isEqualTo("4");
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment readable = device.map(arena, 0, 4096, 4096, Mman.PROT_READ, Mman.MAP_SHARED);
            assertThat(readable.asSlice(0, 4).toArray(JAVA_BYTE)).as("what was there before").isEqualTo(pattern(4));
            assertThat(readable.isReadOnly()).isTrue();
            MemorySegment writable = device.map(arena, 0, 0, 8192, Mman.PROT_WRITE | Mman.PROT_READ, Mman.MAP_SHARED);
            assertThat(writable.isReadOnly()).isFalse();
            writable.set(JAVA_BYTE, 4099, (byte) 9);
            assertThat(readable.get(JAVA_BYTE, 3)).isEqualTo((byte) 9);
        }
        assertThat(device.read(0, 4096, 4)).containsExactly(1, 2, 3, 9);
        Registers model = new Registers();
        Device modelled = Device.of(KernelProfile.LINUX_7_2,
                function().andThen(spec -> spec.variantDriver("a-driver", () -> model)));
        try (Arena arena = Arena.ofConfined()) {
            assertThat(answer(modelled.map(arena, 0, 0, 4096, Mman.PROT_READ, Mman.MAP_SHARED).address()))
                    .as("registers of a model").isEqualTo("EINVAL");
            assertThat(modelled.map(arena, 2, 0, 4096, Mman.PROT_READ, Mman.MAP_SHARED).byteSize()).isEqualTo(4096);
        }
    }
}
