package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_PCI_HOT_RESET;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET, request by request (vfio_pci_core.c). */
class HotResetRequestTest {

    private static final String FIRST = "0001:05:03.0";
    private static final String SECOND = "0001:05:1f.7";
    private static final String ON_ROOT_BUS = "0001:00:05.0";
    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";

    private static final int FILL = 0x5a5a_5a5a;

    /** Two functions on one bus, and others elsewhere: on a bus of the same number, on the next, and on the first one. */
    private static final class Machine {

        private final Program program;
        private final int groupOfFirst;
        private final int groupOfSecond;
        private final int first;
        private final int second;
        private final int onRootBus;

        Machine(KernelProfile kernel) {
            program = Program.on(
                    EmulatedKernel.builder(kernel).pciFunction(FIRST, function -> function.group(7).memoryBar(0, 4096))
                            .pciFunction(SECOND, function -> function.group(8).memoryBar(0, 4096))
                            .pciFunction(ON_ROOT_BUS, function -> function.group(9))
                            .pciFunction("0000:05:03.0", function -> function.group(10))
                            .pciFunction("0001:06:03.0", function -> function.group(11)));
            groupOfFirst = program.readyGroup(FIRST);
            groupOfSecond = program.readyGroup(SECOND);
            first = success(program.deviceFd(groupOfFirst, FIRST));
            second = success(program.deviceFd(groupOfSecond, SECOND));
            onRootBus = program.device(ON_ROOT_BUS);
        }

        int device(String name) {
            return name.equals("bus") ? first : onRootBus;
        }

        /** A descriptor by the letter that it has in the tables. */
        int fd(String letter) {
            return switch (letter) {
                case "1" -> groupOfFirst;
                case "2" -> groupOfSecond;
                case "d" -> second;
                case "n" -> program.open("/dev/null");
                case "x" -> 999;
                default -> Integer.parseInt(letter);
            };
        }

        void put(int device, int value) {
            try (Arena arena = Arena.ofConfined()) {
                assertThat(program.process().pwrite(device, arena.allocateFrom(JAVA_INT_UNALIGNED, value), 0))
                        .isEqualTo(4);
            }
        }

        int get(int device) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment buffer = arena.allocate(4);
                assertThat(program.process().pread(device, buffer, 0)).isEqualTo(4);
                return buffer.get(JAVA_INT_UNALIGNED, 0);
            }
        }
    }

    private static Stream<Arguments> information() {
        // device, argsz, bytes mapped | answer, then the words from the second on as far as they are written
        String devices = "0 0 2 7 18050001 8 ff050001";
        return Tables.byKernel("""
                bus 64 11   | EFAULT         | EFAULT         | EFAULT         | EFAULT
                bus 11 64   | EINVAL         | EINVAL         | EINVAL         | EINVAL
                bus 0 64    | EINVAL         | EINVAL         | EINVAL         | EINVAL
                bus 12 12   | ENOSPC 0 2     | ENOSPC 0 2     | ENOSPC 0 2     | ENOSPC 0 2
                bus 27 64   | ENOSPC 0 2     | ENOSPC 0 2     | ENOSPC 0 2     | ENOSPC 0 2
                bus 28 28   | DEVICES        | DEVICES        | DEVICES        | DEVICES
                bus 28 64   | DEVICES        | DEVICES        | DEVICES        | DEVICES
                bus -1 64   | DEVICES        | DEVICES        | DEVICES        | DEVICES
                bus 28 27   | EFAULT 0 2     | EFAULT 0 2     | EFAULT         | EFAULT
                bus 28 12   | EFAULT 0 2     | EFAULT 0 2     | EFAULT         | EFAULT
                root 64 11  | EFAULT         | EFAULT         | EFAULT         | EFAULT
                root 11 64  | EINVAL         | EINVAL         | EINVAL         | EINVAL
                root 12 64  | ENODEV         | ENODEV         | ENODEV         | ENODEV
                """.replace("DEVICES", devices));
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("information")
    void whoIsReachedIsTold(KernelProfile kernel, String request, String expected) {
        Machine machine = new Machine(kernel);
        String[] parts = request.split(" ", -1);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(64).fill((byte) FILL);
            memory.set(JAVA_INT_UNALIGNED, 0, Integer.parseInt(parts[1]));
            int result = machine.program.process().ioctl(machine.device(parts[0]), VFIO_DEVICE_GET_PCI_HOT_RESET_INFO(),
                    memory.asSlice(0, Integer.parseInt(parts[2])));
            StringBuilder given = new StringBuilder(answer(result));
            int[] words = memory.asSlice(4).toArray(JAVA_INT_UNALIGNED);
            int written = 0;
            while (written < words.length && words[written] != FILL) {
                given.append(' ').append(Integer.toHexString(words[written++]));
            }
            assertThat(given).hasToString(expected);
            assertThat(Arrays.stream(words).skip(written)).as("beyond").containsOnly(FILL);
            assertThat(memory.get(JAVA_INT_UNALIGNED, 0)).as("argsz").isEqualTo(Integer.parseInt(parts[1]));
        }
    }

    private static Stream<Arguments> resets() {
        // device, argsz, flags, count, bytes mapped, descriptors | answer
        return Tables.byKernel("""
                bus 12 0 2 11 1 2   | EFAULT | EFAULT | EFAULT | EFAULT
                bus 11 0 2 64 1 2   | EINVAL | EINVAL | EINVAL | EINVAL
                bus 0 0 2 64 1 2    | EINVAL | EINVAL | EINVAL | EINVAL
                bus 20 1 2 64 1 2   | EINVAL | EINVAL | EINVAL | EINVAL
                bus 12 0 0 64       | EINVAL | EINVAL | EINVAL | EINVAL
                bus 64 0 3 64 1 2 1 | EINVAL | EINVAL | EINVAL | EINVAL
                bus 64 0 -1 64 1 2  | EINVAL | EINVAL | EINVAL | EINVAL
                bus 20 0 2 19 1 2   | EFAULT | EFAULT | EFAULT | EFAULT
                bus 20 0 2 12 1 2   | EFAULT | EFAULT | EFAULT | EFAULT
                bus 20 0 2 20 1 x   | EBADF  | EBADF  | EBADF  | EBADF
                bus 20 0 2 20 x n   | EBADF  | EBADF  | EBADF  | EBADF
                bus 20 0 2 20 1 -1  | EBADF  | EBADF  | EBADF  | EBADF
                bus 20 0 2 20 1 n   | EINVAL | EINVAL | EINVAL | EINVAL
                bus 20 0 2 20 1 d   | EINVAL | EINVAL | EINVAL | EINVAL
                bus 16 0 1 16 1     | EINVAL | EINVAL | EINVAL | EINVAL
                bus 16 0 1 16 2     | EINVAL | EINVAL | EINVAL | EINVAL
                bus 20 0 2 20 1 1   | EINVAL | EINVAL | EINVAL | EINVAL
                bus 20 0 2 20 1 2   | 0      | 0      | 0      | 0
                bus 20 0 2 20 2 1   | 0      | 0      | 0      | 0
                bus 12 0 2 20 1 2   | 0      | 0      | 0      | 0
                bus -1 0 2 64 1 2   | 0      | 0      | 0      | 0
                root 16 0 1 16 1    | ENODEV | ENODEV | ENODEV | ENODEV
                root 12 0 0 12      | ENODEV | ENODEV | EINVAL | EINVAL
                root 11 0 1 16 1    | EINVAL | EINVAL | EINVAL | EINVAL
                """);
    }

    /** All groups that are reached have to be named; memory is as it was unless all is well. */
    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("resets")
    void whoeverNamesAllGroupsResetsTheBus(KernelProfile kernel, String request, String expected) {
        Machine machine = new Machine(kernel);
        machine.put(machine.first, 1);
        machine.put(machine.second, 2);
        String[] parts = request.split(" ", -1);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(64);
            memory.set(JAVA_INT_UNALIGNED, 0, Integer.parseInt(parts[1]));
            memory.set(JAVA_INT_UNALIGNED, 4, Integer.parseInt(parts[2]));
            memory.set(JAVA_INT_UNALIGNED, 8, Integer.parseInt(parts[3]));
            for (int i = 5; i < parts.length; i++) {
                memory.set(JAVA_INT_UNALIGNED, 12 + 4L * (i - 5), machine.fd(parts[i]));
            }
            byte[] before = memory.toArray(JAVA_BYTE);
            assertThat(answer(machine.program.process().ioctl(machine.device(parts[0]), VFIO_DEVICE_PCI_HOT_RESET(),
                    memory.asSlice(0, Integer.parseInt(parts[4]))))).isEqualTo(expected);
            assertThat(memory.toArray(JAVA_BYTE)).isEqualTo(before);
        }
        boolean reset = expected.equals("0");
        assertThat(List.of(machine.get(machine.first), machine.get(machine.second)))
                .isEqualTo(reset ? List.of(0, 0) : List.of(1, 2));
    }

    /** Functions that sleep are awake afterwards, those too that have to be reset with their bus. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aResetWakes(KernelProfile kernel) {
        Machine machine = new Machine(kernel);
        long config = 7L << 40;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment power = arena.allocate(2);
            for (int device : new int[]{machine.first, machine.second}) {
                assertThat(machine.program.process().pwrite(device, power.fill((byte) 3), config + 0x44)).isEqualTo(2);
                assertThat(machine.program.process().pread(device, power, config + 0x44)).isEqualTo(2);
                assertThat(power.get(JAVA_BYTE, 0) & 3).isEqualTo(3);
            }
            success(machine.program.process().ioctl(machine.first, VFIO_DEVICE_PCI_HOT_RESET(),
                    Cdevs.words(arena, 20, 0, 2, machine.groupOfFirst, machine.groupOfSecond)));
            for (int device : new int[]{machine.first, machine.second}) {
                assertThat(machine.program.process().pread(device, power, config + 0x44)).isEqualTo(2);
                assertThat(power.get(JAVA_BYTE, 0) & 3).isZero();
            }
        }
    }

    /** A request keeps no group open. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aResetKeepsNothing(KernelProfile kernel) {
        Machine machine = new Machine(kernel);
        for (int second : new int[]{machine.groupOfSecond, machine.second}) {
            try (Arena arena = Arena.ofConfined()) {
                machine.program.process().ioctl(machine.first, VFIO_DEVICE_PCI_HOT_RESET(),
                        Cdevs.words(arena, 20, 0, 2, machine.groupOfFirst, second));
            }
        }
        for (int fd : new int[]{machine.groupOfFirst, machine.groupOfSecond, machine.first, machine.second}) {
            machine.program.close(fd);
        }
        assertThat(opened(machine.program.device(FIRST))).isEqualTo("fd");
        assertThat(opened(machine.program.device(SECOND))).isEqualTo("fd");
    }
}
