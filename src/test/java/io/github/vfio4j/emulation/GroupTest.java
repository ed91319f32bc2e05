package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TOKEN;
import static io.github.vfio4j.emulation.Program.TYPE1V2;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_STATUS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** /dev/vfio/N (semantics §E.2). */
class GroupTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final String KERNELS_SINCE_6_1 = "io.github.vfio4j.emulation.Tables#kernelsSince61";

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aGroupIsOpenOnce(KernelProfile kernel) {
        Program program = Program.on(kernel);
        Program other = Program.on(program.kernel());
        String path = program.groupPath(PLAIN);
        int group = success(program.open(path));
        assertThat(opened(program.open(path))).isEqualTo("EBUSY");
        assertThat(opened(other.open(path))).isEqualTo("EBUSY");
        program.close(group);
        success(other.open(path));
        assertThat(opened(program.open(path))).isEqualTo("EBUSY");
        other.process().close();
        assertThat(opened(program.open(path))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aContainerAloneDoesNotKeepAGroupInUse(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        int group = program.group(PLAIN);
        success(program.setContainer(group, container));
        success(program.setIommu(container, TYPE1V2));
        program.close(group);
        group = program.group(PLAIN);
        // It has left the container, and as the last one taken the IOMMU along.
        assertThat(status(program, group)).isEqualTo(1);
        assertThat(answer(program.setIommu(container, TYPE1V2))).isEqualTo("EINVAL");
        assertThat(answer(program.setContainer(group, container))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void anOpenDeviceKeepsItsGroupInUse(KernelProfile kernel) {
        Program program = Program.on(kernel);
        String path = program.groupPath(PLAIN);
        int container = program.container();
        int group = program.group(PLAIN);
        success(program.setContainer(group, container));
        success(program.setIommu(container, TYPE1V2));
        int first = success(program.deviceFd(group, PLAIN));
        int second = success(program.deviceFd(group, PLAIN));
        program.close(group);
        assertThat(opened(program.open(path))).isEqualTo("EBUSY");
        program.close(first);
        assertThat(opened(program.open(path))).isEqualTo("EBUSY");
        assertThat(answer(program.ioctl(container, 0x3b67))).as("the IOMMU is still set").isEqualTo("ENOTTY");
        program.close(second);
        assertThat(answer(program.ioctl(container, 0x3b67))).as("the IOMMU is gone").isEqualTo("EINVAL");
        group = success(program.open(path));
        assertThat(status(program, group)).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void anyDeviceOfAGroupKeepsItInUse(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction("0000:05:00.0", spec -> spec.group(7))
                .pciFunction("0000:05:00.1", spec -> spec.group(7)));
        int group = program.readyGroup("0000:05:00.0");
        int first = success(program.deviceFd(group, "0000:05:00.0"));
        int second = success(program.deviceFd(group, "0000:05:00.1"));
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EBUSY");
        program.close(first);
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EBUSY");
        program.close(group);
        assertThat(opened(program.open("/dev/vfio/7"))).isEqualTo("EBUSY");
        program.close(second);
        assertThat(opened(program.open("/dev/vfio/7"))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aGroupHasAFileIfADeviceOfItIsOnVfio(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction("0000:05:00.0", spec -> spec.group(5))
                .pciFunction("0000:05:00.1", spec -> spec.group(5).driver("nvme"))
                .pciFunction("0000:06:00.0", spec -> spec.group(6).driver("nvme"))
                .pciFunction("0000:07:00.0", spec -> spec.group(7).unbound()));
        assertThat(opened(program.open("/dev/vfio/5"))).isEqualTo("fd");
        for (String path : new String[]{"/dev/vfio/6", "/dev/vfio/7", "/dev/vfio/8", "/dev/vfio/05", "/dev/vfio/-5",
                "/dev/vfio/5/", "/dev/vfio/noiommu-5", "/dev/vfio/99999999999", "/dev/vfio/"}) {
            assertThat(program.open(path)).as(path).isNegative();
        }
        assertThat(opened(program.open("/dev/vfio/6"))).isEqualTo("ENOENT");
        assertThat(opened(program.open("/dev/vfio/7"))).isEqualTo("ENOENT");
        assertThat(opened(program.open("/dev/vfio/8"))).isEqualTo("ENOENT");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void groupsAreForRoot(KernelProfile kernel) {
        EmulatedKernel machine = Program.machine(kernel).build();
        Program program = new Program(machine, machine.newUnprivilegedProcess());
        assertThat(opened(program.open(program.groupPath(PLAIN)))).isEqualTo("EACCES");
    }

    private static Stream<Arguments> statuses() {
        // the group's other device | container | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                vfio-pci | no  | 1 | 1     | 1     | 1
                vfio-pci | yes | 3 | 3     | 3     | 3
                none     | no  | 1 | 1     | 1     | 1
                none     | yes | 3 | 3     | 3     | 3
                pci-stub | no  | 1 | 1     | 1     | 1
                pci-stub | yes | 3 | 3     | 3     | 3
                nvme     | no  | 0 | 0     | 0     | 0
                nvme     | yes | 2 | EPERM | EPERM | EPERM
                """);
    }

    @ParameterizedTest(name = "{0}: with a device on {1}, container: {2}: {3}")
    @MethodSource("statuses")
    void theStatusTellsWhetherTheGroupIsUsable(KernelProfile kernel, String driver, String container, String flags) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction("0000:05:00.0", spec -> spec.group(5))
                .pciFunction("0000:05:00.1", spec -> {
                    spec.group(5).driver(driver);
                    if (driver.equals("none")) {
                        spec.unbound();
                    }
                }));
        int group = program.group("0000:05:00.0");
        if (container.equals("yes")) {
            int result = program.setContainer(group, program.container());
            assertThat(result < 0 ? answer(result) : answer(status(program, group))).isEqualTo(flags);
        } else {
            assertThat(answer(status(program, group))).isEqualTo(flags);
        }
    }

    /** Attaching and leaving is all that the container bit follows; an IOMMU and open devices don't matter. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theStatusFollowsTheContainer(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        int group = program.group(PLAIN);
        assertThat(status(program, group)).isEqualTo(1);
        success(program.setContainer(group, container));
        assertThat(status(program, group)).isEqualTo(3);
        success(program.setIommu(container, TYPE1V2));
        program.close(container);
        assertThat(status(program, group)).isEqualTo(3);
        int device = success(program.deviceFd(group, PLAIN));
        assertThat(status(program, group)).isEqualTo(3);
        program.close(device);
        success(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()));
        assertThat(status(program, group)).isEqualTo(1);
    }

    private static Stream<Arguments> statusArguments() {
        // mapped bytes | argsz | answer
        return Tables.onEveryKernel("""
                0  | 0          | EFAULT
                1  | 8          | EFAULT
                4  | 0          | EFAULT
                4  | 8          | EFAULT
                7  | 7          | EFAULT
                7  | 8          | EFAULT
                8  | 0          | EINVAL
                8  | 7          | EINVAL
                8  | 8          | 0
                8  | 9          | 0
                8  | 64         | 0
                8  | 2147483647 | 0
                8  | 2147483648 | 0
                8  | 4294967295 | 0
                16 | 0          | EINVAL
                16 | 7          | EINVAL
                16 | 8          | 0
                16 | 16         | 0
                """);
    }

    @ParameterizedTest(name = "{0}: {1} bytes, argsz {2}: {3}")
    @MethodSource("statusArguments")
    void theStatusIsTwoWords(KernelProfile kernel, int mapped, long argsz, String answer) {
        Program program = Program.on(kernel);
        int group = program.group(PLAIN);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment whole = arena.allocate(16).fill((byte) 0x5a);
            whole.set(JAVA_INT, 0, (int) argsz);
            MemorySegment expected = arena.allocate(16).copyFrom(whole);
            if (answer.equals("0")) {
                expected.set(JAVA_INT, 4, 1);
            }
            int result = program.process().ioctl(group, VFIO_GROUP_GET_STATUS(), whole.asSlice(0, mapped));
            assertThat(answer(result)).isEqualTo(answer);
            assertThat(whole.toArray(JAVA_BYTE)).isEqualTo(expected.toArray(JAVA_BYTE));
        }
    }

    private static Stream<Arguments> containerDescriptors() {
        // the descriptor passed | the group | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                -1             | free           | EINVAL | EBADF  | EBADF  | EBADF
                -1             | in a container | EINVAL | EBADF  | EBADF  | EBADF
                -1             | not viable     | EINVAL | EBADF  | EBADF  | EBADF
                -2147483648    | free           | EINVAL | EBADF  | EBADF  | EBADF
                -2147483648    | in a container | EINVAL | EBADF  | EBADF  | EBADF
                2147483647     | free           | EBADF  | EBADF  | EBADF  | EBADF
                2147483647     | in a container | EINVAL | EBADF  | EBADF  | EBADF
                closed         | free           | EBADF  | EBADF  | EBADF  | EBADF
                closed         | in a container | EINVAL | EBADF  | EBADF  | EBADF
                closed         | not viable     | EBADF  | EBADF  | EBADF  | EBADF
                0              | free           | EINVAL | EINVAL | EBADFD | EBADFD
                0              | in a container | EINVAL | EINVAL | EINVAL | EINVAL
                0              | not viable     | EINVAL | EINVAL | EBADFD | EBADFD
                eventfd        | free           | EINVAL | EINVAL | EBADFD | EBADFD
                eventfd        | in a container | EINVAL | EINVAL | EINVAL | EINVAL
                the group      | free           | EINVAL | EINVAL | EBADFD | EBADFD
                the group      | in a container | EINVAL | EINVAL | EINVAL | EINVAL
                other group    | free           | EINVAL | EINVAL | EBADFD | EBADFD
                other device   | free           | EINVAL | EINVAL | EBADFD | EBADFD
                other device   | in a container | EINVAL | EINVAL | EINVAL | EINVAL
                sysfs file     | free           | EINVAL | EINVAL | EBADFD | EBADFD
                container      | free           | 0      | 0      | 0      | 0
                container      | in a container | EINVAL | EINVAL | EINVAL | EINVAL
                container      | not viable     | 0      | EPERM  | EPERM  | EPERM
                the same       | in a container | EINVAL | EINVAL | EINVAL | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: {1}, group {2}: {3}")
    @MethodSource("containerDescriptors")
    void settingTheContainerLooksAtTheDescriptorAndTheGroup(KernelProfile kernel, String descriptor, String state,
            String answer) {
        Program program = Program.on(Program.machine(kernel).pciFunction("0000:05:00.0", spec -> spec.group(5))
                .pciFunction("0000:05:00.1", spec -> spec.group(5).driver("nvme")));
        int container = program.container();
        int group = program.group(state.equals("not viable") ? "0000:05:00.0" : PLAIN);
        if (state.equals("in a container")) {
            success(program.setContainer(group, container));
        }
        int fd = switch (descriptor) {
            case "closed" -> {
                int closed = program.container();
                program.close(closed);
                yield closed;
            }
            case "eventfd" -> program.eventfd();
            case "the group" -> group;
            case "other group" -> program.group(PF);
            case "other device" -> program.device(PF);
            case "sysfs file" -> program.open(Program.ENABLE_SRIOV);
            case "container" -> program.container();
            case "the same" -> container;
            default -> Integer.parseInt(descriptor);
        };
        int before = program.process().openDescriptors();
        assertThat(answer(program.setContainer(group, fd))).isEqualTo(answer);
        assertThat(program.process().openDescriptors()).isEqualTo(before);
        int containerSet = 2;
        boolean in = answer.equals("0") || state.equals("in a container");
        assertThat(status(program, group) & containerSet).isEqualTo(in ? containerSet : 0);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theContainersDescriptorIsReadFirst(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.group(PLAIN);
        for (int round = 0; round < 2; round++) {
            for (int mapped = 0; mapped < 4; mapped++) {
                assertThat(answer(program.ioctlOn(group, VFIO_GROUP_SET_CONTAINER(), new byte[mapped])))
                        .isEqualTo("EFAULT");
            }
            assertThat(answer(program.ioctl(group, VFIO_GROUP_SET_CONTAINER(), 3))).isEqualTo("EFAULT");
            // Once more with the group in a container.
            program.setContainer(group, program.container());
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void leavingTheContainerNeedsOneAndNoOpenDevice(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        int group = program.group(PLAIN);
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EINVAL");
        success(program.setContainer(group, container));
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("0");
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EINVAL");
        success(program.setContainer(group, container));
        success(program.setIommu(container, TYPE1V2));
        int first = success(program.deviceFd(group, PLAIN));
        int second = success(program.deviceFd(group, PLAIN));
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EBUSY");
        program.close(first);
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EBUSY");
        program.close(second);
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), -1))).isEqualTo("0");
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EINVAL");
        assertThat(opened(program.deviceFd(group, PLAIN))).isEqualTo("EINVAL");
        success(program.setContainer(group, program.container()));
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void otherRequestsAreUnknown(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.readyGroup(PLAIN);
        IntStream.concat(IntStream.rangeClosed(0x3b60, 0x3b66), IntStream.rangeClosed(0x3b6b, 0x3b90)).forEach(
                request -> assertThat(answer(program.ioctl(group, request))).as("%#x", request).isEqualTo("ENOTTY"));
        assertThat(answer(program.feature(group, 1 << 18, 8))).isEqualTo("ENOTTY");
        assertThat(answer(program.feature(group, 1 << 18, 7))).isEqualTo("ENOTTY");
        assertThat(answer(program.ioctl(group, 0))).isEqualTo("ENOTTY");
        assertThat(answer(program.ioctl(group, -1))).isEqualTo("ENOTTY");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void thereIsNothingToReadOrWrite(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int group = program.group(PLAIN);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(8);
            assertThat(answer(program.process().read(group, buffer))).isEqualTo("EINVAL");
            assertThat(answer(program.process().write(group, buffer))).isEqualTo("EINVAL");
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aDeviceDoesNotKnowRequestsOfOthers(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        IntStream
                .of(0, 0x3b00, 0x3b63, 0x3b64, 0x3b65, 0x3b66, 0x3b67, 0x3b68, 0x3b69, 0x3b6a, 0x3b76, 0x3b77, 0x3b78,
                        0x3b79, 0x3b7a)
                .forEach(request -> assertThat(answer(program.ioctl(device, request))).as("%#x", request)
                        .isEqualTo("ENOTTY"));
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void aGroupWhoseDevicesHaveGoneIsNoDevice(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        String path = program.groupPath(VF);
        int group = success(program.open(path));
        assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
        assertThat(opened(program.open(path))).isEqualTo("ENOENT");
        assertThat(answer(status(program, group))).isEqualTo("ENODEV");
        assertThat(opened(program.deviceFd(group, VF + " vf_token=" + TOKEN))).isEqualTo("ENODEV");
        // What is wrong with the argument comes first, but not that it is no container.
        assertThat(answer(program.setContainer(group, -1))).isEqualTo("EBADF");
        assertThat(answer(program.setContainer(group, 0))).isEqualTo("ENODEV");
        assertThat(answer(program.setContainer(group, program.container()))).isEqualTo("ENODEV");
        assertThat(answer(program.ioctl(group, VFIO_GROUP_GET_STATUS()))).isEqualTo("EFAULT");
        assertThat(answer(program.ioctlOn(group, VFIO_GROUP_GET_STATUS(), new byte[8]))).isEqualTo("EINVAL");
        // New devices may get the number; what is open stays what it was.
        assertThat(answer(program.setNumVfs(PF, "1"))).isEqualTo("1");
        assertThat(program.groupPath(VF)).isEqualTo(path);
        int next = success(program.open(path));
        assertThat(answer(status(program, next))).isEqualTo("1");
        assertThat(answer(status(program, group))).isEqualTo("ENODEV");
        program.close(group);
        assertThat(opened(program.open(path))).isEqualTo("EBUSY");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    void aGroupWhoseDevicesHaveGoneIsInNoContainer(KernelProfile kernel) {
        Program program = Program.withVirtualFunctions(kernel);
        int container = program.container();
        int group = program.group(VF);
        success(program.setContainer(group, container));
        success(program.setIommu(container, TYPE1V2));
        assertThat(answer(program.setNumVfs(PF, "0"))).isEqualTo("1");
        assertThat(answer(program.ioctl(container, 0x3b67))).as("the IOMMU is gone").isEqualTo("EINVAL");
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EINVAL");
        assertThat(answer(program.setContainer(group, container))).isEqualTo("ENODEV");
        program.close(group);
        int other = program.group(PLAIN);
        assertThat(answer(program.setContainer(other, container))).isEqualTo("0");
        assertThat(answer(program.setIommu(container, TYPE1V2))).isEqualTo("0");
    }

    /** The flags, or −errno. */
    private static int status(Program program, int group) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = arena.allocateFrom(JAVA_INT, 8, 0);
            int result = program.process().ioctl(group, VFIO_GROUP_GET_STATUS(), status);
            return result < 0 ? result : status.get(JAVA_INT, 4);
        }
    }
}
