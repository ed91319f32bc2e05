package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_IRQ_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_REGION_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_IOEVENTFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_QUERY_GFX_PLANE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.UUID;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** GET_INFO, GET_REGION_INFO, GET_IRQ_INFO and RESET (semantics §E.4). */
class DeviceInfoTest {

    /** PCIe, with everything: memory BARs 0 and 4, ports in BAR 2, small BARs 3 and 5 in one page, MSI and MSI-X. */
    private static final String RICH = "0000:05:00.0";
    /** Conventional, with nothing but a small BAR. */
    private static final String POOR = "0000:06:00.0";
    /** The virtual function of {@link #RICH}. */
    private static final String RICH_VF = "0000:05:00.1";
    private static final UUID MTTY1 = UUID.fromString("00000000-0000-0000-0000-000000000001");
    private static final UUID MTTY2 = UUID.fromString("00000000-0000-0000-0000-000000000002");
    private static final UUID MDPY = UUID.fromString("00000000-0000-0000-0000-000000000003");

    private static final Map<String, UUID> MDEVS = Map.of("mtty1", MTTY1, "mtty2", MTTY2, "mdpy", MDPY);

    private static final String EVERY_KERNEL = "io.github.vfio4j.emulation.Tables#kernels";

    /** What memory is filled with, so that what has been written shows. */
    private static final int FILL = 0xa5a5_a5a5;

    private static int open(Program program, String device) {
        if (device.equals("vf")) {
            program.write(Program.ENABLE_SRIOV, "1");
            program.setNumVfs(RICH, "1");
            program.close(program.device(RICH + " vf_token=" + Program.TOKEN));
            return success(program.device(RICH_VF + " vf_token=" + Program.TOKEN));
        }
        UUID mdev = MDEVS.get(device);
        if (mdev == null) {
            return success(program.device(device.equals("rich") ? RICH : POOR));
        }
        return success(program.deviceFd(program.readyGroupAt(program.mdevGroupPath(mdev)), mdev.toString()));
    }

    private static Program machine(KernelProfile kernel) {
        return Program.on(EmulatedKernel.builder(kernel)
                .pciFunction(RICH,
                        function -> function.sriov(1).memoryBar(0, 16384).ioPortBar(2, 32).memoryBar(4, 4096)
                                .memoryBar(5, 256).memoryBar(3, 256).rom(65536).msi(8).msix(5, 4))
                .pciFunction(POOR, function -> function.conventional().memoryBar(1, 256).withoutIntx().withoutReset())
                .mtty(MTTY1, 1).mtty(MTTY2, 2).mdpy(MDPY));
    }

    /** An argument of that many mapped bytes. */
    private static MemorySegment argument(Arena arena, int mapped, int argsz, int index) {
        MemorySegment argument = arena.allocate(80).fill((byte) FILL).asSlice(0, mapped);
        if (mapped >= 12) {
            argument.set(JAVA_INT_UNALIGNED, 0, argsz);
            argument.set(JAVA_INT_UNALIGNED, 8, index);
        }
        return argument;
    }

    /** The 32-bit words of the argument from one on, {@code -} for those not written. */
    private static String words(MemorySegment argument, int from, int to) {
        return String.join(" ", IntStream.range(from, to).map(word -> argument.get(JAVA_INT_UNALIGNED, 4L * word))
                .mapToObj(word -> word == FILL ? "-" : Integer.toHexString(word)).toList());
    }

    private static Stream<Arguments> writtenBytes() {
        // argsz, bytes mapped | errno, if there is one, and end of what is written, if that is more than argsz
        return Tables.byKernel("""
                0 64      | EINVAL | EINVAL | EINVAL | EINVAL
                15 64     | EINVAL | EINVAL | EINVAL | EINVAL
                16 64     | 16     | 16     | 16     | 16
                17 64     | 16     | 16     | 17     | 17
                19 64     | 16     | 16     | 19     | 19
                20 64     | 16     | 20     | 20     | 20
                21 64     | 16     | 20     | 21     | 21
                23 64     | 16     | 20     | 23     | 23
                24 64     | 16     | 20     | 24     | 24
                25 64     | 16     | 20     | 24     | 24
                41 64     | 16     | 20     | 24     | 24
                -1 64     | 16     | 20     | 24     | 24
                64 0      | EFAULT | EFAULT | EFAULT | EFAULT
                8 15      | EFAULT | EFAULT | EFAULT | EFAULT
                16 16     | 16     | 16     | 16     | 16
                20 16     | 16     | EFAULT 16 | EFAULT 16 | EFAULT 16
                24 20     | 16     | 20     | EFAULT 20 | EFAULT 20
                64 18     | 16     | EFAULT 18 | EFAULT 18 | EFAULT 18
                64 22     | 16     | 20     | EFAULT 22 | EFAULT 22
                """);
    }

    @ParameterizedTest(name = "{0}: argsz and mapped {1}: {2}")
    @MethodSource("writtenBytes")
    void deviceInformationEndsWhereTheKernelEndsIt(KernelProfile kernel, String sizes, String expected) {
        Program program = machine(kernel);
        int device = open(program, "rich");
        String[] size = sizes.split(" ", -1);
        int mapped = Integer.parseInt(size[1]);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, mapped, Integer.parseInt(size[0]), FILL);
            int result = program.process().ioctl(device, VFIO_DEVICE_GET_INFO(), argument);
            int end = mapped;
            while (end > 0 && argument.get(JAVA_BYTE, end - 1) == (byte) FILL) {
                end--;
            }
            String written = end > 8 ? Integer.toString(end) : "";
            assertThat(result == 0 ? written : (answer(result) + " " + written).strip()).isEqualTo(expected);
        }
    }

    private static Stream<Arguments> devices() {
        // device | flags, regions, interrupts
        return Tables.onEveryKernel("""
                rich  | 3 9 5
                poor  | 2 9 5
                vf    | 3 9 5
                mtty1 | 2 9 5
                mtty2 | 2 9 5
                mdpy  | 2 9 5
                """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("devices")
    void aDeviceIsDescribed(KernelProfile kernel, String device, String expected) {
        Program program = machine(kernel);
        int fd = open(program, device);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, 16, 16, FILL);
            assertThat(program.process().ioctl(fd, VFIO_DEVICE_GET_INFO(), argument)).isZero();
            assertThat(words(argument, 1, 4)).isEqualTo(expected);
        }
    }

    private static Stream<Arguments> regions() {
        // device, index, argsz | argsz, flags, cap_offset, size, offset, 2 words of capabilities; or the errno
        return Tables.onEveryKernel("""
                rich 0 32           | 20 7 - 4000 0 0 0 - -
                rich 0 31           | EINVAL
                rich 1 32           | 20 0 - 0 0 0 100 - -
                rich 2 32           | 20 3 - 20 0 0 200 - -
                rich 3 32           | 20 3 - 100 0 0 300 - -
                rich 4 32           | 28 f 0 1000 0 0 400 - -
                rich 4 39           | 28 f 0 1000 0 0 400 - -
                rich 4 40           | 28 f 20 1000 0 0 400 10003 0
                rich 4 64           | 40 f 20 1000 0 0 400 10003 0
                rich 4 -1           | ffffffff f 20 1000 0 0 400 10003 0
                rich 5 32           | 20 3 - 100 0 0 500 - -
                rich 6 32           | 20 1 - 10000 0 0 600 - -
                rich 7 32           | 20 3 - 1000 0 0 700 - -
                rich 8 32           | EINVAL
                rich 9 32           | EINVAL
                rich -1 32          | EINVAL
                vf 4 40             | 28 f 20 1000 0 0 400 10003 0
                vf 6 32             | 20 0 - 0 0 0 600 - -
                vf 7 32             | 20 3 - 1000 0 0 700 - -
                poor 0 32           | 20 0 - 0 0 0 0 - -
                poor 1 32           | 20 7 - 100 0 0 100 - -
                poor 6 32           | 20 0 - 0 0 0 600 - -
                poor 7 64           | 40 3 - 100 0 0 700 - -
                mtty1 0 32          | 20 3 - 8 0 0 0 - -
                mtty1 1 32          | 20 3 - 0 0 0 100 - -
                mtty2 1 64          | 40 3 - 8 0 0 100 - -
                mtty2 2 32          | 20 3 - 0 0 0 200 - -
                mtty2 7 32          | 20 3 - ff 0 0 700 - -
                mtty2 8 32          | 20 3 - 0 0 0 800 - -
                mtty2 9 32          | EINVAL
                mtty2 -1 32         | EINVAL
                mtty2 0 31          | EINVAL
                mdpy 0 32           | 20 7 - 200000 0 1000 0 - -
                mdpy 1 32           | 20 0 - 0 0 0 0 - -
                mdpy 7 32           | 20 3 - ff 0 0 0 - -
                mdpy 9 32           | EINVAL
                mdpy 16 32          | 20 7 - 200000 0 1000 0 - -
                """);
    }

    @ParameterizedTest(name = "{0}: device, index, argsz {1}: {2}")
    @MethodSource("regions")
    void aRegionIsDescribed(KernelProfile kernel, String question, String expected) {
        String[] words = question.split(" ", -1);
        Program program = machine(kernel);
        int fd = open(program, words[0]);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, 64, Integer.parseInt(words[2]), Integer.parseInt(words[1]));
            int result = program.process().ioctl(fd, VFIO_DEVICE_GET_REGION_INFO(), argument);
            String header = words(argument, 0, 2);
            assertThat(result == 0 ? header + ' ' + words(argument, 3, 10) : answer(result)).isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void aRegionNeedsMappedMemory(KernelProfile kernel) {
        Program program = machine(kernel);
        int fd = open(program, "rich");
        try (Arena arena = Arena.ofConfined()) {
            assertThat(answer(program.ioctl(fd, VFIO_DEVICE_GET_REGION_INFO()))).isEqualTo("EFAULT");
            assertThat(answer(program.process().ioctl(fd, VFIO_DEVICE_GET_REGION_INFO(), argument(arena, 31, 8, 0))))
                    .isEqualTo("EFAULT");
            assertThat(answer(program.process().ioctl(fd, VFIO_DEVICE_GET_REGION_INFO(), argument(arena, 39, 40, 4))))
                    .isEqualTo("EFAULT");
            assertThat(answer(program.ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO()))).isEqualTo("EFAULT");
        }
    }

    private static Stream<Arguments> interrupts() {
        // device, index, argsz | flags and count, or the errno
        return Tables.byKernel("""
                rich 0 16   | 7 1    | 7 1    | 7 1    | 7 1
                rich 1 16   | 9 8    | 9 8    | 9 8    | 9 8
                rich 2 16   | 9 5    | 9 5    | 1 5    | 1 5
                rich 3 16   | 9 1    | 9 1    | 9 1    | 9 1
                rich 4 16   | 9 1    | 9 1    | 9 1    | 9 1
                rich 5 16   | EINVAL | EINVAL | EINVAL | EINVAL
                rich -1 16  | EINVAL | EINVAL | EINVAL | EINVAL
                rich 0 15   | EINVAL | EINVAL | EINVAL | EINVAL
                rich 0 -1   | 7 1    | 7 1    | 7 1    | 7 1
                vf 0 16     | 7 0    | 7 0    | 7 0    | 7 0
                vf 2 16     | 9 5    | 9 5    | 1 5    | 1 5
                vf 3 16     | 9 1    | 9 1    | 9 1    | 9 1
                poor 0 16   | 7 0    | 7 0    | 7 0    | 7 0
                poor 1 16   | 9 0    | 9 0    | 9 0    | 9 0
                poor 3 16   | EINVAL | EINVAL | EINVAL | EINVAL
                poor 4 16   | 9 1    | 9 1    | 9 1    | 9 1
                mtty1 0 16  | 7 1    | 7 1    | 7 1    | 7 1
                mtty1 1 16  | 9 1    | 9 1    | 9 1    | 9 1
                mtty1 2 16  | EINVAL | EINVAL | EINVAL | EINVAL
                mtty1 3 16  | EINVAL | EINVAL | EINVAL | EINVAL
                mtty1 4 16  | 9 1    | 9 1    | EINVAL | EINVAL
                mtty1 5 16  | EINVAL | EINVAL | EINVAL | EINVAL
                mtty1 0 15  | EINVAL | EINVAL | EINVAL | EINVAL
                mdpy 0 16   | - 0    | - 0    | - 0    | - 0
                mdpy 4 16   | - 0    | - 0    | - 0    | - 0
                mdpy 5 16   | EINVAL | EINVAL | EINVAL | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: device, index, argsz {1}: {2}")
    @MethodSource("interrupts")
    void anInterruptIsDescribed(KernelProfile kernel, String question, String expected) {
        String[] words = question.split(" ", -1);
        Program program = machine(kernel);
        int fd = open(program, words[0]);
        try (Arena arena = Arena.ofConfined()) {
            program.process().ioctl(fd, VFIO_DEVICE_GET_INFO(), argument(arena, 64, 16, 0));
            MemorySegment argument = argument(arena, 16, Integer.parseInt(words[2]), Integer.parseInt(words[1]));
            int result = program.process().ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO(), argument);
            String given = words(argument, 1, 2) + ' ' + words(argument, 3, 4);
            assertThat(result == 0 ? given : answer(result)).isEqualTo(expected);
        }
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void sampleDevicesHaveInterruptsOnceTheyHaveBeenAskedForTheirNumber(KernelProfile kernel) {
        Program program = machine(kernel);
        for (String name : MDEVS.keySet()) {
            int fd = open(program, name);
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment argument = argument(arena, 64, 64, 0);
                assertThat(answer(program.process().ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO(), argument)))
                        .isEqualTo("EINVAL");
                assertThat(answer(program.process().ioctl(fd, VFIO_DEVICE_GET_INFO(), argument(arena, 64, 15, 0))))
                        .isEqualTo("EINVAL");
                assertThat(answer(program.process().ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO(), argument)))
                        .isEqualTo("EINVAL");
                program.process().ioctl(fd, VFIO_DEVICE_GET_INFO(), argument(arena, 64, 16, 0));
                assertThat(answer(program.process().ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO(), argument))).isEqualTo("0");
            }
        }
    }

    private static Stream<Arguments> resets() {
        return Tables.onEveryKernel("""
                rich  | 0
                vf    | 0
                poor  | EINVAL
                mtty1 | 0
                mdpy  | 0
                """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("resets")
    void aDeviceIsResetIfItCanBe(KernelProfile kernel, String device, String expected) {
        Program program = machine(kernel);
        assertThat(answer(program.ioctl(open(program, device), VFIO_DEVICE_RESET()))).isEqualTo(expected);
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void aResetLeavesTheToken(KernelProfile kernel) {
        Program program = machine(kernel);
        success(program.ioctl(success(program.device(RICH + " vf_token=" + Program.TOKEN)), VFIO_DEVICE_RESET()));
        program.write(Program.ENABLE_SRIOV, "1");
        program.setNumVfs(RICH, "1");
        int group = program.readyGroup(RICH_VF);
        assertThat(Program.opened(program.deviceFd(group, RICH_VF))).isEqualTo("EACCES");
        assertThat(Program.opened(program.deviceFd(group, RICH_VF + " vf_token=" + Program.TOKEN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void whatIsNotModelledIsSaid(KernelProfile kernel) {
        Program program = machine(kernel);
        int rich = open(program, "rich");
        int mdpy = open(program, "mdpy");
        assertThatThrownBy(() -> program.ioctl(rich, VFIO_DEVICE_IOEVENTFD())).isInstanceOf(NotModelledException.class);
        assertThatThrownBy(() -> program.ioctl(mdpy, VFIO_DEVICE_QUERY_GFX_PLANE()))
                .isInstanceOf(NotModelledException.class);
        assertThat(answer(program.ioctl(rich, VFIO_DEVICE_QUERY_GFX_PLANE()))).isEqualTo("ENOTTY");
    }
}
