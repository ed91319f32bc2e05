package io.github.vfio4j.emulation;

import static io.github.vfio4j.backend.Fcntl.EFD_NONBLOCK;
import static io.github.vfio4j.backend.Fcntl.O_RDONLY;
import static io.github.vfio4j.backend.Fcntl.O_RDWR;
import static io.github.vfio4j.backend.Fcntl.O_WRONLY;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;
import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HexFormat;
import java.util.Map;
import java.util.UUID;

/**
 * A program on an emulated kernel that makes raw system calls, and the answers in the words of the tests' tables: a
 * number, or the name of an errno. Holds no memory between calls, so that threads can share it.
 */
record Program(EmulatedKernel kernel, EmulatedProcess process) {

    /** A physical function on vfio-pci that can have two virtual ones. */
    static final String PF = "0000:01:00.0";
    /** Its first virtual function. */
    static final String VF = "0000:01:00.1";
    /** Its second virtual function. */
    static final String VF2 = "0000:01:00.2";
    /** A function on vfio-pci without SR-IOV. */
    static final String PLAIN = "0000:02:00.0";

    static final String TOKEN = "00112233-4455-6677-8899-aabbccddeeff";
    static final String OTHER_TOKEN = "10112233-4455-6677-8899-aabbccddeeff";

    static final String ENABLE_SRIOV = "/sys/module/vfio_pci/parameters/enable_sriov";

    static final int TYPE1V2 = 3;

    private static final Map<Long, String> ERRNO = Map.ofEntries(Map.entry(1L, "EPERM"), Map.entry(2L, "ENOENT"),
            Map.entry(4L, "EINTR"), Map.entry(5L, "EIO"), Map.entry(7L, "E2BIG"), Map.entry(9L, "EBADF"),
            Map.entry(11L, "EAGAIN"), Map.entry(12L, "ENOMEM"), Map.entry(13L, "EACCES"), Map.entry(14L, "EFAULT"),
            Map.entry(16L, "EBUSY"), Map.entry(17L, "EEXIST"), Map.entry(19L, "ENODEV"), Map.entry(22L, "EINVAL"),
            Map.entry(24L, "EMFILE"), Map.entry(25L, "ENOTTY"), Map.entry(28L, "ENOSPC"), Map.entry(29L, "ESPIPE"),
            Map.entry(34L, "ERANGE"), Map.entry(75L, "EOVERFLOW"), Map.entry(77L, "EBADFD"),
            Map.entry(95L, "EOPNOTSUPP"));

    /** The machine of the constants above. */
    static EmulatedKernel.Builder machine(KernelProfile profile) {
        return EmulatedKernel.builder(profile).pciFunction(PF, function -> function.sriov(2).memoryBar(0, 16384))
                .pciFunction(PLAIN, function -> function.memoryBar(0, 16384));
    }

    /** A program on the machine of the constants above. */
    static Program on(KernelProfile profile) {
        return on(machine(profile));
    }

    static Program on(EmulatedKernel.Builder machine) {
        return on(machine.build());
    }

    static Program on(EmulatedKernel kernel) {
        return new Program(kernel, kernel.newProcess());
    }

    /** A program on the machine of the constants above, with both virtual functions and a known token. */
    static Program withVirtualFunctions(KernelProfile profile) {
        Program program = on(profile);
        program.createVirtualFunctions(2);
        program.close(program.device(PF + " vf_token=" + TOKEN));
        return program;
    }

    /** A result as the tables write it: the number, or the name of the errno. */
    static String answer(long result) {
        return result >= 0 ? Long.toString(result) : ERRNO.getOrDefault(-result, "errno " + -result);
    }

    /** A result that is a descriptor if it is not an errno: {@code fd}, or the name of the errno. */
    static String opened(long result) {
        return result >= 0 ? "fd" : answer(result);
    }

    /** The 16 bytes of a UUID in text order. */
    static byte[] uuid(String text) {
        return HexFormat.of().parseHex(text.replace("-", ""));
    }

    int open(String path) {
        return process.open(path, O_RDWR);
    }

    void close(int fd) {
        assertThat(answer(process.close(fd))).isEqualTo("0");
    }

    /** An ioctl with a null pointer. */
    int ioctl(int fd, long request) {
        return process.ioctl(fd, request, MemorySegment.NULL);
    }

    /** An ioctl whose argument is a number and no pointer. */
    int ioctl(int fd, long request, long value) {
        return process.ioctl(fd, request, MemorySegment.ofAddress(value));
    }

    /** An ioctl on exactly these bytes of memory. */
    int ioctlOn(int fd, long request, byte... bytes) {
        try (Arena arena = Arena.ofConfined()) {
            return process.ioctl(fd, request, arena.allocateFrom(JAVA_BYTE, bytes));
        }
    }

    int container() {
        return success(open("/dev/vfio/vfio"));
    }

    /** The path of a function's group. */
    String groupPath(String function) {
        String link = link("/sys/bus/pci/devices/" + function + "/iommu_group");
        return "/dev/vfio" + link.substring(link.lastIndexOf('/'));
    }

    /** The path of a mediated device's group. */
    String mdevGroupPath(UUID uuid) {
        String link = link("/sys/bus/mdev/devices/" + uuid + "/iommu_group");
        return "/dev/vfio" + link.substring(link.lastIndexOf('/'));
    }

    int group(String function) {
        return success(open(groupPath(function)));
    }

    int setContainer(int group, int container) {
        try (Arena arena = Arena.ofConfined()) {
            return process.ioctl(group, VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(JAVA_INT_UNALIGNED, container));
        }
    }

    int setIommu(int container, long type) {
        return ioctl(container, VFIO_SET_IOMMU(), type);
    }

    /** The function's group, in a container of its own with an IOMMU; the container's descriptor is closed again. */
    int readyGroup(String function) {
        return readyGroupAt(groupPath(function));
    }

    /** The same by the path of the group. */
    int readyGroupAt(String path) {
        int group = success(open(path));
        int container = container();
        success(setContainer(group, container));
        success(setIommu(container, TYPE1V2));
        close(container);
        return group;
    }

    int deviceFd(int group, String text) {
        return ioctlOn(group, VFIO_GROUP_GET_DEVICE_FD(), (text + "\0").getBytes(ISO_8859_1));
    }

    /** Opens a device through a group that nothing else keeps open: closing it closes all. */
    int device(String text) {
        int group = readyGroup(text.substring(0, PF.length()));
        int device = deviceFd(group, text);
        close(group);
        return device;
    }

    /** VFIO_DEVICE_FEATURE on 8 + data.length bytes of memory. */
    int feature(int device, int flags, int argsz, byte... data) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(8L + data.length);
            argument.set(JAVA_INT_UNALIGNED, 0, argsz);
            argument.set(JAVA_INT_UNALIGNED, 4, flags);
            MemorySegment.copy(data, 0, argument, JAVA_BYTE, 8, data.length);
            return process.ioctl(device, VFIO_DEVICE_FEATURE(), argument);
        }
    }

    /** Feature 0, SET. */
    int setToken(int device, String token) {
        return feature(device, VFIO_DEVICE_FEATURE_SET(), 24, uuid(token));
    }

    /** A write to a file in one piece: the result of open(2) if that fails, of write(2) otherwise. */
    long write(String path, String text) {
        int fd = process.open(path, O_WRONLY);
        if (fd < 0) {
            return fd;
        }
        long written = write(fd, text.getBytes(ISO_8859_1));
        close(fd);
        return written;
    }

    long write(int fd, byte... bytes) {
        try (Arena arena = Arena.ofConfined()) {
            return process.write(fd, arena.allocateFrom(JAVA_BYTE, bytes));
        }
    }

    /** What a file holds, or the name of the errno of open(2). */
    String read(String path) {
        int fd = process.open(path, O_RDONLY);
        if (fd < 0) {
            return answer(fd);
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(4096);
            long length = process.read(fd, buffer);
            assertThat(length).isNotNegative();
            close(fd);
            return new String(buffer.asSlice(0, length).toArray(JAVA_BYTE), ISO_8859_1);
        }
    }

    /** Where a symbolic link points, or the name of the errno. */
    String link(String path) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(4096);
            long length = process.readlink(path, buffer);
            return length < 0 ? answer(length) : new String(buffer.asSlice(0, length).toArray(JAVA_BYTE), ISO_8859_1);
        }
    }

    /** Writes sriov_numvfs. */
    long setNumVfs(String function, String count) {
        return write("/sys/bus/pci/devices/" + function + "/sriov_numvfs", count);
    }

    /** Makes the physical function of the constants above have that many virtual ones. */
    void createVirtualFunctions(int count) {
        assertThat(answer(write(ENABLE_SRIOV, "1"))).isEqualTo("1");
        assertThat(answer(setNumVfs(PF, Integer.toString(count)))).isEqualTo("1");
    }

    /** An eventfd whose reads don't block. */
    int eventfd() {
        return success(process.eventfd(0, EFD_NONBLOCK));
    }

    /** Reads an eventfd of any kind: its value, or the name of the errno. */
    String readEventfd(int fd) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(8);
            long read = process.read(fd, buffer);
            return read < 0 ? answer(read) : Long.toUnsignedString(buffer.get(JAVA_LONG_UNALIGNED, 0));
        }
    }

    /** Writes a number to an eventfd. */
    String writeEventfd(int fd, long value) {
        try (Arena arena = Arena.ofConfined()) {
            return answer(process.write(fd, arena.allocateFrom(JAVA_LONG_UNALIGNED, value)));
        }
    }

    /** Opens files until there is no descriptor left. */
    void useUpDescriptors() {
        int fd = open("/dev/null");
        while (fd >= 0) {
            fd = open("/dev/null");
        }
        assertThat(answer(fd)).isEqualTo("EMFILE");
    }

    /** For calls that a test makes on its way: the result, which must not be an errno. */
    static int success(int result) {
        assertThat(opened(result)).isEqualTo("fd");
        return result;
    }
}
