package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.TYPE1V2;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_CHECK_EXTENSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GET_API_VERSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.UUID;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** /dev/vfio/vfio (semantics §E.1). */
class ContainerTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theVersionIs0WhateverTheArgument(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        for (long argument : new long[]{0, 1, -1, 0x1000}) {
            assertThat(program.ioctl(container, VFIO_GET_API_VERSION(), argument)).isZero();
        }
    }

    private static Stream<Arguments> extensions() {
        // extension | when | 5.7 | 6.1 | 6.12 | 7.2
        String once = """
                1  | always | 1 | 1 | 1 | 1
                3  | always | 1 | 1 | 1 | 1
                4  | before | 0 | 0 | 0 | 0
                6  | always | 1 | 1 | 1 | 0
                8  | always | 0 | 0 | 0 | 0
                9  | always | 0 | 1 | 1 | 1
                10 | before | 0 | 0 | 0 | 0
                10 | after  | 0 | 1 | 1 | 1
                """;
        // Never an error: no number means anything else.
        LongStream others = LongStream.of(0, 2, 5, 7, 11, 12, 100, 0x3b65, 0x7fffffffL, 0x80000000L, 0xffffffffL,
                0x100000001L, 0x100000003L, Long.MAX_VALUE, Long.MIN_VALUE, -1, -3);
        String unknown = String.join("\n",
                others.mapToObj(extension -> extension + " | always | 0 | 0 | 0 | 0").toList());
        return Tables.byKernel(once + unknown);
    }

    @ParameterizedTest(name = "{0}: extension {1} {2}: {3}")
    @MethodSource("extensions")
    void anExtensionIsThereOrNot(KernelProfile kernel, long extension, String when, String answer) {
        Program program = Program.on(kernel);
        int container = program.container();
        int group = program.group(PLAIN);
        boolean before = !when.equals("after");
        boolean after = !when.equals("before");
        if (before) {
            assertThat(check(program, container, extension)).as("alone").isEqualTo(answer);
        }
        success(program.setContainer(group, container));
        if (before) {
            assertThat(check(program, container, extension)).as("with a group").isEqualTo(answer);
        }
        success(program.setIommu(container, TYPE1V2));
        if (after) {
            assertThat(check(program, container, extension)).as("with an IOMMU").isEqualTo(answer);
        }
        success(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()));
        if (before) {
            assertThat(check(program, container, extension)).as("alone again").isEqualTo(answer);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void cacheCoherenceIsKnownWithTheIommu(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        success(program.setContainer(program.group(PLAIN), container));
        success(program.setIommu(container, TYPE1V2));
        assertThat(check(program, container, 4)).isIn("0", "1");
    }

    /** Changing addresses and pages pinned for emulated devices don't go together: the offer depends on the groups. */
    @ParameterizedTest
    @MethodSource("io.github.vfio4j.emulation.Tables#kernelsSince61")
    void addressesCannotBeUpdatedWithAMediatedDevice(KernelProfile kernel) {
        UUID uuid = UUID.fromString("5a3eb0e5-8d61-4c5c-9a3e-2b4f1c2d3e4f");
        Program program = Program.on(Program.machine(kernel).mdpy(uuid));
        int container = program.container();
        int mediated = success(program.open(program.mdevGroupPath(uuid)));
        success(program.setContainer(mediated, container));
        assertThat(check(program, container, 10)).isEqualTo("0");
        success(program.setIommu(container, TYPE1V2));
        assertThat(check(program, container, 10)).isEqualTo("0");
        success(program.setContainer(program.group(PLAIN), container));
        assertThat(check(program, container, 10)).isEqualTo("0");
        success(program.ioctl(mediated, VFIO_GROUP_UNSET_CONTAINER()));
        assertThat(check(program, container, 10)).isEqualTo("1");
        success(program.setContainer(mediated, container));
        assertThat(check(program, container, 10)).isEqualTo("0");
    }

    private static String check(Program program, int container, long extension) {
        return answer(program.ioctl(container, VFIO_CHECK_EXTENSION(), extension));
    }

    private static Stream<Arguments> iommuTypes() {
        // type | 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                1           | 0      | 0      | 0      | 0
                3           | 0      | 0      | 0      | 0
                0           | ENODEV | ENODEV | ENODEV | ENODEV
                2           | ENODEV | ENODEV | ENODEV | ENODEV
                4           | ENODEV | ENODEV | ENODEV | ENODEV
                5           | ENODEV | ENODEV | ENODEV | ENODEV
                6           | ENODEV | EINVAL | EINVAL | ENODEV
                7           | ENODEV | ENODEV | ENODEV | ENODEV
                8           | ENODEV | ENODEV | ENODEV | ENODEV
                9           | ENODEV | EINVAL | EINVAL | EINVAL
                10          | ENODEV | ENODEV | ENODEV | ENODEV
                11          | ENODEV | ENODEV | ENODEV | ENODEV
                4294967297  | ENODEV | ENODEV | ENODEV | ENODEV
                -1          | ENODEV | ENODEV | ENODEV | ENODEV
                """);
    }

    /**
     * 9 is an extension that type1 answers for and yet no kind of IOMMU, 6 one that the hardware would have to have: the
     * refusal that is not the container's own comes through.
     */
    @ParameterizedTest(name = "{0}: type {1}: {2}")
    @MethodSource("iommuTypes")
    void anIommuHasAType(KernelProfile kernel, long type, String answer) {
        Program program = Program.on(kernel);
        int container = program.container();
        // A group comes before all else, and a second IOMMU is refused whatever its type.
        assertThat(answer(program.setIommu(container, type))).isEqualTo("EINVAL");
        success(program.setContainer(program.group(PLAIN), container));
        assertThat(answer(program.setIommu(container, type))).isEqualTo(answer);
        assertThat(answer(program.setIommu(container, TYPE1V2))).isEqualTo(answer.equals("0") ? "EINVAL" : "0");
        assertThat(answer(program.setIommu(container, type))).isEqualTo("EINVAL");
    }

    /** Nesting is offered by the driver, up to 6.12, and refused by the hardware. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void nestingWithoutHardwareIsNotModelled(KernelProfile kernel) {
        UUID uuid = UUID.fromString("5a3eb0e5-8d61-4c5c-9a3e-2b4f1c2d3e4f");
        Program program = Program.on(EmulatedKernel.builder(kernel).mdpy(uuid));
        int container = program.container();
        success(program.setContainer(success(program.open(program.mdevGroupPath(uuid))), container));
        if (kernel.equals(KernelProfile.LINUX_7_2)) {
            assertThat(answer(program.setIommu(container, 6))).isEqualTo("ENODEV");
        } else {
            assertThatThrownBy(() -> program.setIommu(container, 6)).isInstanceOf(NotModelledException.class);
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void withoutAnIommuEveryOtherRequestIsInvalid(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        IntStream.rangeClosed(0x3b67, 0x3b90).forEach(request -> assertThat(answer(program.ioctl(container, request)))
                .as("%#x", request).isEqualTo("EINVAL"));
        for (long request : new long[]{0, 0x3b63, 0x3a64, 0x3b00, 0xc0003b64L, 0xffffffffL}) {
            assertThat(answer(program.ioctl(container, request))).as("%#x", request).isEqualTo("EINVAL");
        }
        success(program.setContainer(program.group(PLAIN), container));
        assertThat(answer(program.ioctl(container, 0x3b75))).isEqualTo("EINVAL");
    }

    private static Stream<Arguments> requestsOfOthers() {
        return Tables.byKernel("""
                0x3b67 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b68 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b69 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b6a | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b6b | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b6c | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b6d | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b6e | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b6f | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b73 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b74 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b76 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b77 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b78 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b79 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b63 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0x3b00 | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                0      | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("requestsOfOthers")
    void theIommuDoesNotKnowRequestsOfOthers(KernelProfile kernel, String request, String answer) {
        Program program = Program.on(kernel);
        int container = program.container();
        success(program.setContainer(program.group(PLAIN), container));
        success(program.setIommu(container, TYPE1V2));
        assertThat(answer(program.ioctl(container, Long.decode(request)))).isEqualTo(answer);
    }

    /** 0x3b75 is VFIO_DEVICE_FEATURE on a device and VFIO_IOMMU_DIRTY_PAGES here, which Linux 5.7 lacks. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aFeatureRequestIsNoneHere(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        assertThat(answer(program.feature(container, 1 << 18, 8))).isEqualTo("EINVAL");
        success(program.setContainer(program.group(PLAIN), container));
        assertThat(answer(program.feature(container, 1 << 18, 8))).isEqualTo("EINVAL");
        success(program.setIommu(container, TYPE1V2));
        boolean tracksDirtyPages = !kernel.equals(KernelProfile.LINUX_5_7);
        for (int operation : new int[]{1 << 16, 1 << 17, 1 << 18}) {
            assertThat(answer(program.feature(container, operation | 1, 8)))
                    .isEqualTo(tracksDirtyPages ? "EINVAL" : "ENOTTY");
        }
        // Feature 1 without an operation starts dirty tracking.
        assertThat(answer(program.feature(container, 1, 8))).isEqualTo(tracksDirtyPages ? "0" : "ENOTTY");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aRequestHas32Bits(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        assertThat(program.ioctl(container, VFIO_CHECK_EXTENSION() | 0x5_0000_0000L, 1)).isEqualTo(1);
        assertThat(program.ioctl(container, VFIO_CHECK_EXTENSION() | 0xffff_ffff_0000_0000L, 3)).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void thereIsNothingToReadOrWrite(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(8);
            assertThat(answer(program.process().read(container, buffer))).isEqualTo("EINVAL");
            assertThat(answer(program.process().write(container, buffer))).isEqualTo("EINVAL");
            assertThat(answer(program.process().pread(container, buffer, 0))).isEqualTo("EINVAL");
            assertThat(answer(program.process().pwrite(container, buffer, 0))).isEqualTo("EINVAL");
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void everyOpeningIsAContainerOfItsOwn(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int one = program.container();
        int other = program.container();
        success(program.setContainer(program.group(PLAIN), one));
        success(program.setIommu(one, TYPE1V2));
        assertThat(answer(program.setIommu(other, TYPE1V2))).isEqualTo("EINVAL");
        success(program.setContainer(program.group(PF), other));
        assertThat(answer(program.setIommu(other, TYPE1V2))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void groupsShareAnIommuAndTheLastOneTakesItAlong(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        int first = program.group(PLAIN);
        int second = program.group(PF);
        success(program.setContainer(first, container));
        success(program.setIommu(container, TYPE1V2));
        success(program.setContainer(second, container));
        int device = success(program.deviceFd(second, PF));
        success(program.ioctl(first, VFIO_GROUP_UNSET_CONTAINER()));
        assertThat(answer(program.ioctl(container, 0x3b67))).isEqualTo("ENOTTY");
        program.close(device);
        success(program.ioctl(second, VFIO_GROUP_UNSET_CONTAINER()));
        assertThat(answer(program.ioctl(container, 0x3b67))).isEqualTo("EINVAL");
        // As new: it wants a group first, then takes an IOMMU.
        assertThat(answer(program.setIommu(container, TYPE1V2))).isEqualTo("EINVAL");
        success(program.setContainer(first, container));
        assertThat(Program.opened(program.deviceFd(first, PLAIN))).isEqualTo("EINVAL");
        success(program.setIommu(container, 1));
        assertThat(Program.opened(program.deviceFd(first, PLAIN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aContainerOutlivesItsDescriptor(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int container = program.container();
        int group = program.group(PLAIN);
        success(program.setContainer(group, container));
        success(program.setIommu(container, TYPE1V2));
        program.close(container);
        assertThat(Program.opened(program.deviceFd(group, PLAIN))).isEqualTo("fd");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aContainerNeedsNoPrivilege(KernelProfile kernel) {
        EmulatedKernel machine = Program.machine(kernel).build();
        Program program = new Program(machine, machine.newUnprivilegedProcess());
        int container = program.container();
        assertThat(program.ioctl(container, VFIO_GET_API_VERSION())).isZero();
        assertThat(check(program, container, TYPE1V2)).isEqualTo("1");
    }
}
