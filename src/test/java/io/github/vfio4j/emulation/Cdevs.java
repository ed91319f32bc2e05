package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_DETACH_IOMMUFD_PT;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import io.github.vfio4j.uapi.iommufd_h;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** What the tests of iommufds and of devices' own files do with a {@link Program}. */
final class Cdevs {

    static final int IOMMU_DESTROY = iommufd_h.IOMMU_DESTROY();
    static final int IOMMU_IOAS_ALLOC = iommufd_h.IOMMU_IOAS_ALLOC();
    static final int IOMMU_VFIO_IOAS = iommufd_h.IOMMU_VFIO_IOAS();

    static final int NOT_OPEN = 999;

    private static final String PCI_DEVICES = "/sys/bus/pci/devices/";

    private Cdevs() {
    }

    /** A PCI function's own file, found as a program does that can't list directories. */
    static String path(Program program, String function) {
        return path(program, PCI_DEVICES, function);
    }

    static String path(Program program, String devices, String name) {
        return IntStream.range(0, 16).mapToObj(number -> "vfio" + number)
                .filter(file -> program.read(devices + name + "/vfio-dev/" + file + "/dev").matches("\\d+:\\d+\n"))
                .map(file -> "/dev/vfio/devices/" + file).findFirst().orElseThrow();
    }

    static int open(Program program, String function) {
        return success(program.open(path(program, function)));
    }

    static int iommufd(Program program) {
        return success(program.open("/dev/iommu"));
    }

    /** BIND without a token. */
    static int bind(Program program, int device, int iommufd) {
        return bind(program, device, iommufd, null);
    }

    /** BIND with a token where the kernel takes one; without elsewhere, or if it is null. */
    static int bind(Program program, int device, int iommufd, @Nullable String token) {
        boolean given = token != null && program.kernel().profile().bindTokens();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment uuid = given
                    ? arena.allocateFrom(JAVA_BYTE, Program.uuid(Objects.requireNonNull(token)))
                    : arena.allocate(16);
            MemorySegment bind = words(arena, 24, given ? 1 : 0, iommufd, 0, 0, 0);
            bind.set(JAVA_LONG, 16, uuid.address());
            return program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), bind, uuid);
        }
    }

    /** A bound device; the iommufd lives on in it only. */
    static int device(Program program, String function) {
        int iommufd = iommufd(program);
        int device = open(program, function);
        success(bind(program, device, iommufd));
        program.close(iommufd);
        return device;
    }

    /** The number a device gets in an iommufd. */
    static int bindForId(Program program, int device, int iommufd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bind = words(arena, 16, 0, iommufd, -1);
            success(program.process().ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), bind));
            return bind.get(JAVA_INT, 12);
        }
    }

    /** ATTACH: the number of what it is attached to then, or −errno. */
    static int attach(Program program, int device, int target) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment attach = words(arena, 12, 0, target);
            int result = program.process().ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT(), attach);
            return result == 0 ? attach.get(JAVA_INT, 8) : result;
        }
    }

    static int detach(Program program, int device) {
        return ioctl(program, device, VFIO_DEVICE_DETACH_IOMMUFD_PT(), 8, 0);
    }

    static int destroy(Program program, int iommufd, int id) {
        return ioctl(program, iommufd, IOMMU_DESTROY, 8, id);
    }

    /** A new address space: its number. */
    static int ioas(Program program, int iommufd) {
        return third(program, iommufd, IOMMU_IOAS_ALLOC, 8, 12, 0, -1);
    }

    /** IOMMU_VFIO_IOAS, GET: the number, or −errno. */
    static int compatIoas(Program program, int iommufd) {
        return third(program, iommufd, IOMMU_VFIO_IOAS, 4, 12, -1, 0);
    }

    static int setCompatIoas(Program program, int iommufd, int id) {
        return ioctl(program, iommufd, IOMMU_VFIO_IOAS, 12, id, 1);
    }

    static int clearCompatIoas(Program program, int iommufd) {
        return ioctl(program, iommufd, IOMMU_VFIO_IOAS, 12, 0, 2);
    }

    private static int third(Program program, int fd, int request, int offset, int... words) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = words(arena, words);
            int result = program.process().ioctl(fd, request, argument);
            return result == 0 ? argument.get(JAVA_INT, offset) : result;
        }
    }

    /** An ioctl on exactly these 32-bit words of memory. */
    static int ioctl(Program program, int fd, int request, int... words) {
        try (Arena arena = Arena.ofConfined()) {
            return program.process().ioctl(fd, request, words(arena, words));
        }
    }

    static MemorySegment words(Arena arena, int... words) {
        MemorySegment memory = arena.allocate(words.length * 4L, 8);
        return memory.copyFrom(MemorySegment.ofArray(words));
    }
}
