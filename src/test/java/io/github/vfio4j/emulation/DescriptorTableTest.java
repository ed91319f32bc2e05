package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.ENABLE_SRIOV;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GET_API_VERSION;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The descriptors of an emulated process, as open(2) and close(2) have them. */
class DescriptorTableTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void everyCallThatMakesADescriptorTakesTheLowestFreeNumber(KernelProfile kernel) {
        Program program = Program.on(kernel);
        assertThat(program.open("/dev/null")).isEqualTo(3);
        assertThat(program.container()).isEqualTo(4);
        assertThat(program.group(PLAIN)).isEqualTo(5);
        assertThat(program.eventfd()).isEqualTo(6);
        assertThat(program.open(ENABLE_SRIOV)).isEqualTo(7);
        program.close(3);
        program.close(6);
        program.close(1);
        assertThat(program.container()).isEqualTo(1);
        assertThat(program.group(PF)).isEqualTo(3);
        success(program.setContainer(5, 4));
        success(program.setIommu(4, 1));
        assertThat(program.deviceFd(5, PLAIN)).isEqualTo(6);
        assertThat(program.deviceFd(5, PLAIN)).isEqualTo(8);
        assertThat(program.process().openDescriptors()).isEqualTo(9);
        assertThat(program.process().openFiles()).containsOnlyKeys(3, 4, 5, 6, 7, 8).containsEntry(4, "/dev/vfio/vfio")
                .containsEntry(6, "device " + PLAIN).containsEntry(7, ENABLE_SRIOV);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aClosedDescriptorIsBad(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int closed = program.container();
        program.close(closed);
        for (int fd : new int[]{closed, -1, 3, 1023, 1024, 1_000_000, Integer.MAX_VALUE, Integer.MIN_VALUE}) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment buffer = arena.allocate(8);
                EmulatedProcess process = program.process();
                assertThat(List.of(answer(process.close(fd)), answer(process.read(fd, buffer)),
                        answer(process.write(fd, buffer)), answer(process.pread(fd, buffer, 0)),
                        answer(process.pwrite(fd, buffer, 0)), answer(program.ioctl(fd, VFIO_GET_API_VERSION()))))
                        .as("descriptor %d", fd).containsOnly("EBADF");
            }
        }
        assertThat(program.process().openDescriptors()).isEqualTo(3);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theTableIsFinite(KernelProfile kernel) {
        Program program = Program.on(Program.machine(kernel).descriptorLimit(10));
        assertThat(IntStream.range(0, 10).mapToObj(i -> answer(program.open("/dev/null")))).containsExactly("3", "4",
                "5", "6", "7", "8", "9", "EMFILE", "EMFILE", "EMFILE");
        assertThat(program.process().openDescriptors()).isEqualTo(10);
        program.close(7);
        program.close(0);
        assertThat(program.container()).isZero();
        assertThat(program.eventfd()).isEqualTo(7);
        assertThat(opened(program.process().eventfd(0, 0))).isEqualTo("EMFILE");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void thereAre1024DescriptorsUnlessAskedOtherwise(KernelProfile kernel) {
        Program program = Program.on(kernel);
        program.useUpDescriptors();
        assertThat(program.process().openDescriptors()).isEqualTo(1024);
    }

    /** open(2) looks for a number before it looks for the file. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aFullTableComesBeforeAllThatIsWrongWithAPath(KernelProfile kernel) {
        EmulatedKernel machine = Program.machine(kernel).build();
        Program program = Program.on(machine);
        Program unprivileged = new Program(machine, machine.newUnprivilegedProcess());
        String path = program.groupPath(PLAIN);
        success(program.open(path));
        program.useUpDescriptors();
        unprivileged.useUpDescriptors();
        assertThat(opened(program.open(path))).as("busy").isEqualTo("EMFILE");
        assertThat(opened(program.open("/nowhere"))).as("missing").isEqualTo("EMFILE");
        assertThat(opened(unprivileged.open(path))).as("forbidden").isEqualTo("EMFILE");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void anOpeningThatFailsTakesNothing(KernelProfile kernel) {
        EmulatedKernel machine = Program.machine(kernel).build();
        Program program = Program.on(machine);
        String path = program.groupPath(PLAIN);
        program.useUpDescriptors();
        assertThat(opened(program.open(path))).isEqualTo("EMFILE");
        assertThat(opened(program.open("/dev/vfio/vfio"))).isEqualTo("EMFILE");
        assertThat(opened(program.process().eventfd(0, 0))).isEqualTo("EMFILE");
        // The group was not taken by the attempt.
        Program other = Program.on(machine);
        int group = success(other.open(path));
        other.close(group);
        program.close(17);
        assertThat(opened(program.open("/nowhere"))).isEqualTo("ENOENT");
        assertThat(opened(program.open("/dev/vfio/99"))).isEqualTo("ENOENT");
        assertThat(program.open(path)).isEqualTo(17);
        assertThat(opened(other.open(path))).isEqualTo("EBUSY");
        assertThat(other.process().openDescriptors()).isEqualTo(3);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void processesHaveTablesOfTheirOwn(KernelProfile kernel) {
        Program one = Program.on(kernel);
        Program other = Program.on(one.kernel());
        int fd = one.container();
        assertThat(answer(other.ioctl(fd, VFIO_GET_API_VERSION()))).isEqualTo("EBADF");
        assertThat(other.container()).isEqualTo(fd);
        one.close(fd);
        assertThat(answer(other.ioctl(fd, VFIO_GET_API_VERSION()))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theStandardDescriptorsLeadNowhere(KernelProfile kernel) {
        Program program = Program.on(kernel);
        for (int fd = 0; fd < 3; fd++) {
            assertThat(program.readEventfd(fd)).as("an empty read leaves the buffer").isEqualTo("0");
            assertThat(program.write(fd, new byte[100])).isEqualTo(100);
            assertThat(answer(program.ioctl(fd, VFIO_GET_API_VERSION()))).isEqualTo("ENOTTY");
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theEndOfAProcessClosesEverything(KernelProfile kernel) {
        Program program = Program.on(kernel);
        Program other = Program.on(program.kernel());
        success(program.device(PLAIN));
        int device = success(program.device(PF));
        String path = program.groupPath(PLAIN);
        assertThat(opened(other.open(path))).isEqualTo("EBUSY");
        program.process().close();
        assertThat(program.process().openDescriptors()).isZero();
        assertThat(answer(program.feature(device, 1 << 18, 8))).isEqualTo("EBADF");
        assertThat(opened(other.open(path))).isEqualTo("fd");
        assertThat(opened(other.open(other.groupPath(PF)))).isEqualTo("fd");
    }

    /** The fourth access mode is neither reading nor writing: ioctls only (open(2)). */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theFourthModeIsForRequestsOnly(KernelProfile kernel) {
        Program program = Program.on(kernel);
        for (String path : List.of("/dev/null", "/dev/vfio/vfio", program.groupPath(PLAIN))) {
            int fd = success(program.process().open(path, 3));
            assertThat(program.readEventfd(fd)).as(path).isEqualTo("EBADF");
            assertThat(program.writeEventfd(fd, 1)).as(path).isEqualTo("EBADF");
        }
        assertThat(answer(program.ioctl(4, VFIO_GET_API_VERSION()))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void accessFollowsTheModeOfOpening(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int readOnly = success(program.process().open(ENABLE_SRIOV, 0));
        int writeOnly = success(program.process().open(ENABLE_SRIOV, 1));
        assertThat(answer(program.write(readOnly, (byte) '1'))).isEqualTo("EBADF");
        try (Arena arena = Arena.ofConfined()) {
            assertThat(answer(program.process().read(writeOnly, arena.allocate(8)))).isEqualTo("EBADF");
            assertThat(answer(program.process().pread(writeOnly, arena.allocate(8), 0))).isEqualTo("EBADF");
        }
        assertThat(answer(program.write(writeOnly, (byte) '1'))).isEqualTo("1");
    }

    /** What a call is handed and can't use it lets go of: the device's end is then its last descriptor's. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aCallKeepsNothingOfADescriptorThatItRefuses(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        int group = program.group(PF);
        assertThat(opened(program.setContainer(group, device))).isIn("EINVAL", "EBADFD");
        program.close(device);
        assertThat(opened(program.open(program.groupPath(PLAIN)))).as("nobody has it any more").isEqualTo("fd");
    }

    @ParameterizedTest
    @ValueSource(strings = {"6.12", "7.2"})
    void neitherDoesTheBindingOfADevice(String kernel) {
        Program program = Program.on(KernelProfile.of(kernel).withCdev());
        int bound = Cdevs.device(program, PLAIN);
        int other = Cdevs.open(program, PF);
        assertThat(opened(Cdevs.bind(program, other, bound, Program.TOKEN))).isIn("EINVAL", "EBADF", "EBADFD");
        assertThat(opened(program.open(program.groupPath(PLAIN)))).as("in use").isEqualTo("EBUSY");
        program.close(bound);
        assertThat(opened(program.open(program.groupPath(PLAIN)))).as("nobody has it any more").isEqualTo("fd");
    }
}
