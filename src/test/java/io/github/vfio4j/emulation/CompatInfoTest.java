package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The information of a container from an iommufd in its place (iommufd/vfio_compat.c), byte for byte. */
class CompatInfoTest {

    private static final int WHOLE = 24 + 16 + 16 + 2 * 16;

    private final Arena arena = Arena.ofConfined();
    private final Program program = Program.on(KernelProfile.LINUX_7_2.withCdev());
    private final int iommufd = Cdevs.iommufd(program);

    CompatInfoTest() {
        int group = program.group(PLAIN);
        success(program.setContainer(group, iommufd));
        success(program.deviceFd(group, PLAIN));
    }

    @AfterEach
    void free() {
        arena.close();
    }

    private MemorySegment info(int argsz, long mapped, String answer) {
        MemorySegment info = arena.allocate(128, 8).fill((byte) 0x55);
        info.set(JAVA_INT, 0, argsz);
        assertThat(answer(program.process().ioctl(iommufd, VFIO_IOMMU_GET_INFO(), info.asSlice(0, mapped))))
                .isEqualTo(answer);
        return info;
    }

    @Test
    void theChainHasWhatIsAvailableAndTheRanges() {
        MemorySegment info = info(128, 128, "0");
        assertThat(info.get(JAVA_INT, 0)).isEqualTo(WHOLE);
        assertThat(info.get(JAVA_INT, 4)).as("page sizes, capabilities").isEqualTo(3);
        assertThat(Long.lowestOneBit(info.get(JAVA_LONG, 8))).isEqualTo(4096);
        assertThat(info.get(JAVA_INT, 16)).isEqualTo(24);
        assertThat(info.get(JAVA_INT, 24)).as("DMA_AVAIL, version 1").isEqualTo(0x1_0003);
        assertThat(info.get(JAVA_INT, 28)).as("the next").isEqualTo(40);
        assertThat(info.get(JAVA_INT, 32)).as("without a limit").isEqualTo(-1);
        assertThat(info.get(JAVA_INT, 40)).as("IOVA_RANGE, version 1").isEqualTo(0x1_0001);
        assertThat(info.get(JAVA_INT, 44)).as("the last").isZero();
        assertThat(info.get(JAVA_INT, 48)).isEqualTo(2);
        assertThat(info.get(JAVA_LONG, 56)).isZero();
        assertThat(info.get(JAVA_LONG, 64)).isEqualTo(0xfedf_ffffL);
        assertThat(info.get(JAVA_LONG, 72)).isEqualTo(0xfef0_0000L);
        assertThat(info.get(JAVA_LONG, 80)).isEqualTo((1L << 39) - 1);
        assertThat(info.asSlice(WHOLE).toArray(JAVA_BYTE)).containsOnly(0x55);
    }

    /** The first byte that is not written, and the offset of the chain. */
    @ParameterizedTest
    @CsvSource({"87, 0", "88, 24", "89, 24"})
    void theChainIsOnlyPointedToIfItIsWhole(int argsz, int offset) {
        MemorySegment info = info(argsz, 128, "0");
        assertThat(info.get(JAVA_INT, 0)).isEqualTo(WHOLE);
        assertThat(info.get(JAVA_INT, 16)).isEqualTo(offset);
        assertThat(info.get(JAVA_LONG, 56)).as("the range that fits").isZero();
        assertThat(info.get(JAVA_LONG, 64)).isEqualTo(0xfedf_ffffL);
        assertThat(info.get(JAVA_INT, 40)).as("the head of both").isEqualTo(offset == 0 ? 0x5555_5555 : 0x1_0001);
    }

    @ParameterizedTest
    @CsvSource({"16", "19", "20", "23", "24", "35", "36", "39", "40", "71", "72"})
    void asMuchIsWrittenAsThereIsRoomFor(int argsz) {
        MemorySegment info = info(argsz, 128, "0");
        assertThat(info.get(JAVA_INT, 0)).isEqualTo(WHOLE);
        int info24 = Math.min(argsz, 24);
        if (info24 < 24) {
            assertThat(info.get(JAVA_BYTE, info24)).isEqualTo((byte) 0x55);
        }
        assertThat(info.get(JAVA_INT, 24)).as("what is available").isEqualTo(argsz < 36 ? 0x5555_5555 : 0x1_0003);
        assertThat(info.get(JAVA_INT, 28)).as("the next").isEqualTo(argsz < 36 ? 0x5555_5555 : argsz < 40 ? 0 : 40);
        assertThat(info.get(JAVA_LONG, 64)).isEqualTo(argsz < 72 ? 0x5555_5555_5555_5555L : 0xfedf_ffffL);
        assertThat(info.get(JAVA_LONG, 80)).isEqualTo(0x5555_5555_5555_5555L);
    }

    /** Of what does not fit the memory, the beginning is written. */
    @Test
    void memoryThatEndsEarlyIsAFault() {
        MemorySegment info = info(128, 60, "EFAULT");
        assertThat(info.get(JAVA_INT, 24)).isEqualTo(0x1_0003);
        assertThat(info.get(JAVA_INT, 56)).isZero();
        assertThat(info.get(JAVA_INT, 60)).isEqualTo(0x5555_5555);
        assertThat(info.get(JAVA_INT, 4)).isEqualTo(0x5555_5555);
        info(128, 30, "EFAULT");
    }
}
