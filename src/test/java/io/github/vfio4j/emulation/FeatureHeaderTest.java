package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * VFIO_DEVICE_FEATURE before a feature gets to work: header, dispatch, operations and data size (semantics §A.2 to §A.5,
 * §F.2, §F.3).
 */
class FeatureHeaderTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";

    private static final int GET = 1 << 16;
    private static final int SET = 1 << 17;
    private static final int PROBE = 1 << 18;

    /** In the order of the matrix's columns. */
    private static final int[] OPERATIONS = {PROBE, PROBE | GET, PROBE | SET, PROBE | GET | SET, 0, GET, SET,
            GET | SET};

    private static final int LOW_POWER_EXIT = 5;

    private static Stream<Arguments> headers() {
        // bytes mapped | argsz | flags | answer
        return Tables.onEveryKernel("""
                0  | 8          | 0x00040000 | EFAULT
                1  | 8          | 0x00040000 | EFAULT
                4  | 8          | 0x00040000 | EFAULT
                4  | 7          | 0x00040000 | EFAULT
                7  | 8          | 0x00040000 | EFAULT
                7  | 0          | 0xffffffff | EFAULT
                8  | 0          | 0x00040000 | EINVAL
                8  | 1          | 0x00040000 | EINVAL
                8  | 7          | 0x00040000 | EINVAL
                8  | 7          | 0x00070000 | EINVAL
                8  | 7          | 0x0004ffff | EINVAL
                8  | 8          | 0x00040000 | 0
                8  | 9          | 0x00040000 | 0
                8  | 4096       | 0x00040000 | 0
                8  | 2147483648 | 0x00040000 | 0
                8  | 4294967295 | 0x00040000 | 0
                8  | 8          | 0x00060000 | 0
                8  | 8          | 0x0004ffff | ENOTTY
                8  | 8          | 0x00030000 | EINVAL
                64 | 64         | 0x00030000 | EINVAL
                8  | 8          | 0x0003ffff | EINVAL
                8  | 8          | 0x0003000d | EINVAL
                8  | 8          | 0x00000000 | EINVAL
                8  | 8          | 0x0000ffff | ENOTTY
                8  | 8          | 0x00080000 | EINVAL
                8  | 8          | 0x000c0000 | EINVAL
                8  | 8          | 0x000cffff | EINVAL
                8  | 8          | 0x00140000 | EINVAL
                8  | 8          | 0x00240000 | EINVAL
                8  | 8          | 0x00440000 | EINVAL
                8  | 8          | 0x00840000 | EINVAL
                8  | 8          | 0x01040000 | EINVAL
                8  | 8          | 0x02040000 | EINVAL
                8  | 8          | 0x04040000 | EINVAL
                8  | 8          | 0x08040000 | EINVAL
                8  | 8          | 0x10040000 | EINVAL
                8  | 8          | 0x20040000 | EINVAL
                8  | 8          | 0x40040000 | EINVAL
                8  | 8          | 0x80040000 | EINVAL
                64 | 64         | 0x80020000 | EINVAL
                8  | 8          | 0xffffffff | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: {1} bytes, argsz {2}, flags {3}: {4}")
    @MethodSource("headers")
    void theHeaderComesFirst(KernelProfile kernel, int mapped, long argsz, String flags, String answer) {
        Program program = Program.on(kernel);
        int device = success(program.device(PF));
        assertThat(request(program, device, mapped, (int) argsz, Long.decode(flags).intValue())).isEqualTo(answer);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aMalformedHeaderIsInvalidWhateverTheFeature(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        for (int device : devices(program)) {
            for (int index : new int[]{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0x7fff, 0x8000, 0xffff}) {
                for (int operations : OPERATIONS) {
                    for (int argsz = 0; argsz < 8; argsz++) {
                        assertThat(request(program, device, 64, argsz, index | operations)).isEqualTo("EINVAL");
                    }
                    for (int bit = 19; bit < 32; bit++) {
                        assertThat(request(program, device, 64, 64, index | operations | 1 << bit)).isEqualTo("EINVAL");
                        assertThat(request(program, device, 8, 8, index | operations | 1 << bit)).isEqualTo("EINVAL");
                    }
                }
                assertThat(request(program, device, 64, 64, index | GET | SET)).isEqualTo("EINVAL");
            }
            assertThat(answer(program.ioctl(device, VFIO_DEVICE_FEATURE()))).isEqualTo("EFAULT");
            assertThat(answer(program.ioctl(device, VFIO_DEVICE_FEATURE(), 0x1000))).isEqualTo("EFAULT");
        }
    }

    /** The matrix of §F.3: argsz 64 / argsz 8 where the two differ, zeros as data. */
    private static Stream<Arguments> matrix() {
        // kernel | device | features | P | PG | PS | PGS | none | G | S | GS
        String table = """
                5.7  | PF | 0            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0/EINVAL | EINVAL
                5.7  | PF | 1-14,65535   | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY   | EINVAL
                5.7  | VF | 0-14,65535   | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY   | EINVAL
                6.1  | PF | 0            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0/EINVAL | EINVAL
                6.1  | PF | 3,5          | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0        | EINVAL
                6.1  | PF | 4            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                6.1  | PF | 1-2,6-14,65535 | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | EINVAL
                6.1  | VF | 3,5          | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0        | EINVAL
                6.1  | VF | 4            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                6.1  | VF | 0-2,6-14,65535 | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | EINVAL
                6.12 | PF | 0            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0/EINVAL | EINVAL
                6.12 | PF | 3,5          | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0        | EINVAL
                6.12 | PF | 4            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                6.12 | PF | 1-2,6-14,65535 | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | EINVAL
                6.12 | VF | 3,5          | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0        | EINVAL
                6.12 | VF | 4            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                6.12 | VF | 0-2,6-14,65535 | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | EINVAL
                7.2  | PF | 0            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0/EINVAL | EINVAL
                7.2  | PF | 3,5          | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0        | EINVAL
                7.2  | PF | 4            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                7.2  | PF | 11           | 0      | 0      | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                7.2  | PF | 12           | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                7.2  | PF | 1-2,6-10,13-14,65535 | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | EINVAL
                7.2  | VF | 3,5          | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | 0        | EINVAL
                7.2  | VF | 4            | 0      | EINVAL | 0      | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                7.2  | VF | 11           | 0      | 0      | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                7.2  | VF | 12           | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL   | EINVAL
                7.2  | VF | 0-2,6-10,13-14,65535 | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | ENOTTY | EINVAL
                """;
        // A plain function is like a virtual one.
        return Tables.rows(table).flatMap(row -> {
            Stream<String> devices = row.get(1).equals("PF") ? Stream.of(PF) : Stream.of(VF, PLAIN);
            return devices.map(device -> Arguments.of(row.get(0), device, row.get(2), row.subList(3, row.size())));
        });
    }

    @ParameterizedTest(name = "Linux {0}, {1}, features {2}")
    @MethodSource("matrix")
    void aFeatureHasItsOperations(String version, String name, String features, List<String> answers) {
        Program program = Program.withVirtualFunctions(KernelProfile.of(version));
        int device = success(program.device(name + (name.equals(VF) ? " vf_token=" + TOKEN : "")));
        for (int feature : numbers(features)) {
            for (int argsz : new int[]{64, 8}) {
                assertThat(Arrays.stream(OPERATIONS).mapToObj(operations -> {
                    // As if freshly opened.
                    program.feature(device, LOW_POWER_EXIT | SET, 8);
                    return request(program, device, 64, argsz, feature | operations);
                })).as("feature %d, argsz %d", feature, argsz).containsExactlyElementsOf(answers.stream().map(
                        answer -> argsz == 64 ? answer.split("/", -1)[0] : answer.substring(answer.indexOf('/') + 1))
                        .toList());
            }
        }
    }

    private static Stream<Arguments> sizes() {
        // flags | argsz | bytes of data mapped, zeros | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                0x20000 | 8          | 16 | EINVAL | EINVAL | EINVAL | EINVAL
                0x20000 | 23         | 16 | EINVAL | EINVAL | EINVAL | EINVAL
                0x20000 | 23         | 0  | EINVAL | EINVAL | EINVAL | EINVAL
                0x20000 | 24         | 16 | 0      | 0      | 0      | 0
                0x20000 | 24         | 56 | 0      | 0      | 0      | 0
                0x20000 | 24         | 15 | EFAULT | EFAULT | EFAULT | EFAULT
                0x20000 | 24         | 0  | EFAULT | EFAULT | EFAULT | EFAULT
                0x20000 | 64         | 16 | 0      | 0      | 0      | 0
                0x20000 | 2147483648 | 16 | 0      | 0      | 0      | 0
                0x20000 | 4294967295 | 16 | 0      | 0      | 0      | 0
                0x20000 | 4294967295 | 15 | EFAULT | EFAULT | EFAULT | EFAULT
                0x20003 | 8          | 0  | ENOTTY | 0      | 0      | 0
                0x20003 | 4294967295 | 0  | ENOTTY | 0      | 0      | 0
                0x20005 | 8          | 0  | ENOTTY | 0      | 0      | 0
                0x20005 | 4294967295 | 0  | ENOTTY | 0      | 0      | 0
                0x20004 | 15         | 8  | ENOTTY | EINVAL | EINVAL | EINVAL
                0x20004 | 15         | 0  | ENOTTY | EINVAL | EINVAL | EINVAL
                0x20004 | 16         | 7  | ENOTTY | EFAULT | EFAULT | EFAULT
                0x20004 | 16         | 0  | ENOTTY | EFAULT | EFAULT | EFAULT
                0x20004 | 4294967295 | 7  | ENOTTY | EFAULT | EFAULT | EFAULT
                0x1000b | 23         | 0  | ENOTTY | ENOTTY | ENOTTY | EINVAL
                0x1000b | 24         | 0  | ENOTTY | ENOTTY | ENOTTY | EFAULT
                0x1000b | 24         | 15 | ENOTTY | ENOTTY | ENOTTY | EFAULT
                0x1000b | 24         | 16 | ENOTTY | ENOTTY | ENOTTY | EINVAL
                0x1000d | 24         | 0  | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x2000c | 8          | 0  | ENOTTY | ENOTTY | ENOTTY | EINVAL
                """);
    }

    /** Only the bytes a feature needs are looked at; argsz is a claim that nobody compares with what is mapped (§0.2). */
    @ParameterizedTest(name = "{0}: flags {1}, argsz {2}, {3} bytes of data: {4}")
    @MethodSource("sizes")
    void argszIsAClaim(KernelProfile kernel, String flags, long argsz, int data, String answer) {
        Program program = Program.on(kernel);
        int device = success(program.device(PF));
        assertThat(request(program, device, 8 + data, (int) argsz, Integer.decode(flags))).isEqualTo(answer);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void noUnknownFeatureIsThere(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.device(PF));
        for (int index = 13; index <= 0xffff; index += index < 64 ? 1 : 97) {
            assertThat(answer(program.feature(device, index | PROBE, 8))).as("%d", index).isEqualTo("ENOTTY");
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void everyDescriptorOfADeviceAnswers(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PF);
        int first = success(program.deviceFd(group, PF));
        int second = success(program.deviceFd(group, PF));
        program.close(group);
        program.close(first);
        assertThat(opened(program.feature(second, PROBE, 8))).isEqualTo("fd");
        assertThat(answer(program.feature(first, PROBE, 8))).isEqualTo("EBADF");
    }

    private static int[] devices(Program program) {
        return new int[]{success(program.device(PF + " vf_token=" + TOKEN)),
                success(program.device(VF + " vf_token=" + TOKEN)), success(program.device(PLAIN))};
    }

    /** A request with zeros as data. None of the features here writes to the caller's memory, the header least of all. */
    private static String request(Program program, int device, int mapped, int argsz, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment whole = arena.allocate(64);
            whole.set(JAVA_INT, 0, argsz);
            whole.set(JAVA_INT, 4, flags);
            byte[] before = whole.toArray(JAVA_BYTE);
            int result = program.process().ioctl(device, VFIO_DEVICE_FEATURE(), whole.asSlice(0, mapped));
            assertThat(whole.toArray(JAVA_BYTE)).isEqualTo(before);
            return answer(result);
        }
    }

    /** Numbers and ranges of them, with commas between. */
    private static List<Integer> numbers(String text) {
        List<Integer> numbers = new ArrayList<>();
        for (String part : text.split(",", -1)) {
            String[] ends = part.split("-", -1);
            IntStream.rangeClosed(Integer.parseInt(ends[0]), Integer.parseInt(ends[ends.length - 1]))
                    .forEach(numbers::add);
        }
        return numbers;
    }
}
