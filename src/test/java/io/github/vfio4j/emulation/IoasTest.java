package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Cdevs.attach;
import static io.github.vfio4j.emulation.Cdevs.bind;
import static io.github.vfio4j.emulation.Cdevs.detach;
import static io.github.vfio4j.emulation.Cdevs.ioas;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_COPY;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_IOVA_RANGES;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_UNMAP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What is mapped in the address spaces of an iommufd, by the rules of drivers/iommu/iommufd; the kernel lane compares them
 * with the kernel's, on many more requests than these.
 */
class IoasTest {

    private static final String CDEV_KERNELS = "io.github.vfio4j.emulation.Tables#cdevKernels";
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final int READABLE = 4;
    private static final int WRITEABLE = 2;
    private static final int FIXED = 1;
    private static final int PAGE = 4096;

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment memory = arena.allocate(16 * PAGE, 2 << 20);

    @AfterEach
    void close() {
        arena.close();
    }

    private static long number(String text) {
        return Long.parseUnsignedLong(text.strip(), 16);
    }

    private MemorySegment argument(int size, int first, int second, long third, long fourth, long fifth) {
        MemorySegment argument = arena.allocate(40, 8);
        argument.set(JAVA_INT, 0, size);
        argument.set(JAVA_INT, 4, first);
        argument.set(JAVA_INT, 8, second);
        argument.set(JAVA_LONG, 16, third);
        argument.set(JAVA_LONG, 24, fourth);
        argument.set(JAVA_LONG, 32, fifth);
        return argument;
    }

    /** The address it is mapped at in hexadecimal, or the name of an errno. */
    private String map(Program program, int iommufd, int ioas, int flags, long address, long length, long iova) {
        MemorySegment argument = argument(40, flags, ioas, address, length, iova);
        int result = program.process().ioctl(iommufd, IOMMU_IOAS_MAP(), argument, memory);
        return result == 0 ? Long.toHexString(argument.get(JAVA_LONG, 32)) : answer(result);
    }

    private String map(Program program, int iommufd, int ioas, long offset, long length, long iova) {
        return map(program, iommufd, ioas, FIXED | READABLE | WRITEABLE, memory.address() + offset, length, iova);
    }

    private String copy(Program program, int iommufd, int flags, int target, int source, long length, long to,
            long from) {
        MemorySegment argument = argument(40, flags, target, length, to, from);
        argument.set(JAVA_INT, 12, source);
        int result = program.process().ioctl(iommufd, IOMMU_IOAS_COPY(), argument);
        return result == 0 ? Long.toHexString(argument.get(JAVA_LONG, 24)) : answer(result);
    }

    /** The size that was mapped in hexadecimal, or the name of an errno. */
    private String unmap(Program program, int iommufd, int ioas, long iova, long length) {
        MemorySegment argument = argument(24, ioas, 0, length, 0, 0);
        argument.set(JAVA_LONG, 8, iova);
        int result = program.process().ioctl(iommufd, IOMMU_IOAS_UNMAP(), argument);
        return result == 0 ? Long.toHexString(argument.get(JAVA_LONG, 16)) : answer(result);
    }

    /** The answer, the number of ranges, the alignment, and the ranges there is room for. */
    private String ranges(Program program, int iommufd, int ioas, int room) {
        MemorySegment ranges = arena.allocate(16L * Math.max(1, room), 8);
        MemorySegment argument = argument(32, ioas, room, ranges.address(), 0, 0);
        int result = program.process().ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES(), argument, ranges);
        StringBuilder text = new StringBuilder(result == -90 ? "EMSGSIZE" : answer(result));
        int count = argument.get(JAVA_INT, 8);
        text.append(' ').append(count).append(" by ").append(argument.get(JAVA_LONG, 24)).append(':');
        for (int i = 0; i < Math.min(room, count); i++) {
            text.append(' ').append(Long.toHexString(ranges.get(JAVA_LONG, 16L * i))).append('-')
                    .append(Long.toHexString(ranges.get(JAVA_LONG, 16L * i + 8)));
        }
        return text.toString();
    }

    private static int boundFunction(Program program, int iommufd, String function) {
        int device = Cdevs.open(program, function);
        success(bind(program, device, iommufd));
        return device;
    }

    private static int boundMtty(Program program, int iommufd) {
        int device = success(program.open(Cdevs.path(program, "/sys/bus/mdev/devices/", MTTY.toString())));
        success(bind(program, device, iommufd));
        return device;
    }

    private static Stream<Arguments> mappings() {
        // attached device | flags | offset of the memory, - for none | length | iova | answers
        return Tables.byCdevKernel("""
                none | 7 | 0 | 1000 | 1000                | 1000       | 1000
                none | 7 | 1 | 1    | 7                   | 7          | 7
                none | 7 | - | 1000 | 0                   | 0          | 0
                none | 8 | 0 | 1000 | ffffffffffffffff    | EOPNOTSUPP | EOPNOTSUPP
                none | 0 | 0 | 1000 | ffffffffffffffff    | EOVERFLOW  | EOVERFLOW
                none | 7 | 0 | ffffffffffffffff | 0       | EOVERFLOW  | EOVERFLOW
                none | 1 | 0 | 0    | 0                   | EINVAL     | EINVAL
                none | 0 | 0 | 1000 | 0                   | EINVAL     | EINVAL
                none | 7 | 0 | 0    | 0                   | EINVAL     | EINVAL
                none | 7 | 1 | fffffffffffff000 | 0       | EINVAL     | EOVERFLOW
                none | 7 | 0 | 3    | fffffffffffffffe    | EOVERFLOW  | EOVERFLOW
                none | 6 | 0 | 1000 | 77                  | 1000       | 1000
                none | 6 | 0 | 1800 | 77                  | 2000       | 2000
                none | 6 | 8 | 100  | 77                  | 1008       | 1008
                none | 6 | 1 | 1    | 77                  | 1001       | 1001
                none | 6 | 0 | 8000000000000000 | 0       | EOVERFLOW  | EOVERFLOW
                PCI  | 7 | 0 | 1000 | 1000                | 1000       | 1000
                PCI  | 7 | 0 | 800  | 1000                | EINVAL     | EINVAL
                PCI  | 7 | 800 | 1000 | 1000              | EINVAL     | EINVAL
                PCI  | 7 | 0 | 1000 | 1800                | EINVAL     | EINVAL
                PCI  | 7 | 0 | 1000 | fee00000            | EINVAL     | EINVAL
                PCI  | 7 | 0 | 2000 | fedff000            | EINVAL     | EINVAL
                PCI  | 7 | 0 | 1000 | 8000000000          | EINVAL     | EINVAL
                PCI  | 7 | - | 1000 | 1000                | EFAULT     | EFAULT
                PCI  | 7 | f000 | 2000 | 1000             | EFAULT     | EFAULT
                PCI  | 6 | 1000 | 1000 | 0                | 1000       | 1000
                mtty | 7 | 0 | 800  | 1000                | EINVAL     | EINVAL
                mtty | 7 | - | 1000 | fee00000            | fee00000   | fee00000
                """);
    }

    @ParameterizedTest(name = "{0}: {1} flags {2} {3} {4} at {5}: {6}")
    @MethodSource("mappings")
    void memoryIsMapped(KernelProfile kernel, String attached, int flags, String offset, String length, String iova,
            String expected) {
        Program program = Program.on(Program.machine(kernel).mtty(MTTY, 1));
        int iommufd = Cdevs.iommufd(program);
        int ioas = ioas(program, iommufd);
        if (!attached.equals("none")) {
            int device = attached.equals("PCI") ? boundFunction(program, iommufd, PF) : boundMtty(program, iommufd);
            success(attach(program, device, ioas));
        }
        long address = offset.equals("-") ? 0 : memory.address() + number(offset);
        assertThat(map(program, iommufd, ioas, flags, address, number(length), number(iova))).isEqualTo(expected);
        assertThat(unmap(program, iommufd, ioas, 0, -1))
                .isEqualTo(expected.startsWith("E") ? "0" : Long.toHexString(number(length)));
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void theKernelTakesTheFirstPlaceThatFits(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int ioas = ioas(program, iommufd);
        assertThat(map(program, iommufd, ioas, 0, PAGE, 2 * PAGE)).isEqualTo("2000");
        assertThat(map(program, iommufd, ioas, READABLE, memory.address(), PAGE, 0)).isEqualTo("1000");
        assertThat(map(program, iommufd, ioas, READABLE, memory.address(), PAGE, 0)).isEqualTo("3000");
        assertThat(map(program, iommufd, ioas, READABLE, memory.address(), 3 * PAGE, 0)).isEqualTo("4000");
        assertThat(map(program, iommufd, ioas, READABLE, memory.address(), 4 * PAGE, 0)).isEqualTo("8000");
        assertThat(map(program, iommufd, ioas, READABLE, memory.address() + PAGE, 2 * PAGE, 0)).isEqualTo("c000");
        assertThat(map(program, iommufd, ioas, READABLE, memory.address(), 1L << 40, 0)).isEqualTo("200000");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void mappingsAreNotCutAndThoseBeforeAreGone(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int ioas = ioas(program, iommufd);
        map(program, iommufd, ioas, 0, PAGE, PAGE);
        map(program, iommufd, ioas, 0, 2 * PAGE, 2 * PAGE);
        assertThat(map(program, iommufd, ioas, 0, 2 * PAGE, 3 * PAGE)).isEqualTo("EEXIST");
        assertThat(unmap(program, iommufd, ioas, 0, 3 * PAGE)).isEqualTo("ENOENT");
        assertThat(map(program, iommufd, ioas, 0, PAGE, PAGE)).isEqualTo("1000");
        assertThat(unmap(program, iommufd, ioas, 3 * PAGE, PAGE)).isEqualTo("ENOENT");
        assertThat(unmap(program, iommufd, ioas, PAGE, 0)).isEqualTo("EINVAL");
        assertThat(unmap(program, iommufd, ioas, PAGE, -1)).isEqualTo("EOVERFLOW");
        assertThat(unmap(program, iommufd, ioas, -2, 3)).isEqualTo("EOVERFLOW");
        assertThat(unmap(program, iommufd, ioas + 1, 0, -1)).isEqualTo("ENOENT");
        assertThat(unmap(program, iommufd, ioas, PAGE, 3 * PAGE)).isEqualTo("3000");
        assertThat(unmap(program, iommufd, ioas, PAGE, 3 * PAGE)).isEqualTo("ENOENT");
        assertThat(unmap(program, iommufd, ioas, 0, -1)).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void whatIsMappedIsMappedOnceMore(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int source = ioas(program, iommufd);
        int target = ioas(program, iommufd);
        map(program, iommufd, source, 0, PAGE, PAGE);
        map(program, iommufd, source, 4 * PAGE, PAGE, 2 * PAGE);
        map(program, iommufd, source, FIXED | READABLE, memory.address(), PAGE, 4 * PAGE);
        int flags = FIXED | READABLE;
        assertThat(copy(program, iommufd, flags, target, source, 2 * PAGE, 0, PAGE)).isEqualTo("0");
        assertThat(unmap(program, iommufd, target, 0, PAGE)).isEqualTo("1000");
        assertThat(unmap(program, iommufd, target, PAGE, PAGE)).isEqualTo("1000");
        assertThat(copy(program, iommufd, flags, target, source, 16, 5, PAGE + 9)).isEqualTo("5");
        assertThat(copy(program, iommufd, flags, target, source, 16, 6, PAGE + 9)).isEqualTo("EEXIST");
        assertThat(copy(program, iommufd, flags, target, source, 3 * PAGE, 0, PAGE)).isEqualTo("ENOENT");
        assertThat(copy(program, iommufd, flags, 77, source, PAGE, 0, PAGE)).isEqualTo("ENOENT");
        assertThat(copy(program, iommufd, flags, target, 77, PAGE, 0, PAGE)).isEqualTo("ENOENT");
        assertThat(copy(program, iommufd, flags, target, source, 0, 0, PAGE)).isEqualTo("EINVAL");
        assertThat(copy(program, iommufd, flags, target, source, -2, 0, PAGE)).isEqualTo("EOVERFLOW");
        assertThat(copy(program, iommufd, flags, target, source, PAGE, -1, PAGE)).isEqualTo("EOVERFLOW");
        assertThat(copy(program, iommufd, 8, target, source, PAGE, 0, PAGE)).isEqualTo("EOPNOTSUPP");
        assertThat(copy(program, iommufd, FIXED, target, source, PAGE, 0, PAGE)).isEqualTo("EINVAL");
        // What was mapped for reading only is not written by way of a copy.
        assertThat(copy(program, iommufd, FIXED | WRITEABLE, target, source, PAGE, 8 * PAGE, 4 * PAGE))
                .isEqualTo("EPERM");
        assertThat(copy(program, iommufd, READABLE, target, source, PAGE, 8 * PAGE, 4 * PAGE)).isEqualTo("1000");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void devicesNarrowWhatCanBeMapped(KernelProfile kernel) {
        Program program = Program.on(Program.machine(kernel).mtty(MTTY, 1));
        int iommufd = Cdevs.iommufd(program);
        int ioas = ioas(program, iommufd);
        assertThat(ranges(program, iommufd, ioas, 3)).isEqualTo("0 1 by 1: 0-ffffffffffffffff");
        assertThat(ranges(program, iommufd, ioas, 0)).isEqualTo("EMSGSIZE 1 by 1:");
        assertThat(ranges(program, iommufd, 77, 0)).isEqualTo("ENOENT 0 by 0:");
        int mtty = boundMtty(program, iommufd);
        success(attach(program, mtty, ioas));
        assertThat(ranges(program, iommufd, ioas, 1)).isEqualTo("0 1 by 4096: 0-ffffffffffffffff");
        int function = boundFunction(program, iommufd, PF);
        success(attach(program, function, ioas));
        assertThat(ranges(program, iommufd, ioas, 3)).isEqualTo("0 2 by 4096: 0-fedfffff fef00000-7fffffffff");
        assertThat(ranges(program, iommufd, ioas, 1)).isEqualTo("EMSGSIZE 2 by 4096: 0-fedfffff");
        int second = boundFunction(program, iommufd, PLAIN);
        success(attach(program, second, ioas));
        success(detach(program, function));
        assertThat(ranges(program, iommufd, ioas, 0)).isEqualTo("EMSGSIZE 2 by 4096:");
        success(attach(program, second, ioas(program, iommufd)));
        assertThat(ranges(program, iommufd, ioas, 0)).isEqualTo("EMSGSIZE 1 by 4096:");
        program.close(mtty);
        assertThat(ranges(program, iommufd, ioas, 0)).isEqualTo("EMSGSIZE 1 by 1:");
        MemorySegment nowhere = argument(32, ioas, 1, 0, 0, 0);
        assertThat(answer(program.process().ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES(), nowhere))).isEqualTo("EFAULT");
        nowhere.set(JAVA_INT, 12, 1);
        assertThat(answer(program.process().ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES(), nowhere))).isEqualTo("EOPNOTSUPP");
    }

    private static Stream<Arguments> obstacles() {
        // device | offset of the memory, - for none | length | iova | answers of ATTACH
        return Tables.byCdevKernel("""
                PCI  | 0 | 1000 | 1000             | 0          | 0
                PCI  | 0 | 1    | 1000             | errno 98   | errno 98
                PCI  | 1 | 1000 | 1000             | errno 98   | errno 98
                PCI  | 0 | 1000 | 1                | errno 98   | errno 98
                PCI  | 0 | 1000 | fee00000         | errno 98   | errno 98
                PCI  | 0 | 1000 | 8000000000       | errno 98   | errno 98
                PCI  | - | 1000 | 1000             | EFAULT     | EFAULT
                mtty | - | 1000 | fee00000         | 0          | 0
                mtty | 0 | 1    | 1000             | errno 98   | errno 98
                """);
    }

    @ParameterizedTest(name = "{0}: {1} after {2} {3} at {4}: {5}")
    @MethodSource("obstacles")
    void whatIsMappedCanKeepADeviceAway(KernelProfile kernel, String kind, String offset, String length, String iova,
            String expected) {
        Program program = Program.on(Program.machine(kernel).mtty(MTTY, 1));
        int iommufd = Cdevs.iommufd(program);
        int ioas = ioas(program, iommufd);
        int device = kind.equals("PCI") ? boundFunction(program, iommufd, PF) : boundMtty(program, iommufd);
        long address = offset.equals("-") ? 0 : memory.address() + number(offset);
        map(program, iommufd, ioas, 7, address, number(length), number(iova));
        assertThat(answer(Math.min(0, attach(program, device, ioas)))).isEqualTo(expected);
        assertThat(unmap(program, iommufd, ioas, 0, -1)).isEqualTo(Long.toHexString(number(length)));
        success(attach(program, device, ioas));
    }

    // In place of a container

    private String mapDma(Program program, int iommufd, int flags, long size, long iova) {
        MemorySegment argument = argument(32, flags, 0, iova, size, 0);
        argument.set(JAVA_LONG, 8, memory.address());
        return answer(program.process().ioctl(iommufd, VFIO_IOMMU_MAP_DMA(), argument, memory));
    }

    private String unmapDma(Program program, int iommufd, int flags, long iova, long size) {
        MemorySegment argument = argument(24, flags, 0, size, 0, 0);
        argument.set(JAVA_LONG, 8, iova);
        int result = program.process().ioctl(iommufd, VFIO_IOMMU_UNMAP_DMA(), argument);
        return answer(result) + " " + Long.toHexString(argument.get(JAVA_LONG, 16));
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aContainersRequestsMapInItsPlace(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int group = program.group(PF);
        success(program.setContainer(group, iommufd));
        assertThat(mapDma(program, iommufd, 3, 4 * PAGE, PAGE)).isEqualTo("0");
        assertThat(mapDma(program, iommufd, 3, PAGE, PAGE)).isEqualTo("EEXIST");
        assertThat(mapDma(program, iommufd, 0, PAGE, 8 * PAGE)).isEqualTo("0");
        assertThat(unmapDma(program, iommufd, 0, 0, 2 * PAGE)).isEqualTo("ENOENT 0");
        assertThat(unmapDma(program, iommufd, 2, 0, 1)).isEqualTo("EINVAL 1");
        // The first version of type1 cuts.
        success(program.ioctl(iommufd, VFIO_SET_IOMMU(), 1));
        assertThat(unmapDma(program, iommufd, 0, 0, 2 * PAGE + 1)).isEqualTo("EINVAL 2001");
        assertThat(unmapDma(program, iommufd, 0, 0, 2 * PAGE)).isEqualTo("0 1000");
        assertThat(unmapDma(program, iommufd, 0, 3 * PAGE, PAGE)).isEqualTo("0 1000");
        assertThat(unmapDma(program, iommufd, 2, 0, 0)).isEqualTo("0 3000");
        assertThat(unmapDma(program, iommufd, 2, 0, 0)).isEqualTo("0 0");
        success(program.deviceFd(group, PF));
        assertThat(mapDma(program, iommufd, 3, PAGE, 0xfee00000L)).isEqualTo("EINVAL");
        assertThat(mapDma(program, iommufd, 3, PAGE, PAGE)).isEqualTo("0");
    }

    @Test
    void aContainersInformationIsWrittenAsFarAsThereIsRoom() {
        Program program = Program.on(KernelProfile.LINUX_7_2.withCdev());
        int iommufd = Cdevs.iommufd(program);
        int group = program.group(PF);
        success(program.setContainer(group, iommufd));
        success(program.deviceFd(group, PF));
        for (int argsz : new int[]{16, 24, 36, 40, 56, 72, 88, 200}) {
            MemorySegment info = arena.allocate(200, 8);
            info.set(JAVA_INT, 0, argsz);
            success(program.process().ioctl(iommufd, VFIO_IOMMU_GET_INFO(), info));
            assertThat(info.get(JAVA_INT, 0)).as("needed").isEqualTo(88);
            assertThat(info.get(JAVA_LONG, 8)).as("page sizes").isEqualTo(0x40201000L);
            assertThat(info.get(JAVA_INT, 16)).as("offset of the chain").isEqualTo(argsz >= 88 ? 24 : 0);
            assertThat(info.get(JAVA_SHORT, 24)).as("first capability").isEqualTo((short) (argsz >= 36 ? 3 : 0));
            assertThat(info.get(JAVA_INT, 28)).as("next").isEqualTo(argsz >= 40 ? 40 : 0);
            assertThat(info.get(JAVA_LONG, 64)).as("end of the first range").isEqualTo(argsz >= 72 ? 0xfedfffffL : 0);
            assertThat(info.get(JAVA_INT, 48)).as("ranges").isEqualTo(argsz >= 88 ? 2 : 0);
        }
    }
}
