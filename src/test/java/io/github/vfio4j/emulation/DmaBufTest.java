package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Feature 11, a descriptor for ranges of a BAR, which only Linux 7.2 has (semantics §B.6). */
class DmaBufTest {

    private static final String FUNCTION = "0000:01:00.0";
    private static final int GET = 11 | 1 << 16;
    private static final int PROBE = 11 | 1 << 18;
    private static final int HEADER = 24;
    private static final int RANGE = 16;

    private static Program program(KernelProfile kernel) {
        return Program.on(EmulatedKernel.builder(kernel).pciFunction(FUNCTION,
                function -> function.sriov(1).memoryBar(0, 16384).ioPortBar(2, 4096).memoryBar(4, 4096)));
    }

    private static Stream<Arguments> requests() {
        /*
         * region | flags | number of ranges | ranges | ranges mapped | answer. BAR 0 is 16 KiB of memory, BAR 2 one page
         * of I/O ports, BAR 4 one page of memory; there are no others. The rows are in the order of the checks, each
         * also wrong in what comes later.
         */
        return Tables.rows("""
                0  | 0 | 0          | '0+0x1000'                            | all  | EINVAL
                0  | 0 | 0          | ''                                    | all  | EINVAL
                9  | 0 | 0          | ''                                    | all  | EINVAL
                0  | 1 | 1          | '0+0x1000'                            | all  | EINVAL
                0  | 0x80000000 | 1 | '0+0x1000'                            | all  | EINVAL
                9  | 1 | 1          | '0+0x1000'                            | all  | EINVAL
                1  | 1 | 300000     | ''                                    | all  | EINVAL
                6  | 0 | 1          | '0+0x1000'                            | all  | ENODEV
                7  | 0 | 1          | '0+0x1000'                            | all  | ENODEV
                8  | 0 | 1          | '0+0x1000'                            | all  | ENODEV
                9  | 0 | 1          | '0+0x1000'                            | all  | ENODEV
                0x80000000 | 0 | 1  | '0+0x1000'                            | all  | ENODEV
                0xffffffff | 0 | 1  | '0+0x1000'                            | all  | ENODEV
                6  | 0 | 1          | '0+0'                                 | none | ENODEV
                6  | 0 | 300000     | ''                                    | all  | ENODEV
                1  | 0 | 1          | '0+0x1000'                            | all  | ENODEV
                3  | 0 | 1          | '0+0x1000'                            | all  | ENODEV
                5  | 0 | 1          | '0+1'                                 | none | ENODEV
                5  | 0 | 300000     | ''                                    | all  | ENODEV
                0  | 0 | 262145     | ''                                    | all  | ENOMEM
                0  | 0 | 300000     | ''                                    | all  | ENOMEM
                0  | 0 | 0x10000000 | ''                                    | all  | ENOMEM
                0  | 0 | 0x80000000 | ''                                    | all  | ENOMEM
                0  | 0 | 0xffffffff | ''                                    | all  | ENOMEM
                2  | 0 | 300000     | ''                                    | all  | ENOMEM
                0  | 0 | 262144     | ''                                    | all  | EFAULT
                0  | 0 | 1          | '0+0x1000'                            | none | EFAULT
                0  | 0 | 1          | '0+0'                                 | part | EFAULT
                0  | 0 | 2          | '0+0x1000 0+0x1000'                   | part | EFAULT
                0  | 0 | 2          | '0+0 0+0'                             | part | EFAULT
                0  | 0 | 2          | '0+0x1000'                            | all  | EFAULT
                2  | 0 | 1          | '0+0x1000'                            | none | EFAULT
                0  | 0 | 1          | '0+0'                                 | all  | EINVAL
                0  | 0 | 1          | '0x1000+0'                            | all  | EINVAL
                0  | 0 | 1          | '1+0x1000'                            | all  | EINVAL
                0  | 0 | 1          | '0x800+0x1000'                        | all  | EINVAL
                0  | 0 | 1          | '0+1'                                 | all  | EINVAL
                0  | 0 | 1          | '0+0xfff'                             | all  | EINVAL
                0  | 0 | 1          | '0+0x1001'                            | all  | EINVAL
                0  | 0 | 1          | '0+0x800'                             | all  | EINVAL
                0  | 0 | 2          | '0+0x1000 0x1000+0'                   | all  | EINVAL
                0  | 0 | 2          | '0xfffffffffffff000+0x1000 0+1'       | all  | EINVAL
                0  | 0 | 1          | '0xfffffffffffff001+0x1000'           | all  | EINVAL
                0  | 0 | 2          | '0+0xfffffffffffff000 0+0x1000'       | all  | EINVAL
                0  | 0 | 2          | '0xfffffffffffff000+0x1000 0+0xfffffffffffff000' | all | EINVAL
                0  | 0 | 1          | '0+0x8000000000000000'                | all  | EINVAL
                0  | 0 | 1          | '0xfffffffffffff000+0x8000000000000000' | all | EINVAL
                0  | 0 | 2          | '0xfffffffffffff000+0x4000000000000000 0+0x4000000000000000' | all | EINVAL
                2  | 0 | 1          | '0+0x1000'                            | all  | EINVAL
                2  | 0 | 1          | '0xfffffffffffff000+0x1000'           | all  | EINVAL
                0  | 0 | 1          | '0xfffffffffffff000+0x1000'           | all  | EOVERFLOW
                0  | 0 | 1          | '0x7ffffffffffff000+0x7ffffffffffff000' | all | EOVERFLOW
                0  | 0 | 2          | '0xfffffffffffff000+0x1000 0x4000+0x1000' | all | EOVERFLOW
                0  | 0 | 2          | '0+0x1000 0xfffffffffffff000+0x1000'  | all  | EOVERFLOW
                0  | 0 | 2          | '0x4000+0x1000 0xfffffffffffff000+0x1000' | all | EINVAL
                0  | 0 | 1          | '0x4000+0x1000'                       | all  | EINVAL
                0  | 0 | 1          | '0x3000+0x2000'                       | all  | EINVAL
                0  | 0 | 1          | '0+0x5000'                            | all  | EINVAL
                0  | 0 | 1          | '0+0x7ffffffffffff000'                | all  | EINVAL
                0  | 0 | 2          | '0+0x1000 0+0x5000'                   | all  | EINVAL
                4  | 0 | 1          | '0x1000+0x1000'                       | all  | EINVAL
                0  | 0 | 1          | '0+0x1000'                            | all  | fd
                0  | 0 | 1          | '0+0x4000'                            | all  | fd
                0  | 0 | 1          | '0x3000+0x1000'                       | all  | fd
                4  | 0 | 1          | '0+0x1000'                            | all  | fd
                0  | 0 | 2          | '0+0x1000 0x3000+0x1000'              | all  | fd
                0  | 0 | 3          | '0x2000+0x1000 0+0x4000 0x2000+0x1000' | all | fd
                0  | 0 | 1          | '0+0x1000 0+1'                        | all  | fd
                """).map(row -> Arguments.of(row.toArray()));
    }

    @ParameterizedTest(name = "region {0}, flags {1}, {2} ranges {3}, mapped {4}: {5}")
    @MethodSource("requests")
    void theFirstCheckWins(String region, String flags, String count, String ranges, String mapped, String answer) {
        Program program = program(KernelProfile.LINUX_7_2);
        int device = success(program.device(FUNCTION));
        int before = program.process().openDescriptors();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, region, flags, count, ranges);
            long size = switch (mapped) {
                case "none" -> HEADER;
                case "part" -> argument.byteSize() - 1;
                default -> argument.byteSize();
            };
            byte[] bytes = argument.toArray(JAVA_BYTE);
            // argsz is large enough and no more: the ranges are beyond it.
            argument.set(JAVA_INT, 0, HEADER);
            int result = program.process().ioctl(device, VFIO_DEVICE_FEATURE(), argument.asSlice(0, size));
            assertThat(opened(result)).isEqualTo(answer);
            argument.set(JAVA_INT, 0, argsz(bytes));
            assertThat(argument.toArray(JAVA_BYTE)).as("nothing is written").isEqualTo(bytes);
            result = program.process().ioctl(device, VFIO_DEVICE_FEATURE(), argument.asSlice(0, size));
            assertThat(opened(result)).as("argsz of all ranges").isEqualTo(answer);
        }
        assertThat(program.process().openDescriptors()).isEqualTo(answer.equals("fd") ? before + 2 : before);
    }

    @ParameterizedTest
    @CsvSource({"5.7", "6.1", "6.12"})
    void earlierKernelsDoNotHaveIt(String version) {
        Program program = program(KernelProfile.of(version));
        int device = success(program.device(FUNCTION));
        assertThat(answer(program.feature(device, PROBE, 8))).isEqualTo("ENOTTY");
        assertThat(get(program, device, "0", "0", "1", "0+0x1000")).isEqualTo("ENOTTY");
        assertThat(get(program, device, "9", "1", "0", "")).isEqualTo("ENOTTY");
    }

    @ParameterizedTest
    @CsvSource({"24, EFAULT, 8", "24, EFAULT, 23", "23, EINVAL, 8", "23, EINVAL, 24", "8, EINVAL, 8", "24, EINVAL, 24",
            "4294967295, EINVAL, 24", "4294967295, EFAULT, 23"})
    void theDataIsReadOnceItIsClaimed(long argsz, String answer, int mapped) {
        Program program = program(KernelProfile.LINUX_7_2);
        int device = success(program.device(FUNCTION));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(HEADER);
            argument.set(JAVA_INT, 0, (int) argsz);
            argument.set(JAVA_INT, 4, GET);
            int result = program.process().ioctl(device, VFIO_DEVICE_FEATURE(), argument.asSlice(0, mapped));
            assertThat(answer(result)).isEqualTo(answer);
        }
    }

    @Test
    void theResultIsTheLowestFreeDescriptor() {
        Program program = program(KernelProfile.LINUX_7_2);
        int device = success(program.device(FUNCTION));
        int free = success(program.open("/dev/null"));
        int next = success(program.open("/dev/null")) + 1;
        program.close(free);
        assertThat(get(program, device, "0", "0", "1", "0+0x1000")).isEqualTo(Integer.toString(free));
        assertThat(get(program, device, "0", "0", "1", "0+0x1000")).isEqualTo(Integer.toString(next));
    }

    @Test
    void aFullTableIsFoundLast() {
        Program program = program(KernelProfile.LINUX_7_2);
        int device = success(program.device(FUNCTION));
        program.useUpDescriptors();
        assertThat(answer(program.feature(device, PROBE, 8))).isEqualTo("0");
        assertThat(get(program, device, "0", "0", "1", "0+0x1000")).isEqualTo("EMFILE");
        assertThat(get(program, device, "0", "0", "1", "0x4000+0x1000")).isEqualTo("EINVAL");
        assertThat(get(program, device, "0", "0", "1", "0xfffffffffffff000+0x1000")).isEqualTo("EOVERFLOW");
        assertThat(get(program, device, "6", "0", "1", "0+0x1000")).isEqualTo("ENODEV");
        program.close(5);
        assertThat(get(program, device, "0", "0", "1", "0+0x1000")).isEqualTo("5");
    }

    /** Of open_flags nothing is refused; the access mode reaches the file. */
    @ParameterizedTest
    @CsvSource({"0, EINVAL, EBADF", "1, EBADF, EINVAL", "2, EINVAL, EINVAL", "02004000, EINVAL, EBADF",
            "0x7ffffffe, EINVAL, EINVAL", "-4, EINVAL, EBADF", "3, EBADF, EBADF"})
    void openFlagsAreTakenAsTheyAre(String openFlags, String read, String write) {
        Program program = program(KernelProfile.LINUX_7_2);
        int device = success(program.device(FUNCTION));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, "0", "0", "1", "0+0x1000");
            argument.set(JAVA_INT, 12, Long.decode(openFlags).intValue());
            int buffer = success(program.process().ioctl(device, VFIO_DEVICE_FEATURE(), argument));
            MemorySegment bytes = arena.allocate(8);
            assertThat(answer(program.process().read(buffer, bytes))).isEqualTo(read);
            assertThat(answer(program.process().write(buffer, bytes))).isEqualTo(write);
            assertThat(answer(program.process().pread(buffer, bytes, 0))).isEqualTo("ESPIPE");
            assertThat(answer(program.process().pwrite(buffer, bytes, 0))).isEqualTo("ESPIPE");
            assertThat(answer(program.ioctl(buffer, VFIO_DEVICE_FEATURE()))).isEqualTo("ENOTTY");
        }
    }

    @Test
    void aBufferOutlivesTheDevicesDescriptor() {
        Program program = program(KernelProfile.LINUX_7_2);
        int device = success(program.device(FUNCTION));
        int buffer = Integer.parseInt(get(program, device, "0", "0", "1", "0+0x1000"));
        program.close(device);
        program.close(buffer);
        assertThat(opened(program.open(program.groupPath(FUNCTION)))).isEqualTo("fd");
    }

    @Test
    void aVirtualFunctionHasItToo() {
        Program program = program(KernelProfile.LINUX_7_2);
        success((int) program.write(Program.ENABLE_SRIOV, "1"));
        success((int) program.setNumVfs(FUNCTION, "1"));
        program.close(program.device(FUNCTION + " vf_token=" + TOKEN));
        int device = success(program.device("0000:01:00.1 vf_token=" + TOKEN));
        assertThat(answer(program.feature(device, PROBE, 8))).isEqualTo("0");
        assertThat(get(program, device, "6", "0", "1", "0+0x1000")).isEqualTo("ENODEV");
    }

    private static String get(Program program, int device, String region, String flags, String count, String ranges) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, region, flags, count, ranges);
            return answer(program.process().ioctl(device, VFIO_DEVICE_FEATURE(), argument));
        }
    }

    /** Header, data and ranges, the last written as offset+length with spaces between. */
    private static MemorySegment argument(Arena arena, String region, String flags, String count, String ranges) {
        String[] each = ranges.isEmpty() ? new String[0] : ranges.split(" ", -1);
        MemorySegment argument = arena.allocate(HEADER + (long) RANGE * each.length, 8);
        argument.set(JAVA_INT, 0, (int) argument.byteSize());
        argument.set(JAVA_INT, 4, GET);
        argument.set(JAVA_INT, 8, Long.decode(region).intValue());
        argument.set(JAVA_INT, 16, Long.decode(flags).intValue());
        argument.set(JAVA_INT, 20, Long.decode(count).intValue());
        for (int i = 0; i < each.length; i++) {
            int plus = each[i].indexOf('+');
            argument.set(JAVA_LONG, HEADER + (long) RANGE * i, number(each[i].substring(0, plus)));
            argument.set(JAVA_LONG, HEADER + (long) RANGE * i + 8, number(each[i].substring(plus + 1)));
        }
        return argument;
    }

    private static int argsz(byte[] argument) {
        return MemorySegment.ofArray(argument).get(JAVA_INT.withByteAlignment(1), 0);
    }

    private static long number(String text) {
        return text.startsWith("0x") ? Long.parseUnsignedLong(text.substring(2), 16) : Long.parseLong(text);
    }
}
