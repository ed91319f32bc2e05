package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Cdevs.NOT_OPEN;
import static io.github.vfio4j.emulation.Cdevs.bind;
import static io.github.vfio4j.emulation.Program.OTHER_TOKEN;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.VF2;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.UUID;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** VFIO_DEVICE_BIND_IOMMUFD (semantics §D.6), and the token rule in it (§D.4). */
class BindIommufdTest {

    private static final String CDEV_KERNELS = "io.github.vfio4j.emulation.Tables#cdevKernels";
    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";

    private static Stream<Arguments> arguments() {
        // mapped bytes | argsz | flags | iommufd | where a byte is 1 | 6.12 | 7.2
        return Tables.byCdevKernel("""
                0  | 16 | 0 | good      | -  | EFAULT | EFAULT
                3  | 16 | 0 | good      | -  | EFAULT | EFAULT
                4  | 15 | 0 | good      | -  | EFAULT | EINVAL
                4  | 16 | 0 | good      | -  | EFAULT | EFAULT
                15 | 16 | 0 | good      | -  | EFAULT | EFAULT
                16 | 0  | 0 | good      | -  | EINVAL | EINVAL
                16 | 15 | 0 | good      | -  | EINVAL | EINVAL
                16 | 16 | 0 | good      | -  | 0      | 0
                16 | 17 | 0 | good      | -  | 0      | EFAULT
                20 | 20 | 0 | good      | -  | 0      | 0
                23 | 24 | 0 | good      | -  | 0      | EFAULT
                24 | 24 | 0 | good      | -  | 0      | 0
                24 | 24 | 0 | good      | 16 | 0      | 0
                24 | 25 | 0 | good      | -  | 0      | EFAULT
                25 | 25 | 0 | good      | -  | 0      | 0
                25 | 25 | 0 | good      | 24 | 0      | E2BIG
                32 | 32 | 0 | good      | 31 | 0      | E2BIG
                32 | 31 | 0 | good      | 31 | 0      | 0
                30 | 32 | 0 | good      | 24 | 0      | E2BIG
                32 | -1 | 0 | good      | -  | 0      | EFAULT
                16 | 16 | 1 | good      | -  | EINVAL | EFAULT
                24 | 24 | 1 | good      | -  | EINVAL | EFAULT
                24 | 24 | 1 | good      | 16 | EINVAL | EFAULT
                24 | 24 | 2 | good      | -  | EINVAL | EINVAL
                24 | 24 | 3 | good      | -  | EINVAL | EINVAL
                24 | 24 | 0x80000000 | good | - | EINVAL | EINVAL
                25 | 25 | 2 | good      | 24 | EINVAL | E2BIG
                16 | 16 | 0 | negative  | -  | EINVAL | EINVAL
                24 | 24 | 1 | negative  | -  | EINVAL | EINVAL
                16 | 16 | 0 | not open  | -  | EBADF  | EBADF
                16 | 16 | 0 | no such   | -  | EBADF  | EBADF
                16 | 16 | 0 | null      | -  | EBADFD | EBADFD
                16 | 16 | 0 | container | -  | EBADFD | EBADFD
                16 | 16 | 0 | itself    | -  | EBADFD | EBADFD
                """);
    }

    @ParameterizedTest(name = "{0}: {1} bytes, argsz {2}, flags {3}, {4}, 1 at {5}: {6}")
    @MethodSource("arguments")
    void checksItsArgument(KernelProfile kernel, int mapped, int argsz, String flags, String iommufd, String one,
            String answer) {
        Program program = Program.on(kernel);
        int device = Cdevs.open(program, PF);
        int good = Cdevs.iommufd(program);
        int fd = switch (iommufd) {
            case "good" -> good;
            case "negative" -> -1;
            case "not open" -> NOT_OPEN;
            case "no such" -> Integer.MAX_VALUE;
            case "null" -> program.open("/dev/null");
            case "container" -> program.container();
            default -> device;
        };
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, mapped, argsz, Long.decode(flags).intValue(), fd);
            if (!one.equals("-")) {
                argument.set(JAVA_BYTE, Integer.parseInt(one), (byte) 1);
            }
            byte[] before = argument.toArray(JAVA_BYTE);
            int result = program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), argument);
            assertThat(answer(result)).isEqualTo(answer);
            if (result == 0) {
                before[12] = 1;
            }
            // 4 bytes at 12 on success, the first number of an iommufd; nothing else ever.
            assertThat(argument.toArray(JAVA_BYTE)).isEqualTo(before);
        }
        // Whoever was refused can try again, and there is nothing left behind in the iommufd.
        if (!answer.equals("0")) {
            assertThat(Cdevs.bindForId(program, device, good)).isEqualTo(1);
        }
    }

    private static MemorySegment argument(Arena arena, int mapped, int argsz, int flags, int iommufd) {
        MemorySegment whole = arena.allocate(64, 8);
        whole.copyFrom(MemorySegment.ofArray(new int[]{argsz, flags, iommufd, 0}));
        return arena.allocate(Math.max(1, mapped), 8).asSlice(0, mapped).copyFrom(whole.asSlice(0, mapped));
    }

    private static Stream<Arguments> onGroupDescriptors() {
        // mapped bytes | argsz | flags | iommufd | 6.12 | 7.2
        return Tables.byCdevKernel("""
                0  | 16 | 0 | good     | EFAULT | EFAULT
                4  | 15 | 0 | good     | EFAULT | EINVAL
                16 | 16 | 0 | good     | EINVAL | EINVAL
                16 | 16 | 0 | not open | EINVAL | EINVAL
                24 | 24 | 1 | good     | EINVAL | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: {1} bytes, argsz {2}, flags {3}, {4}: {5}")
    @MethodSource("onGroupDescriptors")
    void isRefusedOnADescriptorFromAGroup(KernelProfile kernel, int mapped, int argsz, int flags, String iommufd,
            String answer) {
        Program program = Program.on(kernel);
        int device = program.device(PLAIN);
        int fd = iommufd.equals("good") ? Cdevs.iommufd(program) : NOT_OPEN;
        try (Arena arena = Arena.ofConfined()) {
            assertThat(answer(program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(),
                    argument(arena, mapped, argsz, flags, fd)))).isEqualTo(answer);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void isUnknownToKernelsBuiltWithout(KernelProfile kernel) {
        for (KernelProfile built : new KernelProfile[]{kernel, kernel.withIommufd()}) {
            Program program = Program.on(built);
            int device = program.device(PLAIN);
            assertThat(answer(bind(program, device, NOT_OPEN))).isEqualTo("ENOTTY");
            assertThat(answer(program.ioctl(device, VFIO_DEVICE_BIND_IOMMUFD()))).isEqualTo("ENOTTY");
        }
    }

    private static Stream<Arguments> twoFaults() {
        // The virtual function's file | its token | the iommufd | 6.12 | 7.2
        return Tables.byCdevKernel("""
                group open    | wrong | not open | EBUSY  | EBUSY
                group open    | right | good     | EBUSY  | EBUSY
                bound already | wrong | not open | EINVAL | EINVAL
                bound already | right | good     | EINVAL | EINVAL
                free          | none  | not open | EBADF  | EACCES
                free          | wrong | not open | EBADF  | EACCES
                free          | wrong | null     | EBADFD | EACCES
                free          | right | not open | EBADF  | EBADF
                free          | right | null     | EBADFD | EBADFD
                free          | wrong | good     | 0      | EACCES
                free          | right | good     | 0      | 0
                bound by another | none  | good     | EINVAL | EACCES
                bound by another | wrong | good     | EINVAL | EACCES
                bound by another | right | good     | EINVAL | EINVAL
                bound by another | right | not open | EBADF  | EBADF
                bound by another | right | null     | EBADFD | EBADFD
                """);
    }

    @ParameterizedTest(name = "{0}: {1}, {2} token, {3} iommufd: {4}")
    @MethodSource("twoFaults")
    void checksInThisOrder(KernelProfile kernel, String state, String token, String iommufd, String answer) {
        Program program = withVirtualFunctions(kernel);
        int good = Cdevs.iommufd(program);
        int device = Cdevs.open(program, VF);
        switch (state) {
            case "group open" -> program.group(VF);
            case "bound already" -> success(bind(program, device, good, TOKEN));
            case "bound by another" -> success(bind(program, Cdevs.open(program, VF), good, TOKEN));
            default -> {
            }
        }
        int fd = switch (iommufd) {
            case "good" -> good;
            case "null" -> program.open("/dev/null");
            default -> NOT_OPEN;
        };
        int before = program.process().openDescriptors();
        assertThat(answer(bind(program, device, fd, token(token)))).isEqualTo(answer);
        assertThat(program.process().openDescriptors()).isEqualTo(before);
    }

    private static @Nullable String token(String name) {
        return switch (name) {
            case "right" -> TOKEN;
            case "wrong" -> OTHER_TOKEN;
            default -> null;
        };
    }

    /** Two virtual functions, and the token TOKEN; the physical function is closed. */
    private static Program withVirtualFunctions(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int physical = Cdevs.device(program, PF);
        assertThat(answer(program.setToken(physical, TOKEN))).isEqualTo("0");
        program.createVirtualFunctions(2);
        program.close(physical);
        return program;
    }

    private static Stream<Arguments> tokenRule() {
        // function | situation | none | right | wrong
        return Tables.rows("""
                virtual  | physical function closed        | EACCES | 0 | EACCES
                virtual  | physical function open          | EACCES | 0 | EACCES
                virtual  | the other virtual function open | EACCES | 0 | EACCES
                physical | nothing else open               | 0      | 0 | 0
                physical | virtual function open           | EACCES | 0 | EACCES
                plain    | nothing else open               | 0      | - | EINVAL
                """).flatMap(row -> Stream.of("none", "right", "wrong").map(token -> Arguments.of(row.get(0),
                row.get(1), token, row.get(token.equals("none") ? 2 : token.equals("right") ? 3 : 4))));
    }

    @ParameterizedTest(name = "{0}, {1}, {2}: {3}")
    @MethodSource("tokenRule")
    void followsTheTokenRuleWhereItTakesTokens(String function, String situation, String token, String answer) {
        for (KernelProfile kernel : Tables.cdevKernels().toList()) {
            Program program = withVirtualFunctions(kernel);
            int iommufd = Cdevs.iommufd(program);
            switch (situation) {
                case "physical function open" -> success(bind(program, Cdevs.open(program, PF), iommufd));
                case "the other virtual function open" ->
                    success(bind(program, Cdevs.open(program, VF2), iommufd, TOKEN));
                case "virtual function open" -> success(bind(program, Cdevs.open(program, VF), iommufd, TOKEN));
                default -> {
                }
            }
            String name = function.equals("virtual") ? VF : function.equals("physical") ? PF : PLAIN;
            int device = Cdevs.open(program, name);
            if (!answer.equals("-")) {
                assertThat(answer(bind(program, device, iommufd, token(token)))).as("%s", kernel)
                        .isEqualTo(kernel.bindTokens() ? answer : "0");
            }
        }
    }

    /** Without a rule for BIND there is still one for groups, and it knows of those who were bound. */
    @Test
    void whoWasBoundWithoutATokenIsAUserNevertheless() {
        Program program = withVirtualFunctions(KernelProfile.LINUX_6_12.withCdev());
        int virtual = Cdevs.device(program, VF);
        assertThat(opened(program.device(VF2))).isEqualTo("EACCES");
        assertThat(opened(program.device(PF))).isEqualTo("EACCES");
        program.close(virtual);
        assertThat(opened(program.device(PF))).isEqualTo("fd");
    }

    @Test
    void aFailingBindOfThePhysicalFunctionCanSetTheToken() {
        Program program = withVirtualFunctions(KernelProfile.LINUX_7_2.withCdev());
        int iommufd = Cdevs.iommufd(program);
        int physical = Cdevs.open(program, PF);
        assertThat(answer(bind(program, physical, NOT_OPEN, OTHER_TOKEN))).isEqualTo("EBADF");
        int virtual = Cdevs.open(program, VF);
        assertThat(answer(bind(program, virtual, iommufd, TOKEN))).isEqualTo("EACCES");
        assertThat(answer(bind(program, virtual, iommufd, OTHER_TOKEN))).isEqualTo("0");
        // No more, while the virtual function is in use.
        assertThat(answer(bind(program, physical, NOT_OPEN, TOKEN))).isEqualTo("EACCES");
        program.close(virtual);
        // Not if something is wrong that is looked at before.
        int group = program.group(PF);
        assertThat(answer(bind(program, physical, iommufd, TOKEN))).isEqualTo("EBUSY");
        program.close(group);
        assertThat(answer(bind(program, Cdevs.open(program, VF), iommufd, TOKEN))).isEqualTo("EACCES");
    }

    @Test
    void aTokenIs16BytesBehindThePointer() {
        Program program = withVirtualFunctions(KernelProfile.LINUX_7_2.withCdev());
        int iommufd = Cdevs.iommufd(program);
        int device = Cdevs.open(program, VF);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, 24, 24, 1, iommufd);
            MemorySegment token = arena.allocateFrom(JAVA_BYTE, Program.uuid(TOKEN));
            argument.set(JAVA_LONG, 16, token.address());
            assertThat(
                    answer(program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), argument, token.asSlice(0, 15))))
                    .isEqualTo("EFAULT");
            assertThat(answer(program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), argument)))
                    .isEqualTo("EFAULT");
            // Not in the structure as the caller knows it: then there is no pointer.
            argument.set(JAVA_INT, 0, 16);
            assertThat(answer(program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), argument, token)))
                    .isEqualTo("EFAULT");
            argument.set(JAVA_INT, 0, 24);
            assertThat(answer(program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), argument, token)))
                    .isEqualTo("0");
        }
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aDriverWithoutATokenRuleTakesNone(KernelProfile kernel) {
        UUID mdev = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
        Program program = Program.on(Program.machine(kernel).mtty(mdev, 1));
        int iommufd = Cdevs.iommufd(program);
        int device = success(program.open(Cdevs.path(program, "/sys/bus/mdev/devices/", mdev.toString())));
        // Not even a bad pointer is looked at.
        assertThat(answer(Cdevs.ioctl(program, device, VFIO_DEVICE_BIND_IOMMUFD(), 24, 1, iommufd, 0, 1, 0)))
                .isEqualTo("EINVAL");
        assertThat(answer(bind(program, device, iommufd))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void memoryThatCantBeWrittenClosesTheDeviceAgain(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int device = Cdevs.open(program, PLAIN);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = argument(arena, 16, 16, 0, iommufd).asReadOnly();
            assertThat(answer(program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), argument)))
                    .isEqualTo("EFAULT");
        }
        assertThat(answer(program.feature(device, 1 << 18, 8))).isEqualTo("EINVAL");
        int other = Cdevs.open(program, PLAIN);
        assertThat(Cdevs.bindForId(program, other, iommufd)).isEqualTo(1);
        program.close(other);
        assertThat(opened(program.open(program.groupPath(PLAIN)))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aGroupWithADriverOfTheHostIsNotForUserSpace(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PF, function -> function.group(7))
                .pciFunction(PLAIN, function -> function.group(7).driver("nvme")));
        int device = Cdevs.open(program, PF);
        assertThat(answer(bind(program, device, Cdevs.iommufd(program)))).isEqualTo("EPERM");
        assertThat(opened(program.open("/dev/vfio/7"))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void allDevicesOfAGroupAreInOneIommufd(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PF, function -> function.group(7))
                .pciFunction(PLAIN, function -> function.group(7)));
        int iommufd = Cdevs.iommufd(program);
        int other = Cdevs.iommufd(program);
        int first = Cdevs.open(program, PF);
        int second = Cdevs.open(program, PLAIN);
        assertThat(Cdevs.bindForId(program, first, iommufd)).isEqualTo(1);
        assertThat(answer(bind(program, second, other))).isEqualTo("EPERM");
        assertThat(Cdevs.bindForId(program, second, iommufd)).isEqualTo(2);
        program.close(first);
        first = Cdevs.open(program, PF);
        assertThat(answer(bind(program, first, other))).isEqualTo("EPERM");
        assertThat(opened(program.open("/dev/vfio/7"))).isEqualTo("EBUSY");
        program.close(second);
        assertThat(answer(bind(program, first, other))).isEqualTo("0");
    }
}
