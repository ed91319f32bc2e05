package io.github.vfio4j.emulation;

import static io.github.vfio4j.backend.IoctlBackend.NO_POINTEES;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TYPE1V2;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_CHECK_EXTENSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * The type1 IOMMU of a container (semantics §E.5).
 *
 * <p>
 * The tables hold small programs: steps between semicolons, each a request with arguments in hexadecimal. What a step
 * leaves out is as it should be: argsz fits, flags ask for reading and writing, vaddr is that of a page of memory that is
 * really there. All steps but the last one succeed.
 */
class Type1Test {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final String KERNELS_SINCE_6_1 = "io.github.vfio4j.emulation.Tables#kernelsSince61";
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final int V1 = 1;
    private static final long PAGE = 0x1000;

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment memory = arena.allocate(16 * PAGE, PAGE);
    private final MemorySegment bitmap = arena.allocate(64, Long.BYTES);

    @AfterEach
    void free() {
        arena.close();
    }

    /** A container with one group, or two. */
    private record Setting(Program program, int container, int group) {
    }

    private static Setting setting(KernelProfile kernel, String kind) {
        Program program = Program.on(Program.machine(kernel).mtty(MTTY, 1));
        int container = program.container();
        int group = kind.equals("emulated")
                ? success(program.open("/dev/vfio" + mttyGroup(program)))
                : program.group(PLAIN);
        success(program.setContainer(group, container));
        success(program.setIommu(container, kind.equals("v1") ? V1 : TYPE1V2));
        if (kind.equals("mixed")) {
            success(program.setContainer(success(program.open("/dev/vfio" + mttyGroup(program))), container));
        }
        return new Setting(program, container, group);
    }

    private static String mttyGroup(Program program) {
        String link = program.link("/sys/bus/mdev/devices/" + MTTY + "/iommu_group");
        return link.substring(link.lastIndexOf('/'));
    }

    private static Setting v2(KernelProfile kernel) {
        return setting(kernel, "v2");
    }

    /** Runs a program: the last step's answer, with the size an unmapping writes. */
    private String run(Setting setting, String steps) {
        String[] all = steps.split(";", -1);
        for (int i = 0; i < all.length - 1; i++) {
            assertThat(step(setting, all[i].strip())).as(all[i]).startsWith("0");
        }
        return step(setting, all[all.length - 1].strip());
    }

    private String step(Setting setting, String step) {
        String[] words = step.split(" ", -1);
        Map<String, Long> values = new HashMap<>();
        for (String word : Arrays.asList(words).subList(1, words.length)) {
            String[] pair = word.split("=", -1);
            values.put(pair[0], Long.parseUnsignedLong(pair[1], 16));
        }
        Step arguments = new Step(setting, values);
        return switch (words[0]) {
            case "map" -> arguments.map();
            case "unmap" -> arguments.unmap();
            case "dirty" -> arguments.dirty();
            case "get" -> arguments.get();
            default -> throw new IllegalArgumentException(step);
        };
    }

    private final class Step {

        private final Setting setting;
        private final Map<String, Long> values;

        Step(Setting setting, Map<String, Long> values) {
            this.setting = setting;
            this.values = values;
        }

        private long value(String name, long otherwise) {
            return values.getOrDefault(name, otherwise);
        }

        private MemorySegment argument(long size, long defaultFlags, long... words) {
            MemorySegment argument = arena.allocate(8 + 8L * words.length, Long.BYTES);
            argument.set(JAVA_INT, 0, (int) value("argsz", size));
            argument.set(JAVA_INT, 4, (int) value("flags", defaultFlags));
            for (int i = 0; i < words.length; i++) {
                argument.set(JAVA_LONG, 8 + 8L * i, words[i]);
            }
            return argument.asSlice(0, value("mapped", argument.byteSize()));
        }

        private String ioctl(long request, MemorySegment argument, MemorySegment... pointees) {
            return answer(setting.program.process().ioctl(setting.container, request, argument, pointees));
        }

        String map() {
            MemorySegment argument = argument(32, 3, value("vaddr", memory.address() + value("at", 0)),
                    value("iova", 0), value("size", PAGE));
            return ioctl(VFIO_IOMMU_MAP_DMA(), argument, memory);
        }

        String unmap() {
            long flags = value("flags", 0);
            MemorySegment argument = (flags & 1) != 0
                    ? argument(48, flags, value("iova", 0), value("size", PAGE), value("pgsize", PAGE),
                            value("bytes", 8), value("bitmap", bitmap.address()))
                    : argument(24, flags, value("iova", 0), value("size", PAGE));
            MemorySegment before = arena.allocate(argument.byteSize()).copyFrom(argument);
            String answer = ioctl(VFIO_IOMMU_UNMAP_DMA(), argument, bitmap);
            if (!answer.equals("0")) {
                assertThat(argument.mismatch(before)).as("nothing is written").isEqualTo(-1);
                return answer;
            }
            before.set(JAVA_LONG, 16, argument.get(JAVA_LONG, 16));
            assertThat(argument.mismatch(before)).as("only the size is written").isEqualTo(-1);
            return "0 " + Long.toHexString(argument.get(JAVA_LONG, 16));
        }

        String dirty() {
            return ioctl(VFIO_IOMMU_DIRTY_PAGES(), argument(8, 1));
        }

        String get() {
            MemorySegment argument = argument(48, 4, value("iova", 0), value("size", PAGE), value("pgsize", PAGE),
                    value("bytes", 8), value("bitmap", bitmap.address()));
            return ioctl(VFIO_IOMMU_DIRTY_PAGES(), argument, bitmap);
        }
    }

    // ---- GET_INFO

    private static final String MIGRATION = "02000100 38000000 00000000 00000000 0010000000000000 0000001000000000";
    private static final String RANGES = "02000000 00000000 0000000000000000 ffffdffe00000000 0000f0fe00000000";

    private static Stream<Arguments> chains() {
        String last39 = " ffffffff7f000000";
        String available = "03000100 %s ffff0000";
        String chain61 = MIGRATION + available.formatted("44000000") + "01000100 00000000" + RANGES + last39;
        String chain612 = MIGRATION + available.formatted("48000000") + "00000000 01000100 00000000" + RANGES + last39;
        return Stream.of(Arguments.of(KernelProfile.LINUX_5_7, "01000100 00000000" + RANGES + last39),
                Arguments.of(KernelProfile.LINUX_6_1, chain61), Arguments.of(KernelProfile.LINUX_6_12, chain612),
                Arguments.of(KernelProfile.LINUX_7_2, chain612));
    }

    private static byte[] bytes(String hexadecimal) {
        return HexFormat.of().parseHex(hexadecimal.replace(" ", ""));
    }

    /** Asks with memory for 256 bytes, filled with 55. */
    private MemorySegment info(Setting setting, int argsz, String expected) {
        MemorySegment info = arena.allocate(256, Long.BYTES).fill((byte) 0x55);
        info.set(JAVA_INT, 0, argsz);
        assertThat(answer(setting.program.process().ioctl(setting.container, VFIO_IOMMU_GET_INFO(), info)))
                .isEqualTo(expected);
        return info;
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("chains")
    void capabilitiesAreChained(KernelProfile kernel, String chain) {
        byte[] expected = bytes(chain);
        int size = 24 + expected.length;
        for (int argsz : new int[]{size, size + 1, 256, -1}) {
            MemorySegment info = info(v2(kernel), argsz, "0");
            assertThat(info.get(JAVA_INT, 0)).isEqualTo(argsz);
            assertThat(info.get(JAVA_INT, 4)).isEqualTo(3);
            assertThat(info.get(JAVA_LONG, 8) & 0xfff).isZero();
            assertThat(Long.lowestOneBit(info.get(JAVA_LONG, 8))).isEqualTo(PAGE);
            assertThat(info.get(JAVA_INT, 16)).isEqualTo(24);
            assertThat(info.asSlice(24, expected.length).toArray(JAVA_BYTE)).isEqualTo(expected);
            assertThat(info.asSlice(size).toArray(JAVA_BYTE)).containsOnly(0x55);
        }
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("chains")
    void aChainThatDoesNotFitIsLeftOutAndItsSizeSaid(KernelProfile kernel, String chain) {
        int size = 24 + bytes(chain).length;
        for (int argsz : new int[]{24, 25, 64, size - 1}) {
            MemorySegment info = info(v2(kernel), argsz, "0");
            assertThat(info.get(JAVA_INT, 0)).isEqualTo(size);
            assertThat(info.get(JAVA_INT, 4)).isEqualTo(3);
            assertThat(info.get(JAVA_INT, 16)).isZero();
            assertThat(info.asSlice(24).toArray(JAVA_BYTE)).containsOnly(0x55);
        }
    }

    private static Stream<Arguments> writtenSizes() {
        // argsz | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                16 | 16 | 16 | 16 | 16
                17 | 16 | 16 | 17 | 17
                19 | 16 | 16 | 19 | 19
                20 | 20 | 20 | 20 | 20
                21 | 20 | 20 | 21 | 21
                23 | 20 | 20 | 23 | 23
                24 | 20 | 20 | 24 | 24
                99 | 20 | 20 | 24 | 24
                """);
    }

    @ParameterizedTest(name = "{0}: argsz {1}: {2} bytes")
    @MethodSource("writtenSizes")
    void asMuchIsWrittenAsFits(KernelProfile kernel, int argsz, int written) {
        MemorySegment info = info(setting(kernel, "emulated"), argsz, "0");
        assertThat(info.asSlice(16, written - 16).toArray(JAVA_BYTE)).doesNotContain(0x55);
        if (written < 24) {
            assertThat(info.get(JAVA_BYTE, written)).isEqualTo((byte) 0x55);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theInformationNeedsRoom(KernelProfile kernel) {
        Setting setting = v2(kernel);
        for (int argsz : new int[]{0, 8, 15}) {
            assertThat(info(setting, argsz, "EINVAL").asSlice(4).toArray(JAVA_BYTE)).containsOnly(0x55);
        }
        Program program = setting.program;
        assertThat(answer(program.ioctl(setting.container, VFIO_IOMMU_GET_INFO()))).isEqualTo("EFAULT");
        assertThat(answer(program.ioctlOn(setting.container, VFIO_IOMMU_GET_INFO(), new byte[15]))).isEqualTo("EFAULT");
        byte[] claimsMore = new byte[24];
        claimsMore[1] = 1;
        assertThat(answer(program.ioctlOn(setting.container, VFIO_IOMMU_GET_INFO(), claimsMore))).isEqualTo("EFAULT");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void emulatedGroupsHaveNoRangesAndAllPageSizes(KernelProfile kernel) {
        MemorySegment info = info(setting(kernel, "emulated"), 256, "0");
        assertThat(info.get(JAVA_LONG, 8)).isEqualTo(0xffff_ffff_ffff_f000L);
        if (kernel.equals(KernelProfile.LINUX_5_7)) {
            assertThat(info.get(JAVA_INT, 4)).isEqualTo(1);
            assertThat(info.get(JAVA_INT, 16)).isZero();
        } else {
            assertThat(info.asSlice(24, 32).toArray(JAVA_BYTE)).isEqualTo(bytes(MIGRATION));
            assertThat(info.asSlice(56, 12).toArray(JAVA_BYTE)).isEqualTo(bytes("03000100 00000000 ffff0000"));
        }
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void everyMappingTakesFromWhatIsAvailable(KernelProfile kernel) {
        Setting setting = v2(kernel);
        assertThat(run(setting, "map iova=10000; map iova=20000")).isEqualTo("0");
        assertThat(info(setting, 256, "0").get(JAVA_INT, 64)).isEqualTo(65533);
        assertThat(run(setting, "unmap iova=10000")).isEqualTo("0 1000");
        assertThat(info(setting, 256, "0").get(JAVA_INT, 64)).isEqualTo(65534);
    }

    @Test
    void theIommusWidthIsTheMachines() {
        Program program = Program.on(Program.machine(KernelProfile.LINUX_7_2).iommuAddressBits(48));
        int container = program.container();
        int group = program.group(PLAIN);
        success(program.setContainer(group, container));
        success(program.setIommu(container, TYPE1V2));
        Setting setting = new Setting(program, container, group);
        assertThat(info(setting, 256, "0").get(JAVA_LONG, 112)).isEqualTo((1L << 48) - 1);
        assertThat(run(setting, "map iova=fffffffff000")).isEqualTo("0");
        assertThat(run(setting, "map iova=1000000000000")).isEqualTo("EINVAL");
    }

    // ---- MAP_DMA

    private static Stream<Arguments> mappings() {
        // container | steps | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                v2 | map mapped=0                               | EFAULT | EFAULT | EFAULT | EFAULT
                v2 | map mapped=1f                              | EFAULT | EFAULT | EFAULT | EFAULT
                v2 | map argsz=0                                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map argsz=1f                               | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map argsz=21                               | 0      | 0      | 0      | 0
                v2 | map argsz=ffffffff                         | 0      | 0      | 0      | 0
                v2 | map flags=0                                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map flags=1                                | 0      | 0      | 0      | 0
                v2 | map flags=2                                | 0      | 0      | 0      | 0
                v2 | map flags=4                                | EINVAL | ENOENT | ENOENT | ENOENT
                v2 | map flags=5                                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map flags=6                                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map flags=7                                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map flags=8                                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map flags=b                                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map flags=80000003                         | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map size=0                                 | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map size=1                                 | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map size=1001                              | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=1                                 | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=800                               | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map at=1                                   | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=fffffffffffff000 size=2000        | EINVAL | EINVAL | EINVAL | EOVERFLOW
                v2 | map vaddr=fffffffffffff000 size=2000       | EINVAL | EINVAL | EINVAL | EOVERFLOW
                v2 | map iova=fffffffffffff001 size=2000        | EINVAL | EINVAL | EINVAL | EOVERFLOW
                v2 | map iova=fffffffffffff000 size=0           | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=fffffffffffff000 size=2000 flags=0| EINVAL | EINVAL | EINVAL | EOVERFLOW
                v2 | map iova=fffffffffffff000 size=2000 flags=8| EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=fffffffffffff000 size=2000 argsz=0| EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=2000; map iova=2000               | EEXIST | EEXIST | EEXIST | EEXIST
                v2 | map iova=2000 size=3000; map iova=4000     | EEXIST | EEXIST | EEXIST | EEXIST
                v2 | map iova=2000 size=3000; map iova=3000     | EEXIST | EEXIST | EEXIST | EEXIST
                v2 | map iova=2000; map iova=1000 size=3000     | EEXIST | EEXIST | EEXIST | EEXIST
                v2 | map iova=2000; map iova=1000 size=2000     | EEXIST | EEXIST | EEXIST | EEXIST
                v2 | map iova=2000; map iova=3000; map iova=1000 | 0     | 0      | 0      | 0
                v1 | map iova=2000; map iova=2000               | EEXIST | EEXIST | EEXIST | EEXIST
                v2 | map iova=2000; map iova=2000 vaddr=1000    | EEXIST | EEXIST | EEXIST | EEXIST
                v2 | map iova=2000; map iova=2000 at=1          | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=fedff000; map iova=fef00000       | 0      | 0      | 0      | 0
                v2 | map iova=fedff000 size=2000                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=fee00000                          | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=feeff000                          | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=feeff000 size=2000                | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=fee00000 vaddr=1000               | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=7ffffff000                        | 0      | 0      | 0      | 0
                v2 | map iova=8000000000                        | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map iova=7ffffff000 size=2000              | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | map vaddr=0                                | EFAULT | EFAULT | EFAULT | EFAULT
                v2 | map vaddr=1000                             | EFAULT | EFAULT | EFAULT | EFAULT
                v2 | map size=10000                             | 0      | 0      | 0      | 0
                v2 | map size=11000                             | EFAULT | EFAULT | EFAULT | EFAULT
                v2 | map at=f000 size=2000                      | EFAULT | EFAULT | EFAULT | EFAULT
                mixed | map vaddr=1000                          | EFAULT | EFAULT | EFAULT | EFAULT
                mixed | map iova=fee00000                       | EINVAL | EINVAL | EINVAL | EINVAL
                emulated | map vaddr=1000                       | 0      | 0      | 0      | 0
                emulated | map vaddr=0 size=100000000           | 0      | 0      | 0      | 0
                emulated | map iova=fee00000                    | 0      | 0      | 0      | 0
                emulated | map iova=8000000000000000            | 0      | 0      | 0      | 0
                emulated | map iova=1                           | EINVAL | EINVAL | EINVAL | EINVAL
                emulated | map iova=1000; map iova=1000         | EEXIST | EEXIST | EEXIST | EEXIST
                """);
    }

    @ParameterizedTest(name = "{0}, {1}: {2}: {3}")
    @MethodSource("mappings")
    void memoryIsMappedOrNot(KernelProfile kernel, String container, String steps, String answer) {
        assertThat(run(setting(kernel, container), steps)).isEqualTo(answer);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void whatFailsIsNotMapped(KernelProfile kernel) {
        Setting setting = v2(kernel);
        assertThat(run(setting, "map iova=1000 vaddr=1000")).isEqualTo("EFAULT");
        assertThat(run(setting, "unmap iova=1000")).isEqualTo("0 0");
        assertThat(run(setting, "map iova=1000")).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void memoryThatIsNotPassedAlongIsNotThere(KernelProfile kernel) {
        Setting setting = v2(kernel);
        MemorySegment map = arena.allocate(32, Long.BYTES);
        map.set(JAVA_INT, 0, 32);
        map.set(JAVA_INT, 4, 3);
        map.set(JAVA_LONG, 8, memory.address());
        map.set(JAVA_LONG, 24, 16 * PAGE);
        var process = setting.program.process();
        MemorySegment begin = memory.asSlice(0, 4 * PAGE);
        MemorySegment end = memory.asSlice(4 * PAGE);
        long request = VFIO_IOMMU_MAP_DMA();
        assertThat(answer(process.ioctl(setting.container, request, map, NO_POINTEES))).isEqualTo("EFAULT");
        assertThat(answer(process.ioctl(setting.container, request, map, begin))).isEqualTo("EFAULT");
        assertThat(answer(process.ioctl(setting.container, request, map, end))).isEqualTo("EFAULT");
        assertThat(answer(process.ioctl(setting.container, request, map, end, begin))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void mappingsAreLimited(KernelProfile kernel) {
        Setting setting = setting(kernel, "emulated");
        MemorySegment map = arena.allocate(32, Long.BYTES);
        map.set(JAVA_INT, 0, 32);
        map.set(JAVA_INT, 4, 3);
        map.set(JAVA_LONG, 24, PAGE);
        for (int i = 0; i < 65535; i++) {
            map.set(JAVA_LONG, 16, i * PAGE);
            assertThat(setting.program.process().ioctl(setting.container, VFIO_IOMMU_MAP_DMA(), map)).isZero();
        }
        assertThat(run(setting, "map iova=100000000")).isEqualTo("ENOSPC");
        assertThat(run(setting, "map iova=0")).isEqualTo("EEXIST");
        assertThat(run(setting, "unmap iova=5000; map iova=100000000")).isEqualTo("0");
    }

    // ---- UNMAP_DMA

    private static Stream<Arguments> unmappings() {
        // Two mappings of four pages side by side, and one of a page behind a gap.
        // container | step | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                v2 | unmap mapped=0                       | EFAULT | EFAULT | EFAULT | EFAULT
                v2 | unmap mapped=17                      | EFAULT | EFAULT | EFAULT | EFAULT
                v2 | unmap argsz=17                       | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap argsz=19                       | 0 0    | 0 0    | 0 0    | 0 0
                v2 | unmap flags=8                        | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=80000000                 | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap size=0                         | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap size=1                         | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=1                         | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=fffffffffffff000 size=2000 | EINVAL | EINVAL | EINVAL | EOVERFLOW
                v2 | unmap iova=fffffffffffff001 size=2000 | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=fffffffffffff000 size=2001 | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=10000 size=4000           | 0 4000 | 0 4000 | 0 4000 | 0 4000
                v2 | unmap iova=10000 size=8000           | 0 8000 | 0 8000 | 0 8000 | 0 8000
                v2 | unmap iova=f000 size=5000            | 0 4000 | 0 4000 | 0 4000 | 0 4000
                v2 | unmap iova=0 size=100000             | 0 9000 | 0 9000 | 0 9000 | 0 9000
                v2 | unmap iova=18000 size=2000           | 0 0    | 0 0    | 0 0    | 0 0
                v2 | unmap iova=18000 size=3000           | 0 1000 | 0 1000 | 0 1000 | 0 1000
                v2 | unmap iova=10000 size=1000           | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=11000 size=1000           | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=11000 size=3000           | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=f000 size=2000            | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=10000 size=5000           | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap iova=11000 size=7000           | EINVAL | EINVAL | EINVAL | EINVAL
                v1 | unmap iova=10000 size=4000           | 0 4000 | 0 4000 | 0 4000 | 0 4000
                v1 | unmap iova=10000 size=1000           | 0 4000 | 0 4000 | 0 4000 | 0 4000
                v1 | unmap iova=f000 size=2000            | 0 4000 | 0 4000 | 0 4000 | 0 4000
                v1 | unmap iova=10000 size=5000           | 0 8000 | 0 8000 | 0 8000 | 0 8000
                v1 | unmap iova=11000 size=1000           | 0 0    | 0 0    | 0 0    | 0 0
                v1 | unmap iova=11000 size=3000           | 0 0    | 0 0    | 0 0    | 0 0
                v1 | unmap iova=18000 size=1000           | 0 0    | 0 0    | 0 0    | 0 0
                v1 | unmap iova=1 size=1000               | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=2 size=0                 | EINVAL | 0 9000 | 0 9000 | 0 9000
                v1 | unmap flags=2 size=0                 | EINVAL | 0 9000 | 0 9000 | 0 9000
                v2 | unmap flags=2 size=1000              | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=2 iova=1000 size=0       | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=1 iova=10000 size=4000   | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=3                        | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=5                        | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=1 argsz=2f               | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=1 argsz=30 mapped=2f     | EINVAL | EFAULT | EFAULT | EFAULT
                v2 | unmap flags=4 iova=10000 size=4000   | EINVAL | 0 4000 | 0 4000 | 0 4000
                v2 | unmap flags=4 iova=11000 size=3000   | EINVAL | EINVAL | EINVAL | EINVAL
                v2 | unmap flags=6 size=0                 | EINVAL | 0 9000 | 0 9000 | 0 9000
                mixed | unmap flags=4 iova=10000 size=4000 | EINVAL | EBUSY | EBUSY  | EBUSY
                mixed | unmap flags=4 iova=1              | EINVAL | EBUSY  | EBUSY  | EBUSY
                mixed | unmap flags=6 size=1000           | EINVAL | EBUSY  | EBUSY  | EBUSY
                mixed | unmap flags=6 size=0              | EINVAL | EBUSY  | EBUSY  | EBUSY
                mixed | unmap flags=5 iova=10000 size=4000 | EINVAL | EINVAL | EINVAL | EINVAL
                emulated | unmap flags=4 size=0           | EINVAL | EBUSY  | EBUSY  | EBUSY
                emulated | unmap iova=10000 size=8000     | 0 8000 | 0 8000 | 0 8000 | 0 8000
                """);
    }

    @ParameterizedTest(name = "{0}, {1}: {2}: {3}")
    @MethodSource("unmappings")
    void memoryIsUnmappedOrNot(KernelProfile kernel, String container, String step, String answer) {
        Setting setting = setting(kernel, container);
        String mappings = "map iova=10000 size=4000; map iova=14000 size=4000; map iova=1a000";
        assertThat(run(setting, mappings + ";" + step)).isEqualTo(answer);
        // Exactly what was reported is gone.
        boolean invalidated = step.contains("flags=4") || step.contains("flags=6");
        long gone = answer.startsWith("0 ") && !invalidated ? Long.parseLong(answer.substring(2), 16) : 0;
        assertThat(run(setting, "unmap iova=0 size=100000")).isEqualTo("0 " + Long.toHexString(0x9000 - gone));
    }

    private static Stream<Arguments> addressUpdates() {
        // steps, after two mappings of four pages | the answer of 6.1, 6.12 and 7.2
        return Tables.rows("""
                map flags=4 iova=10000 size=4000                                            | EINVAL
                map flags=4 iova=20000                                                      | ENOENT
                unmap flags=4 iova=10000 size=4000; map flags=4 iova=10000 size=4000        | 0
                unmap flags=4 iova=10000 size=4000; map flags=4 iova=10000 size=3000        | EINVAL
                unmap flags=4 iova=10000 size=4000; map flags=4 iova=11000 size=3000        | EINVAL
                unmap flags=4 iova=10000 size=4000; map flags=4 iova=10000 size=5000        | EINVAL
                unmap flags=4 iova=10000 size=4000; map flags=4 iova=14000 size=4000        | EINVAL
                unmap flags=4 iova=10000 size=4000; map flags=4 iova=10000 size=4000 at=1   | EINVAL
                unmap flags=4 iova=10000 size=4000; map iova=10000 size=4000                | EEXIST
                unmap flags=4 iova=10000 size=4000; unmap flags=4 iova=10000 size=4000      | EINVAL
                unmap flags=4 iova=10000 size=4000; unmap iova=10000 size=4000              | 0 4000
                unmap flags=6 size=0; map flags=4 iova=14000 size=4000; map flags=4 iova=10000 size=4000 | 0
                """).flatMap(
                row -> Tables.kernelsSince61().map(kernel -> Arguments.of(kernel, row.getFirst(), row.getLast())));
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("addressUpdates")
    void anAddressIsInvalidatedAndUpdated(KernelProfile kernel, String steps, String answer) {
        String mappings = "map iova=10000 size=4000; map iova=14000 size=4000;";
        assertThat(run(v2(kernel), mappings + steps)).isEqualTo(answer);
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void addressesAreInvalidatedTogetherOrNotAtAll(KernelProfile kernel) {
        Setting setting = v2(kernel);
        run(setting, "map iova=10000; map iova=11000; unmap flags=4 iova=11000");
        assertThat(run(setting, "unmap flags=4 iova=10000 size=2000")).isEqualTo("EINVAL");
        assertThat(run(setting, "map flags=4 iova=10000")).isEqualTo("EINVAL");
        assertThat(run(setting, "map flags=4 iova=11000")).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void anEmulatedGroupTakesTheUpdatingAway(KernelProfile kernel) {
        for (String kind : new String[]{"v2", "mixed", "emulated"}) {
            Setting setting = setting(kernel, kind);
            assertThat(setting.program.ioctl(setting.container, VFIO_CHECK_EXTENSION(), 10)).as(kind)
                    .isEqualTo(kind.equals("v2") ? 1 : 0);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void mappingsGoWithTheLastGroup(KernelProfile kernel) {
        Setting setting = v2(kernel);
        Program program = setting.program;
        int second = program.group(PF);
        success(program.setContainer(second, setting.container));
        assertThat(run(setting, "map iova=10000")).isEqualTo("0");
        success(program.ioctl(second, VFIO_GROUP_UNSET_CONTAINER()));
        assertThat(run(setting, "map iova=10000")).isEqualTo("EEXIST");
        success(program.ioctl(setting.group, VFIO_GROUP_UNSET_CONTAINER()));
        assertThat(run(setting, "map iova=10000")).isEqualTo("EINVAL");
        success(program.setContainer(setting.group, setting.container));
        success(program.setIommu(setting.container, TYPE1V2));
        assertThat(run(setting, "map iova=10000")).isEqualTo("0");
    }

    // ---- DIRTY_PAGES

    private static Stream<Arguments> dirtyRequests() {
        String wrap = "get iova=fffffffffffff000 size=2000";
        // container | steps | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                v1 | dirty                                   | ENOTTY | EACCES | EACCES | EACCES
                v1 | dirty mapped=0                          | ENOTTY | EACCES | EACCES | EACCES
                v2 | dirty mapped=0                          | ENOTTY | EFAULT | EFAULT | EFAULT
                v2 | dirty mapped=7                          | ENOTTY | EFAULT | EFAULT | EFAULT
                v2 | dirty argsz=7                           | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | dirty                                   | ENOTTY | 0      | 0      | 0
                v2 | dirty argsz=9                           | ENOTTY | 0      | 0      | 0
                v2 | dirty flags=0                           | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | dirty flags=2                           | ENOTTY | 0      | 0      | 0
                v2 | dirty flags=3                           | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | dirty flags=5                           | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | dirty flags=6                           | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | dirty flags=7                           | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | dirty flags=8                           | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | dirty flags=40001                       | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | dirty flags=4                           | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | get                                     | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | get argsz=2f                            | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | get mapped=2f                           | ENOTTY | EFAULT | EFAULT | EFAULT
                v2 | get argsz=2f mapped=2f                  | ENOTTY | EINVAL | EINVAL | EINVAL
                v2 | %1$s                                    | ENOTTY | EINVAL | EINVAL | EOVERFLOW
                v2 | %1$s bytes=0                            | ENOTTY | EINVAL | EINVAL | EOVERFLOW
                v2 | get iova=fffffffffffff000 size=0        | ENOTTY | EINVAL | EINVAL | EINVAL
                """.formatted(wrap));
    }

    @ParameterizedTest(name = "{0}, {1}: {2}: {3}")
    @MethodSource("dirtyRequests")
    void dirtyPagesAreAskedFor(KernelProfile kernel, String container, String steps, String answer) {
        assertThat(run(setting(kernel, container), steps)).isEqualTo(answer);
    }

    private static Stream<Arguments> reports() {
        // steps, after the start of the tracking and a mapping of four pages | the answer of 6.1, 6.12 and 7.2
        return Tables.rows("""
                dirty                                             | 0
                dirty flags=2; dirty flags=2                      | 0
                dirty flags=2; get iova=10000 size=4000           | EINVAL
                get iova=10000 size=4000                          | 0
                get iova=10000 size=0                             | EINVAL
                get iova=10000 size=4000 bytes=0                  | EINVAL
                get iova=10000 size=4000 bytes=7                  | EINVAL
                get iova=10000 size=4000 bytes=9                  | 0
                get iova=10000 size=4000 bytes=10000000           | 0
                get iova=10000 size=4000 bytes=10000001           | EINVAL
                get iova=10000 size=40000                         | 0
                get iova=10000 size=41000                         | EINVAL
                get iova=10000 size=41000 bytes=10                | 0
                get iova=10000 size=4000 pgsize=0                 | EINVAL
                get iova=10000 size=4000 pgsize=2000              | EINVAL
                get iova=10000 size=4000 pgsize=800               | EINVAL
                get iova=10000 size=4000 bitmap=0                 | EFAULT
                get iova=10000 size=4000 bitmap=1000              | EFAULT
                get iova=10000 size=4000 bitmap=fffffffffffff000  | EINVAL
                get iova=20000 size=4000 bitmap=1000              | 0
                get iova=10800 size=4000                          | EINVAL
                get iova=10000 size=4800                          | EINVAL
                get iova=10000 size=1000                          | EINVAL
                get iova=11000 size=3000                          | EINVAL
                get iova=f000 size=2000                           | EINVAL
                get iova=f000 size=6000                           | 0
                unmap flags=1 iova=10000 size=4000                | 0 4000
                unmap flags=1 iova=f000 size=6000                 | 0 4000
                unmap flags=1 iova=20000 size=4000                | 0 0
                unmap flags=1 iova=10000 size=4000 bytes=7        | EINVAL
                unmap flags=1 iova=10000 size=4000 pgsize=2000    | EINVAL
                unmap flags=1 iova=10000 size=4000 bitmap=fffffffffffff000 | EINVAL
                unmap flags=1 iova=10000 size=4000 bitmap=1000    | EFAULT
                unmap flags=1 iova=11000 size=3000                | EINVAL
                unmap flags=1 iova=10000 size=0                   | EINVAL
                dirty flags=2; unmap flags=1 iova=10000 size=4000 | EINVAL
                """).flatMap(
                row -> Tables.kernelsSince61().map(kernel -> Arguments.of(kernel, row.getFirst(), row.getLast())));
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("reports")
    void dirtyPagesAreReportedOrNot(KernelProfile kernel, String steps, String answer) {
        assertThat(run(v2(kernel), "dirty; map iova=10000 size=4000;" + steps)).isEqualTo(answer);
    }

    private static Stream<Arguments> bitmaps() {
        // container | steps | the bitmap's words, a5 where nothing was written
        return Tables.rows("""
                v2 | map iova=10000 size=4000; dirty; get iova=10000 size=4000             | f
                v2 | dirty; map iova=10000 size=4000; get iova=10000 size=4000             | f
                v2 | map iova=10000 size=4000; dirty; get iova=10000 size=4000; get iova=10000 size=4000 | f
                v2 | map iova=10000 size=4000; dirty; unmap flags=1 iova=10000 size=4000   | f
                v2 | map iova=10000 size=4000; map iova=50000; dirty; get iova=10000 size=80000 bytes=10 | f 1
                v2 | map iova=50000; dirty; get iova=10000 size=80000 bytes=10             | a5 1
                v2 | map iova=10000; dirty; get iova=20000 size=4000                       | a5
                mixed | map iova=10000 size=4000; dirty; get iova=10000 size=4000          | f
                emulated | map iova=10000 size=4000; dirty; get iova=10000 size=4000       | 0
                emulated | map iova=10000 size=4000; dirty; unmap flags=1 iova=10000 size=4000 | 0
                """).flatMap(row -> Tables.kernelsSince61()
                .map(kernel -> Arguments.of(kernel, row.getFirst(), row.get(1), row.getLast())));
    }

    /** What an IOMMU maps may have been written; what only drivers look up has not been, as none of them does. */
    @ParameterizedTest(name = "{0}, {1}: {2}: {3}")
    @MethodSource("bitmaps")
    void dirtyPagesAreBits(KernelProfile kernel, String container, String steps, String words) {
        bitmap.fill((byte) 0xa5);
        assertThat(run(setting(kernel, container), steps)).startsWith("0");
        String[] expected = words.split(" ", -1);
        for (int i = 0; i < 8; i++) {
            long word = i >= expected.length || expected[i].equals("a5")
                    ? 0xa5a5_a5a5_a5a5_a5a5L
                    : Long.parseUnsignedLong(expected[i], 16);
            assertThat(bitmap.get(JAVA_LONG, 8L * i)).as("word " + i).isEqualTo(word);
        }
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void mappingsWithinAWordAreJoined(KernelProfile kernel) {
        Setting setting = v2(kernel);
        bitmap.fill((byte) 0);
        assertThat(run(setting, "map iova=10000 size=3000; map iova=14000 size=2000; map iova=4f000 size=3000; dirty;"
                + "get iova=f000 size=80000 bytes=10")).isEqualTo("0");
        assertThat(bitmap.get(JAVA_LONG, 0)).isEqualTo(0b110_1110);
        assertThat(bitmap.get(JAVA_LONG, 8)).isEqualTo(0b111);
    }

    // ---- what the semantics don't say

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void whatIsNotKnownIsNotAnswered(KernelProfile kernel) {
        Setting invalidated = v2(kernel);
        run(invalidated, "map iova=10000; unmap flags=4 iova=10000");
        int second = invalidated.program.group(PF);
        assertThatExceptionOfType(NotModelledException.class)
                .isThrownBy(() -> invalidated.program.setContainer(second, invalidated.container));

        Setting emulated = setting(kernel, "emulated");
        run(emulated, "map iova=10000 vaddr=1000");
        int plain = emulated.program.group(PLAIN);
        assertThatExceptionOfType(NotModelledException.class)
                .isThrownBy(() -> emulated.program.setContainer(plain, emulated.container));
        assertThat(run(emulated, "unmap iova=10000")).isEqualTo("0 1000");
        success(emulated.program.setContainer(plain, emulated.container));
        assertThat(run(emulated, "map iova=10000 vaddr=1000")).isEqualTo("EFAULT");

        success(emulated.program.ioctl(plain, VFIO_GROUP_UNSET_CONTAINER()));
        assertThatExceptionOfType(NotModelledException.class).isThrownBy(() -> run(emulated, "map iova=10000"));
        assertThatExceptionOfType(NotModelledException.class)
                .isThrownBy(() -> run(v2(kernel), "map iova=fffffffffffff000"));
    }

    // ---- limits of the emulation and of a caller's memory

    @Test
    void anAnswerThatDoesNotFitTheMemoryIsAFault() {
        Setting setting = setting(KernelProfile.LINUX_5_7, "emulated");
        byte[] argument = new byte[19];
        argument[0] = 20;
        assertThat(answer(setting.program.ioctlOn(setting.container, VFIO_IOMMU_GET_INFO(), argument)))
                .isEqualTo("EFAULT");
        argument[0] = 19;
        assertThat(answer(setting.program.ioctlOn(setting.container, VFIO_IOMMU_GET_INFO(), argument))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void whatIsTooLargeToBeTrackedIsNotAnswered(KernelProfile kernel) {
        assertThatExceptionOfType(NotModelledException.class)
                .isThrownBy(() -> run(setting(kernel, "emulated"), "map size=80000000000; dirty"))
                .withMessageContaining("2^31-1 pages");
        assertThat(run(setting(kernel, "emulated"), "map iova=0 size=1000000; dirty")).isEqualTo("0");
    }

    /** Between the last address of a program and the first of the kernel nobody knows what there is. */
    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void aBitmapEndsBelowTheProgramsLastAddress(KernelProfile kernel) {
        Setting setting = v2(kernel);
        run(setting, "dirty");
        assertThat(run(setting, "get iova=10000 size=4000 bitmap=7fffffffeff8")).isEqualTo("0");
        assertThatExceptionOfType(NotModelledException.class)
                .isThrownBy(() -> run(setting, "get iova=10000 size=4000 bitmap=7fffffffeff9"))
                .withMessageContaining("a bitmap between");
        assertThat(run(setting, "get iova=10000 size=4000 bitmap=7ffffffffffffff8")).isEqualTo("EINVAL");
        assertThat(run(setting, "get iova=10000 size=4000 bitmap=8000000000000000")).isEqualTo("EINVAL");
    }

    /** The last word of a report that begins within one holds what has been shifted out of the word before. */
    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void bitsAreCarriedFromWordToWord(KernelProfile kernel) {
        Setting setting = v2(kernel);
        bitmap.fill((byte) 0);
        // 70 pages from the 60th on: to the 129th.
        assertThat(run(setting, "map iova=4c000 size=10000; map iova=5c000 size=10000; map iova=6c000 size=10000;"
                + "map iova=7c000 size=10000; map iova=8c000 size=6000; dirty; get iova=10000 size=90000 bytes=18"))
                .isEqualTo("0");
        assertThat(bitmap.get(JAVA_LONG, 0)).isEqualTo(0xfL << 60);
        assertThat(bitmap.get(JAVA_LONG, 8)).isEqualTo(-1);
        assertThat(bitmap.get(JAVA_LONG, 16)).isEqualTo(0b11);
        assertThat(bitmap.get(JAVA_LONG, 24)).isZero();
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void anUnmappingWithABitmapNeedsRoomForIt(KernelProfile kernel) {
        Setting setting = v2(kernel);
        run(setting, "dirty");
        assertThat(run(setting, "map iova=10000; unmap flags=1 iova=10000 argsz=18")).isEqualTo("EINVAL");
        assertThat(run(setting, "unmap flags=1 iova=10000 argsz=2f")).isEqualTo("EINVAL");
        assertThat(run(setting, "unmap flags=1 iova=10000 argsz=2f mapped=2f")).isEqualTo("EINVAL");
        assertThat(run(setting, "unmap flags=1 iova=10000 argsz=30 mapped=2f")).isEqualTo("EFAULT");
        assertThat(run(setting, "unmap flags=1 iova=10000 argsz=30")).isEqualTo("0 1000");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theLastPageThereIsIsNotUnmappedEither(KernelProfile kernel) {
        assertThatExceptionOfType(NotModelledException.class)
                .isThrownBy(() -> run(v2(kernel), "unmap iova=fffffffffffff000"));
        assertThat(run(v2(kernel), "unmap iova=ffffffffffffe000")).isEqualTo("0 0");
    }
}
