package io.github.vfio4j.emulation.mdev;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Mman;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The configuration space of mtty, as its driver makes it and lets it be written (samples/vfio-mdev/mtty.c). */
class MttyConfigTest {

    private static final long CONFIG = 7L << 40;
    private static final int EFAULT = -Errno.EFAULT.code();
    private static final HexFormat HEX = HexFormat.of();

    private final MttyConfig one = new MttyConfig(1);
    private final MttyConfig two = new MttyConfig(2);

    private static String read(MttyConfig config, long offset, int length) {
        byte[] bytes = new byte[length];
        assertThat(config.access(MemorySegment.ofArray(bytes), CONFIG + offset, false)).isEqualTo(length);
        return HEX.formatHex(bytes);
    }

    private static long write(MttyConfig config, long offset, String bytes) {
        return config.access(MemorySegment.ofArray(HEX.parseHex(bytes)), CONFIG + offset, true);
    }

    @Test
    void aCardOfTwoPortsHasASecondBar() {
        String ids = "48435332" + "01000002" + "10020007" + "00000000";
        assertThat(read(one, 0, 32)).isEqualTo(ids + "01000000" + "00000000" + "00".repeat(8));
        assertThat(read(two, 0, 32)).isEqualTo(ids + "01000000" + "01000000" + "00".repeat(8));
        assertThat(read(two, 0x20, 32)).isEqualTo("00".repeat(12) + "48435332" + "00".repeat(13) + "010000");
        assertThat(read(two, 0x40, 16)).isEqualTo("23000080" + "23000000" + "23000000" + "23000000");
        assertThat(read(two, 0x50, 16)).isEqualTo("00".repeat(16));
        assertThat(read(two, 0x60, 16))
                .isEqualTo(HEX.formatHex("PCI Serial/UART".getBytes(StandardCharsets.US_ASCII)) + "00");
        assertThat(read(two, 0xfe, 1)).isEqualTo("00");
    }

    /** Read as it comes, in pieces of 4, 2 and 1 bytes. */
    @ParameterizedTest
    @CsvSource({"0, 3, 484353", "1, 3, 435332", "1, 6, 435332010000", "2, 6, 533201000002", "3, 1, 32", "4, 2, 0100"})
    void anyPartCanBeRead(int offset, int length, String bytes) {
        assertThat(read(one, offset, length)).isEqualTo(bytes);
    }

    @Test
    void whatIsBehindItsEndWouldBeTheKernels() {
        assertThat(read(one, 0xfc, 3)).isEqualTo("000000");
        for (int[] place : new int[][]{{0xfc, 4}, {0xff, 1}, {0x100, 4}, {0xfe, 2}}) {
            assertThatExceptionOfType(KernelHazardException.class).isThrownBy(() -> read(one, place[0], place[1]))
                    .withMessageContaining("beyond its 255 bytes");
        }
    }

    @Test
    void barsKeepTheirKind() {
        assertThat(write(two, 0x10, "00c0fe00")).isEqualTo(4);
        assertThat(read(two, 0x10, 8)).isEqualTo("01c0fe00" + "01000000");
        assertThat(write(two, 0x10, "ffffffff")).isEqualTo(4);
        assertThat(read(two, 0x10, 8)).isEqualTo("f9ffffff" + "01000000");
        assertThat(write(two, 0x10, "00000000" + "78563412")).isEqualTo(8);
        assertThat(read(two, 0x10, 8)).isEqualTo("01000000" + "79563412");
    }

    /** Of a card with one port the second BAR, and of any the further ones, are zero whatever is written. */
    @ParameterizedTest
    @ValueSource(ints = {0x14, 0x18, 0x1c, 0x20})
    void barsThatAreNotThereStayZero(int bar) {
        assertThat(write(one, bar, "ffffffff")).isEqualTo(4);
        assertThat(read(one, bar, 4)).isEqualTo("00000000");
        assertThat(read(one, 0x10, 4)).isEqualTo("01000000");
    }

    @Test
    void aBarIsWrittenAsAWhole() {
        assertThatExceptionOfType(KernelHazardException.class).isThrownBy(() -> write(one, 0x10, "ffff"))
                .withMessageContaining("Write 4 bytes");
        assertThatExceptionOfType(KernelHazardException.class).isThrownBy(() -> write(two, 0x14, "ff"));
        assertThat(read(one, 0x10, 4)).isEqualTo("01000000");
    }

    @Test
    void theInterruptLineIsWhatIsWrittenAndNothingElseIs() {
        assertThat(write(one, 0x3c, "0b")).isEqualTo(1);
        assertThat(read(one, 0x3c, 2)).isEqualTo("0b01");
        String before = read(one, 0, 0xff);
        for (int place : new int[]{0x00, 0x04, 0x0c, 0x24, 0x2c, 0x38, 0x3d, 0x40, 0x60, 0xfc}) {
            assertThat(write(one, place, "77")).isEqualTo(1);
        }
        assertThat(read(one, 0, 0xff)).isEqualTo(before);
    }

    /** The driver looks at the lower half of 32 bits. */
    @Test
    void aWriteFarBehindTheEndComesBack() {
        assertThat(write(one, 0x1003c, "0c")).isEqualTo(1);
        assertThat(read(one, 0x3c, 1)).isEqualTo("0c");
    }

    @Test
    void otherRegionsAreNoMemory() {
        MemorySegment word = MemorySegment.ofArray(new byte[4]);
        assertThat(one.access(word, 6L << 40, false)).isEqualTo(EFAULT);
        assertThat(one.access(word, 8L << 40, true)).isEqualTo(EFAULT);
        assertThatExceptionOfType(NotModelledException.class).isThrownBy(() -> one.access(word, 5L << 40, false));
        assertThatExceptionOfType(NotModelledException.class).isThrownBy(() -> one.access(word, 0, true));
    }

    /** The same through the kernel: and nothing of it can be mapped. */
    @Test
    void aProgramReadsAndWritesIt() throws VfioException {
        UUID name = new UUID(1, 2);
        EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2).mtty(name, 2).build();
        try (EmulatedProcess process = kernel.newProcess();
                VfioContainer container = Vfio.using(process).openContainer();
                VfioDevice device = container.openMediatedDevice(name);
                Arena arena = Arena.ofConfined()) {
            DeviceRegion config = device.region(DeviceRegion.CONFIG);
            assertThat(config.get16(0)).isEqualTo((short) 0x4348);
            config.put32(0x14, 0x1000);
            assertThat(config.read(0x14, 4)).isEqualTo(HEX.parseHex("01100000"));
            int fd = process.openFiles().keySet().stream().max(Integer::compare).orElseThrow();
            MemorySegment refused = process.mmap(arena, 4096, Mman.PROT_READ, Mman.MAP_SHARED, fd, 0);
            assertThat(refused.byteSize()).isZero();
            assertThat(refused.address()).isEqualTo(-Errno.EINVAL.code());
            MemorySegment byteRead = arena.allocate(1);
            assertThat(process.pread(fd, byteRead, CONFIG + 1)).isEqualTo(1);
            assertThat(byteRead.get(JAVA_BYTE, 0)).isEqualTo((byte) 0x43);
        }
    }
}
