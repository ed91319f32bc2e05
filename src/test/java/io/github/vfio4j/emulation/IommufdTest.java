package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Cdevs.IOMMU_DESTROY;
import static io.github.vfio4j.emulation.Cdevs.IOMMU_IOAS_ALLOC;
import static io.github.vfio4j.emulation.Cdevs.IOMMU_VFIO_IOAS;
import static io.github.vfio4j.emulation.Cdevs.attach;
import static io.github.vfio4j.emulation.Cdevs.bind;
import static io.github.vfio4j.emulation.Cdevs.bindForId;
import static io.github.vfio4j.emulation.Cdevs.clearCompatIoas;
import static io.github.vfio4j.emulation.Cdevs.compatIoas;
import static io.github.vfio4j.emulation.Cdevs.destroy;
import static io.github.vfio4j.emulation.Cdevs.detach;
import static io.github.vfio4j.emulation.Cdevs.ioas;
import static io.github.vfio4j.emulation.Cdevs.setCompatIoas;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_COPY;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_IOVA_RANGES;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_UNMAP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_CHECK_EXTENSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_DETACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GET_API_VERSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_STATUS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** /dev/iommu: its objects (linux/iommufd.h), devices attached to them (semantics §E.6), and in place of a container. */
class IommufdTest {

    private static final String CDEV_KERNELS = "io.github.vfio4j.emulation.Tables#cdevKernels";
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    private static int number(String request) {
        return switch (request) {
            case "DESTROY" -> IOMMU_DESTROY;
            case "IOAS_ALLOC" -> IOMMU_IOAS_ALLOC;
            case "VFIO_IOAS" -> IOMMU_VFIO_IOAS;
            case "GET_API_VERSION" -> VFIO_GET_API_VERSION();
            case "CHECK_EXTENSION" -> VFIO_CHECK_EXTENSION();
            case "SET_IOMMU" -> VFIO_SET_IOMMU();
            case "GET_INFO" -> VFIO_IOMMU_GET_INFO();
            case "MAP" -> VFIO_IOMMU_MAP_DMA();
            case "UNMAP" -> VFIO_IOMMU_UNMAP_DMA();
            case "DIRTY_PAGES" -> VFIO_IOMMU_DIRTY_PAGES();
            default -> throw new IllegalArgumentException(request);
        };
    }

    private static Stream<Arguments> arguments() {
        // request | mapped bytes | the structure's size | where a byte is 1 | answer; object 1 exists and is not needed
        return Tables.byCdevKernel("""
                DESTROY    | 3  | 8  | -  | EFAULT     | EFAULT
                DESTROY    | 4  | 7  | -  | EINVAL     | EINVAL
                DESTROY    | 4  | 8  | -  | EFAULT     | EFAULT
                DESTROY    | 8  | 0  | 4  | EINVAL     | EINVAL
                DESTROY    | 8  | 8  | -  | ENOENT     | ENOENT
                DESTROY    | 8  | 8  | 4  | 0          | 0
                DESTROY    | 8  | 9  | 4  | EFAULT     | EFAULT
                DESTROY    | 64 | 64 | 4  | 0          | 0
                DESTROY    | 64 | 64 | 63 | E2BIG      | E2BIG
                DESTROY    | 20 | 64 | 8  | E2BIG      | E2BIG
                DESTROY    | 64 | 63 | 63 | ENOENT     | ENOENT
                IOAS_ALLOC | 12 | 8  | -  | EINVAL     | EINVAL
                IOAS_ALLOC | 11 | 12 | -  | EFAULT     | EFAULT
                IOAS_ALLOC | 12 | 12 | -  | 0          | 0
                IOAS_ALLOC | 12 | 12 | 4  | EOPNOTSUPP | EOPNOTSUPP
                IOAS_ALLOC | 12 | 12 | 7  | EOPNOTSUPP | EOPNOTSUPP
                IOAS_ALLOC | 16 | 16 | 8  | 0          | 0
                IOAS_ALLOC | 16 | 16 | 12 | E2BIG      | E2BIG
                VFIO_IOAS  | 12 | 8  | -  | EINVAL     | EINVAL
                VFIO_IOAS  | 12 | 12 | -  | ENODEV     | ENODEV
                VFIO_IOAS  | 12 | 12 | 8  | ENOENT     | ENOENT
                VFIO_IOAS  | 12 | 12 | 9  | EOPNOTSUPP | EOPNOTSUPP
                VFIO_IOAS  | 12 | 12 | 10 | EOPNOTSUPP | EOPNOTSUPP
                VFIO_IOAS  | 13 | 13 | 12 | E2BIG      | E2BIG
                """);
    }

    @ParameterizedTest(name = "{0}: {1}, {2} bytes, size {3}, 1 at {4}: {5}")
    @MethodSource("arguments")
    void aRequestBeginsWithItsSize(KernelProfile kernel, String request, int mapped, int size, String one,
            String answer) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        assertThat(ioas(program, iommufd)).isEqualTo(1);
        int number = number(request);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(64).asSlice(0, mapped);
            argument.asSlice(0, Math.min(4, mapped))
                    .copyFrom(MemorySegment.ofArray(new int[]{size}).asSlice(0, Math.min(4, mapped)));
            if (!one.equals("-")) {
                argument.set(JAVA_BYTE, Integer.parseInt(one), (byte) 1);
            }
            byte[] before = argument.toArray(JAVA_BYTE);
            assertThat(answer(program.process().ioctl(iommufd, number, argument))).isEqualTo(answer);
            if (number == IOMMU_IOAS_ALLOC && answer.equals("0")) {
                before[8] = 2;
            }
            assertThat(argument.toArray(JAVA_BYTE)).isEqualTo(before);
        }
    }

    private static Stream<Arguments> numbers() {
        // number | answer to a null pointer, to a structure
        return Tables.byCdevKernel("""
                0x3b7f     | ENOTTY ENOTTY | ENOTTY ENOTTY
                0x3b67     | ENOTTY ENOTTY | ENOTTY ENOTTY
                0x80       | EFAULT ENOTTY | EFAULT ENOTTY
                0xc0083b80 | EFAULT ENOTTY | EFAULT ENOTTY
                0x3c81     | EFAULT ENOTTY | EFAULT ENOTTY
                0x3c8f     | ENOTTY ENOTTY | EFAULT ENOTTY
                0x3c94     | ENOTTY ENOTTY | EFAULT ENOTTY
                0x3b95     | ENOTTY ENOTTY | ENOTTY ENOTTY
                0x3bff     | ENOTTY ENOTTY | ENOTTY ENOTTY
                0x3c64     | ENOTTY ENOTTY | ENOTTY ENOTTY
                """);
    }

    @ParameterizedTest(name = "{0}: {1}: {2}")
    @MethodSource("numbers")
    void otherNumbersAreUnknown(KernelProfile kernel, String number, String answers) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int request = Long.decode(number).intValue();
        assertThat(answer(program.ioctl(iommufd, request)) + " "
                + answer(Cdevs.ioctl(program, iommufd, request, 12, 0, 0))).isEqualTo(answers);
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void whatItDoesNotModelItSays(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int last = kernel.version().equals("6.12") ? 0x3b8e : 0x3b94;
        Set<Integer> modelled = Set.of(IOMMU_VFIO_IOAS, IOMMU_IOAS_MAP(), IOMMU_IOAS_UNMAP(), IOMMU_IOAS_COPY(),
                IOMMU_IOAS_IOVA_RANGES());
        for (int request = IOMMU_DESTROY + 2; request <= last; request++) {
            int number = request;
            assertThat(answer(program.ioctl(iommufd, number))).isEqualTo("EFAULT");
            if (!modelled.contains(request)) {
                assertThatThrownBy(() -> Cdevs.ioctl(program, iommufd, number, 64, 0, 0))
                        .isInstanceOf(NotModelledException.class);
            }
        }
        assertThat(answer(program.ioctl(iommufd, last + 1))).isEqualTo("ENOTTY");
        assertThat(answer(program.write(iommufd, (byte) 1))).isEqualTo("EINVAL");
        assertThat(program.process().openDescriptors()).isEqualTo(4);
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void objectsHaveTheLowestFreeNumbers(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        for (int id = 1; id <= 4; id++) {
            assertThat(ioas(program, iommufd)).isEqualTo(id);
        }
        for (int id : new int[]{0, 5, -1, Integer.MIN_VALUE}) {
            assertThat(answer(destroy(program, iommufd, id))).isEqualTo("ENOENT");
        }
        assertThat(answer(destroy(program, iommufd, 2))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, 2))).isEqualTo("ENOENT");
        assertThat(bindForId(program, Cdevs.open(program, PF), iommufd)).isEqualTo(2);
        assertThat(ioas(program, iommufd)).isEqualTo(5);
        // Another iommufd has objects of its own.
        assertThat(ioas(program, Cdevs.iommufd(program))).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void anObjectThatCouldNotBeToldIsGone(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = Cdevs.words(arena, 12, 0, 0).asReadOnly();
            assertThat(answer(program.process().ioctl(iommufd, IOMMU_IOAS_ALLOC, argument))).isEqualTo("EFAULT");
        }
        assertThat(answer(destroy(program, iommufd, 1))).isEqualTo("ENOENT");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void theCompatibleAddressSpaceIsAnyOfThem(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        assertThat(answer(compatIoas(program, iommufd))).isEqualTo("ENODEV");
        int device = bindForId(program, Cdevs.open(program, PF), iommufd);
        int first = ioas(program, iommufd);
        int second = ioas(program, iommufd);
        for (int id : new int[]{0, 9, device}) {
            assertThat(answer(setCompatIoas(program, iommufd, id))).isEqualTo("ENOENT");
        }
        assertThat(answer(setCompatIoas(program, iommufd, first))).isEqualTo("0");
        assertThat(compatIoas(program, iommufd)).isEqualTo(first);
        assertThat(answer(setCompatIoas(program, iommufd, second))).isEqualTo("0");
        assertThat(compatIoas(program, iommufd)).isEqualTo(second);
        assertThat(answer(clearCompatIoas(program, iommufd))).isEqualTo("0");
        assertThat(answer(clearCompatIoas(program, iommufd))).isEqualTo("0");
        assertThat(answer(compatIoas(program, iommufd))).isEqualTo("ENODEV");
        assertThat(answer(setCompatIoas(program, iommufd, second))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, second))).isEqualTo("0");
        assertThat(answer(compatIoas(program, iommufd))).isEqualTo("ENODEV");
    }

    private static Stream<Arguments> containerRequests() {
        // request | argument | without an address space | with one
        return Tables.cdevKernels().flatMap(kernel -> Tables.rows("""
                CHECK_EXTENSION | 1    | 1      | 1
                CHECK_EXTENSION | 3    | 1      | 1
                CHECK_EXTENSION | 4    | ENODEV | 1
                CHECK_EXTENSION | 6    | 0      | 0
                CHECK_EXTENSION | 8    | 0      | 0
                CHECK_EXTENSION | 9    | 1      | 1
                CHECK_EXTENSION | 10   | 0      | 0
                CHECK_EXTENSION | 0    | 0      | 0
                CHECK_EXTENSION | -1   | 0      | 0
                CHECK_EXTENSION | 0x100000001 | 0 | 0
                SET_IOMMU       | 1    | ENODEV | 0
                SET_IOMMU       | 3    | ENODEV | 0
                SET_IOMMU       | 0    | EINVAL | EINVAL
                SET_IOMMU       | 6    | EINVAL | EINVAL
                SET_IOMMU       | 8    | EINVAL | EINVAL
                SET_IOMMU       | 0x100000001 | EINVAL | EINVAL
                GET_API_VERSION | 42   | 0      | 0
                DIRTY_PAGES     | 0    | ENOTTY | ENOTTY
                """).map(row -> Arguments.of(kernel, row.get(0), row.get(1), row.get(2), row.get(3))));
    }

    @ParameterizedTest(name = "{0}: {1} {2}: {3}, {4}")
    @MethodSource("containerRequests")
    void answersAsAContainer(KernelProfile kernel, String request, String argument, String without, String with) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        long value = Long.decode(argument);
        int number = number(request);
        assertThat(answer(program.ioctl(iommufd, number, value))).isEqualTo(without);
        success(setCompatIoas(program, iommufd, ioas(program, iommufd)));
        assertThat(answer(program.ioctl(iommufd, number, value))).isEqualTo(with);
        assertThat(answer(program.ioctl(iommufd, number, value))).isEqualTo(with);
    }

    private static Stream<Arguments> mappingRequests() {
        // request | words of memory | argsz | flags | answer | answer with an address space
        return Tables.cdevKernels().flatMap(kernel -> Tables.rows("""
                GET_INFO | 3 | 16 | 0 | EFAULT | EFAULT
                GET_INFO | 4 | 15 | 0 | EINVAL | EINVAL
                GET_INFO | 4 | 16 | 9 | ENODEV | 0
                GET_INFO | 4 | 24 | 0 | ENODEV | EFAULT
                MAP      | 7 | 32 | 3 | EFAULT | EFAULT
                MAP      | 8 | 31 | 3 | EINVAL | EINVAL
                MAP      | 8 | 32 | 4 | EINVAL | EINVAL
                MAP      | 8 | 32 | 7 | EINVAL | EINVAL
                MAP      | 8 | 32 | 0 | ENODEV | EINVAL
                MAP      | 8 | 32 | 3 | ENODEV | EINVAL
                UNMAP    | 5 | 24 | 0 | EFAULT | EFAULT
                UNMAP    | 6 | 23 | 0 | EINVAL | EINVAL
                UNMAP    | 6 | 24 | 1 | EINVAL | EINVAL
                UNMAP    | 6 | 24 | 4 | EINVAL | EINVAL
                UNMAP    | 6 | 24 | 0 | ENODEV | EINVAL
                UNMAP    | 6 | 24 | 2 | ENODEV | 0
                """).map(row -> Arguments.of(kernel, row.get(0), Integer.parseInt(row.get(1)),
                Integer.parseInt(row.get(2)), Integer.parseInt(row.get(3)), row.get(4), row.get(5))));
    }

    @ParameterizedTest(name = "{0}: {1}, {2} words, argsz {3}, flags {4}: {5}")
    @MethodSource("mappingRequests")
    void aContainersMappingNeedsAnAddressSpace(KernelProfile kernel, String request, int words, int argsz, int flags,
            String without, String with) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int number = number(request);
        int[] argument = new int[words];
        argument[0] = argsz;
        argument[1] = flags;
        assertThat(answer(Cdevs.ioctl(program, iommufd, number, argument))).isEqualTo(without);
        success(setCompatIoas(program, iommufd, ioas(program, iommufd)));
        assertThat(answer(Cdevs.ioctl(program, iommufd, number, argument))).isEqualTo(with);
    }

    // Attached devices

    private static Stream<Arguments> attachArguments() {
        // request | words of memory | argsz | flags | vfio-pci 6.12 | 7.2 | mdev 6.12 | 7.2
        return Tables.rows("""
                ATTACH | 2 | 12 | 0 | EFAULT | EFAULT     | EFAULT | EFAULT
                ATTACH | 3 | 11 | 0 | EINVAL | EINVAL     | EINVAL | EINVAL
                ATTACH | 3 | 12 | 0 | ENOENT | ENOENT     | ENOENT | ENOENT
                ATTACH | 3 | 12 | 2 | EINVAL | EINVAL     | EINVAL | EINVAL
                ATTACH | 3 | 12 | 3 | EINVAL | EINVAL     | EINVAL | EINVAL
                ATTACH | 3 | 12 | 1 | EINVAL | EINVAL     | EINVAL | EOPNOTSUPP
                ATTACH | 3 | 16 | 1 | EINVAL | EFAULT     | EINVAL | EOPNOTSUPP
                ATTACH | 4 | 15 | 1 | EINVAL | EINVAL     | EINVAL | EOPNOTSUPP
                DETACH | 1 | 8  | 0 | EFAULT | EFAULT     | EFAULT | EFAULT
                DETACH | 2 | 7  | 0 | EINVAL | EINVAL     | EINVAL | EINVAL
                DETACH | 2 | 8  | 0 | 0      | 0          | 0      | 0
                DETACH | 2 | 8  | 2 | EINVAL | EINVAL     | EINVAL | EINVAL
                DETACH | 2 | 8  | 1 | EINVAL | EINVAL     | EINVAL | EOPNOTSUPP
                DETACH | 2 | 12 | 1 | EINVAL | EFAULT     | EINVAL | EOPNOTSUPP
                DETACH | 3 | 12 | 1 | EINVAL | 0          | EINVAL | EOPNOTSUPP
                """)
                .flatMap(row -> Stream.of(false, true)
                        .flatMap(mdev -> Tables.cdevKernels()
                                .map(kernel -> Arguments.of(kernel, mdev, row.get(0), Integer.parseInt(row.get(1)),
                                        Integer.parseInt(row.get(2)), Integer.parseInt(row.get(3)),
                                        row.get((mdev ? 6 : 4) + (kernel.attachPasids() ? 1 : 0))))));
    }

    @ParameterizedTest(name = "{0}, mdev {1}: {2}, {3} words, argsz {4}, flags {5}: {6}")
    @MethodSource("attachArguments")
    void attachAndDetachCheckTheirArguments(KernelProfile kernel, boolean mdev, String request, int words, int argsz,
            int flags, String answer) {
        Program program = Program.on(Program.machine(kernel).mtty(MTTY, 1));
        int device = success(program.open(mdev ? mdevPath(program) : Cdevs.path(program, PF)));
        success(bind(program, device, Cdevs.iommufd(program)));
        int number = request.equals("ATTACH") ? VFIO_DEVICE_ATTACH_IOMMUFD_PT() : VFIO_DEVICE_DETACH_IOMMUFD_PT();
        int[] argument = new int[words];
        argument[0] = argsz;
        if (words > 1) {
            argument[1] = flags;
        }
        assertThat(answer(Cdevs.ioctl(program, device, number, argument))).isEqualTo(answer);
    }

    private static String mdevPath(Program program) {
        return Cdevs.path(program, "/sys/bus/mdev/devices/", MTTY.toString());
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aDeviceBehindTheIommuIsAttachedToAPageTable(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int device = Cdevs.open(program, PF);
        int id = bindForId(program, device, iommufd);
        int space = ioas(program, iommufd);
        assertThat(answer(attach(program, device, 77))).isEqualTo("ENOENT");
        assertThat(answer(attach(program, device, id))).isEqualTo("EINVAL");
        int table = attach(program, device, space);
        assertThat(table).isEqualTo(3);
        // Once more is the same, by either number.
        assertThat(attach(program, device, space)).isEqualTo(table);
        assertThat(attach(program, device, table)).isEqualTo(table);
        for (int needed : new int[]{id, space, table}) {
            assertThat(answer(destroy(program, iommufd, needed))).isEqualTo("EBUSY");
        }
        // Moved, it leaves the other free; what fails moves nothing.
        int other = ioas(program, iommufd);
        assertThat(attach(program, device, other)).isEqualTo(5);
        assertThat(answer(attach(program, device, table))).isEqualTo("ENOENT");
        assertThat(answer(destroy(program, iommufd, space))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, other))).isEqualTo("EBUSY");
        assertThat(answer(detach(program, device))).isEqualTo("0");
        assertThat(answer(detach(program, device))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, 5))).isEqualTo("ENOENT");
        assertThat(attach(program, device, other)).isEqualTo(2);
        // Its end is the end of all that was made for it.
        program.close(device);
        assertThat(answer(destroy(program, iommufd, id))).isEqualTo("ENOENT");
        assertThat(answer(destroy(program, iommufd, other))).isEqualTo("0");
        assertThat(ioas(program, iommufd)).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void devicesShareAPageTable(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int first = Cdevs.open(program, PF);
        int second = Cdevs.open(program, PLAIN);
        success(bind(program, first, iommufd));
        success(bind(program, second, iommufd));
        int space = ioas(program, iommufd);
        int table = attach(program, first, space);
        assertThat(attach(program, second, space)).isEqualTo(table);
        assertThat(answer(detach(program, first))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, table))).isEqualTo("EBUSY");
        assertThat(attach(program, first, table)).isEqualTo(table);
        program.close(first);
        program.close(second);
        assertThat(answer(destroy(program, iommufd, table))).isEqualTo("ENOENT");
        assertThat(answer(destroy(program, iommufd, space))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void theDevicesOfAGroupAreAttachedAlike(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PF, function -> function.group(7))
                .pciFunction(PLAIN, function -> function.group(7)));
        int iommufd = Cdevs.iommufd(program);
        int first = Cdevs.open(program, PF);
        int second = Cdevs.open(program, PLAIN);
        success(bind(program, first, iommufd));
        success(bind(program, second, iommufd));
        int space = ioas(program, iommufd);
        int other = ioas(program, iommufd);
        int table = attach(program, first, space);
        assertThat(answer(attach(program, second, other))).isEqualTo("EINVAL");
        assertThat(answer(destroy(program, iommufd, other))).isEqualTo("0");
        assertThat(attach(program, second, space)).isEqualTo(table);
        // A move of one is a move of all.
        other = ioas(program, iommufd);
        int moved = attach(program, second, other);
        assertThat(answer(destroy(program, iommufd, space))).isEqualTo("0");
        assertThat(attach(program, first, other)).isEqualTo(moved);
        assertThat(answer(detach(program, second))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, other))).isEqualTo("EBUSY");
        assertThat(answer(detach(program, first))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, other))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aDeviceThatImitatesDmaIsAttachedToTheAddressSpaceItself(KernelProfile kernel) {
        Program program = Program.on(Program.machine(kernel).mtty(MTTY, 1));
        int iommufd = Cdevs.iommufd(program);
        int device = success(program.open(mdevPath(program)));
        int id = bindForId(program, device, iommufd);
        int space = ioas(program, iommufd);
        assertThat(answer(attach(program, device, 77))).isEqualTo("ENOENT");
        assertThat(answer(attach(program, device, id))).isEqualTo("ENOENT");
        assertThat(attach(program, device, space)).isEqualTo(space);
        assertThat(attach(program, device, space)).isEqualTo(space);
        assertThat(answer(destroy(program, iommufd, space))).isEqualTo("EBUSY");
        assertThat(answer(destroy(program, iommufd, id))).isEqualTo("EBUSY");
        int other = ioas(program, iommufd);
        assertThat(attach(program, device, other)).isEqualTo(other);
        assertThat(answer(destroy(program, iommufd, space))).isEqualTo("0");
        assertThat(answer(detach(program, device))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, other))).isEqualTo("0");
        assertThat(answer(detach(program, device))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void memoryThatCantBeWrittenDetachesAgain(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int device = Cdevs.open(program, PF);
        success(bind(program, device, iommufd));
        int space = ioas(program, iommufd);
        success(attach(program, device, space));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = Cdevs.words(arena, 12, 0, space).asReadOnly();
            assertThat(answer(program.process().ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT(), argument)))
                    .isEqualTo("EFAULT");
        }
        assertThat(answer(destroy(program, iommufd, space))).isEqualTo("0");
    }

    // In place of a container

    private static String status(Program program, int group) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment status = Cdevs.words(arena, 8, 0);
            success(program.process().ioctl(group, VFIO_GROUP_GET_STATUS(), status));
            return Integer.toString(status.get(JAVA_INT, 4));
        }
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aGroupUsesAnIommufdAsAContainer(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int group = program.group(PF);
        assertThat(status(program, group)).isEqualTo("1");
        assertThat(answer(program.setContainer(group, iommufd))).isEqualTo("0");
        assertThat(status(program, group)).isEqualTo("3");
        assertThat(compatIoas(program, iommufd)).isEqualTo(1);
        for (int again : new int[]{iommufd, Cdevs.iommufd(program), program.container()}) {
            assertThat(answer(program.setContainer(group, again))).isEqualTo("EINVAL");
        }
        // SET_IOMMU is not needed.
        int device = success(program.deviceFd(group, PF));
        assertThat(answer(program.feature(device, 1 << 18, 8))).isEqualTo("0");
        assertThat(answer(destroy(program, iommufd, 1))).isEqualTo("EBUSY");
        assertThat(answer(attach(program, device, 1))).isEqualTo("ENOTTY");
        assertThat(answer(detach(program, device))).isEqualTo("ENOTTY");
        // With an open device the group can leave; the device stays, and so is nobody else's.
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("0");
        assertThat(answer(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()))).isEqualTo("EINVAL");
        assertThat(status(program, group)).isEqualTo("0");
        assertThat(answer(program.setContainer(group, program.container()))).isEqualTo("EPERM");
        assertThat(opened(program.deviceFd(group, PF))).isEqualTo("EINVAL");
        assertThat(answer(program.feature(device, 1 << 18, 8))).isEqualTo("0");
        program.close(device);
        assertThat(status(program, group)).isEqualTo("1");
        assertThat(answer(program.setContainer(group, program.container()))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void anAddressSpaceThatIsThereIsUsed(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        ioas(program, iommufd);
        success(setCompatIoas(program, iommufd, ioas(program, iommufd)));
        int group = program.group(PF);
        success(program.setContainer(group, iommufd));
        assertThat(compatIoas(program, iommufd)).isEqualTo(2);
        assertThat(ioas(program, iommufd)).isEqualTo(3);
        // Without one a device can't be opened, and nothing of the attempt is left.
        success(clearCompatIoas(program, iommufd));
        int descriptors = program.process().openDescriptors();
        assertThat(opened(program.deviceFd(group, PF))).isEqualTo("ENODEV");
        assertThat(program.process().openDescriptors()).isEqualTo(descriptors);
        assertThat(ioas(program, iommufd)).isEqualTo(4);
        assertThat(status(program, group)).isEqualTo("3");
        success(setCompatIoas(program, iommufd, 3));
        assertThat(opened(program.deviceFd(group, PF))).isEqualTo("fd");
        assertThat(answer(destroy(program, iommufd, 3))).isEqualTo("EBUSY");
        assertThat(answer(program.ioctl(iommufd, VFIO_CHECK_EXTENSION(), 4))).isEqualTo("0");
    }

    /** Unlike in a container. */
    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void openDevicesDoNotKeepTheGroupOpen(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int iommufd = Cdevs.iommufd(program);
        int group = program.group(PF);
        success(program.setContainer(group, iommufd));
        int device = success(program.deviceFd(group, PF));
        program.close(group);
        int again = success(program.open(program.groupPath(PF)));
        assertThat(status(program, again)).isEqualTo("0");
        assertThat(opened(program.open(program.groupPath(PF)))).isEqualTo("EBUSY");
        int own = Cdevs.open(program, PF);
        assertThat(answer(bind(program, own, iommufd))).isEqualTo("EBUSY");
        program.close(again);
        assertThat(answer(bind(program, own, iommufd))).isEqualTo("EINVAL");
        assertThat(answer(program.feature(device, 1 << 18, 8))).isEqualTo("0");
        program.close(device);
        assertThat(answer(bind(program, own, iommufd))).isEqualTo("0");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void onlyTheFirstOpeningBinds(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int first = Cdevs.iommufd(program);
        int second = Cdevs.iommufd(program);
        int group = program.group(PF);
        success(program.setContainer(group, first));
        int device = success(program.deviceFd(group, PF));
        int another = success(program.deviceFd(group, PF));
        success(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()));
        success(program.setContainer(group, second));
        int third = success(program.deviceFd(group, PF));
        // Space, device and page table there, only a space here.
        assertThat(ioas(program, first)).isEqualTo(4);
        assertThat(ioas(program, second)).isEqualTo(2);
        program.close(device);
        program.close(another);
        assertThat(answer(destroy(program, first, 2))).isEqualTo("EBUSY");
        program.close(third);
        assertThat(answer(destroy(program, first, 2))).isEqualTo("ENOENT");
    }

    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aGroupWithADriverOfTheHostFailsWhenADeviceIsOpened(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PF, function -> function.group(7))
                .pciFunction(PLAIN, function -> function.group(7).driver("nvme")));
        int group = success(program.open("/dev/vfio/7"));
        assertThat(status(program, group)).isEqualTo("0");
        assertThat(answer(program.setContainer(group, Cdevs.iommufd(program)))).isEqualTo("0");
        assertThat(status(program, group)).isEqualTo("3");
        int descriptors = program.process().openDescriptors();
        assertThat(opened(program.deviceFd(group, PF))).isEqualTo("EPERM");
        assertThat(program.process().openDescriptors()).isEqualTo(descriptors);
    }

    /** What only a device without an IOMMU allows, and no kernel survives unharmed. */
    @ParameterizedTest
    @MethodSource(CDEV_KERNELS)
    void aBoundDeviceIsNotOpenedThroughAContainer(KernelProfile kernel) {
        Program program = Program.on(EmulatedKernel.builder(kernel).mtty(MTTY, 1));
        int group = success(program.open("/dev/vfio/0"));
        success(program.setContainer(group, Cdevs.iommufd(program)));
        int device = success(program.deviceFd(group, MTTY.toString()));
        success(program.ioctl(group, VFIO_GROUP_UNSET_CONTAINER()));
        assertThat(status(program, group)).isEqualTo("1");
        int container = program.container();
        success(program.setContainer(group, container));
        success(program.setIommu(container, 1));
        int descriptors = program.process().openDescriptors();
        assertThatThrownBy(() -> program.deviceFd(group, MTTY.toString())).isInstanceOf(KernelHazardException.class);
        assertThat(program.process().openDescriptors()).isEqualTo(descriptors);
        program.close(device);
        assertThat(opened(program.deviceFd(group, MTTY.toString()))).isEqualTo("fd");
    }
}
