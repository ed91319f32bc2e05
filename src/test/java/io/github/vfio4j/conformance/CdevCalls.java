package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.iommufd_h.IOMMU_DESTROY;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_ALLOC;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_VFIO_IOAS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_CHECK_EXTENSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_DETACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GET_API_VERSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_STATUS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

/**
 * The calls on /dev/iommu and on the devices' own files, right and wrong, in right and wrong states; on a kernel without
 * either, what is there instead. It expects nothing; two kernels are compared by it.
 */
final class CdevCalls {

    private static final int UNKNOWN_REQUEST = 0x3bff;
    private static final int FIRST_REQUEST = 0x3b64;
    private static final int LAST_REQUEST = 0x3b79;

    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_SHARED = 1;

    private static final int NOT_OPEN = 9999;
    private static final int LARGEST = 64;

    private static final String PCI_DEVICES = "/sys/bus/pci/devices/";
    private static final String MDEVS = "/sys/bus/mdev/devices/";

    private static final MemorySegment TOKEN = token("00112233445566778899aabbccddeeff");
    private static final MemorySegment OTHER_TOKEN = token("00112233445566778899aabbccddeef0");

    private final IoctlBackend backend;
    private final Arena arena;

    private CdevCalls(IoctlBackend backend, Arena arena) {
        this.backend = backend;
        this.arena = arena;
    }

    private static MemorySegment token(String hex) {
        return Arena.global().allocateFrom(ValueLayout.JAVA_BYTE, HexFormat.of().parseHex(hex));
    }

    /**
     * On the functions of a machine, and on mediated devices.
     *
     * @param withoutData
     *            runs calls of which what is read depends on the device
     */
    static void run(Machine machine, Consumer<Runnable> withoutData, List<UUID> mediatedDevices) {
        try (Arena arena = Arena.ofConfined()) {
            CdevCalls calls = new CdevCalls(machine.backend(), arena);
            calls.iommufd();
            String physicalFunction = PCI_DEVICES + machine.physicalFunction();
            calls.device(PCI_DEVICES + machine.plainFunction());
            calls.device(physicalFunction);
            mediatedDevices.forEach(device -> calls.device(MDEVS + device));
            List<String> all = new ArrayList<>(List.of(PCI_DEVICES + machine.plainFunction(), physicalFunction));
            mediatedDevices.forEach(device -> all.add(MDEVS + device));
            calls.sharing(all);
            HotResetCalls hotReset = new HotResetCalls(machine.backend(), withoutData, arena);
            calls.hotReset(PCI_DEVICES + machine.plainFunction(), hotReset::throughCdev);
            calls.hotReset(physicalFunction, hotReset::throughCdev);
            mediatedDevices.forEach(device -> calls.hotReset(MDEVS + device, hotReset::unknown));
            new IoasCalls(calls, machine.backend(), arena).run(all);
            calls.tokens(physicalFunction, PCI_DEVICES + machine.physicalFunction().plus(1));
        }
    }

    // Files

    int open(String path) {
        return backend.open(path, Fcntl.O_RDWR);
    }

    /** The path of a device's own file, by the only way without a list of a directory: trying all names. */
    String cdev(String sysfs) {
        for (int number = 0; number < 8; number++) {
            int fd = backend.open(sysfs + "/vfio-dev/vfio" + number + "/dev", Fcntl.O_RDONLY);
            if (fd >= 0) {
                backend.close(fd);
                return "/dev/vfio/devices/vfio" + number;
            }
        }
        return "/dev/vfio/devices/vfio";
    }

    String group(String sysfs) {
        MemorySegment target = arena.allocate(256);
        int length = (int) backend.readlink(sysfs + "/iommu_group", target);
        String link = new String(target.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII);
        return "/dev/vfio" + link.substring(link.lastIndexOf('/'));
    }

    /** Reading and writing on a descriptor that can do neither. */
    private void files(int fd) {
        MemorySegment buffer = arena.allocate(8);
        backend.read(fd, buffer);
        backend.read(fd, buffer.asSlice(0, 0));
        backend.write(fd, buffer);
        backend.pread(fd, buffer, 0);
        backend.pread(fd, buffer, -1);
        backend.pwrite(fd, buffer, 0);
    }

    // Requests

    int ioctl(int fd, int request, long value) {
        return backend.ioctl(fd, request, MemorySegment.ofAddress(value));
    }

    /** Words in memory that is larger than any structure, and zero behind them. */
    MemorySegment words(int... values) {
        MemorySegment memory = arena.allocate(LARGEST, Long.BYTES);
        MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_INT, 0, values.length);
        return memory;
    }

    private int ioctlOn(int fd, int request, int... values) {
        return backend.ioctl(fd, request, words(values));
    }

    /** A new address space; as nothing needs it, the next look at all numbers destroys it. */
    int ioas(int iommufd) {
        MemorySegment argument = words(12, 0, 0);
        backend.ioctl(iommufd, IOMMU_IOAS_ALLOC(), argument);
        return argument.get(ValueLayout.JAVA_INT, 8);
    }

    void destroy(int iommufd, int id) {
        ioctlOn(iommufd, IOMMU_DESTROY(), 8, id);
    }

    void vfioIoas(int iommufd, int operation, int id) {
        ioctlOn(iommufd, IOMMU_VFIO_IOAS(), 12, id, operation);
    }

    int setContainer(int group, int fd) {
        return ioctlOn(group, VFIO_GROUP_SET_CONTAINER(), fd);
    }

    int deviceFd(int group, String sysfs) {
        return backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(),
                arena.allocateFrom(sysfs.substring(sysfs.lastIndexOf('/') + 1)));
    }

    int bind(int cdev, int iommufd) {
        MemorySegment argument = words(16, 0, iommufd, 0);
        backend.ioctl(cdev, VFIO_DEVICE_BIND_IOMMUFD(), argument);
        return argument.get(ValueLayout.JAVA_INT, 12);
    }

    private int bind(int cdev, int iommufd, MemorySegment token) {
        MemorySegment argument = words(24, 1, iommufd, 0);
        argument.set(ValueLayout.JAVA_LONG, 16, token.address());
        return backend.ioctl(cdev, VFIO_DEVICE_BIND_IOMMUFD(), argument, token);
    }

    int attach(int device, int target) {
        MemorySegment argument = words(12, 0, target);
        backend.ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT(), argument);
        return argument.get(ValueLayout.JAVA_INT, 8);
    }

    void detach(int device) {
        ioctlOn(device, VFIO_DEVICE_DETACH_IOMMUFD_PT(), 8, 0);
    }

    private void feature(int fd) {
        ioctlOn(fd, VFIO_DEVICE_FEATURE(), 8, 1 << 18);
    }

    private void status(int group) {
        ioctlOn(group, VFIO_GROUP_GET_STATUS(), 8, 0);
    }

    /** Which of the first numbers stand for something that is needed. */
    void census(int iommufd) {
        for (int id = 1; id < 8; id++) {
            destroy(iommufd, id);
        }
    }

    // An iommufd alone

    private void iommufd() {
        int iommufd = open("/dev/iommu");
        backend.readlink("/dev/iommu", arena.allocate(8));
        if (iommufd < 0) {
            return;
        }
        files(iommufd);
        compat(iommufd);
        numbers(iommufd);
        objects(iommufd);
        compat(iommufd);
        vfioIoas(iommufd, 1, ioas(iommufd));
        extensions(iommufd);
        for (long type : new long[]{1, 3, 3, 0, 6, 8, 1L << 32 | 1}) {
            ioctl(iommufd, VFIO_SET_IOMMU(), type);
        }
        int readOnly = backend.open("/dev/iommu", Fcntl.O_RDONLY);
        ioas(readOnly);
        files(readOnly);
        backend.close(readOnly);
        backend.close(iommufd);
    }

    private void extensions(int iommufd) {
        // NOIOMMU (8) is a matter of how the kernel has been built.
        for (long extension : new long[]{-1, 0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 100, 1L << 32, 1L << 32 | 1}) {
            ioctl(iommufd, VFIO_CHECK_EXTENSION(), extension);
        }
    }

    /** The requests of a container, without an address space for them. */
    private void compat(int iommufd) {
        ioctl(iommufd, VFIO_GET_API_VERSION(), 42);
        extensions(iommufd);
        for (int type = 0; type < 12; type++) {
            ioctl(iommufd, VFIO_SET_IOMMU(), type);
        }
        for (int request = 0x3b70; request <= LAST_REQUEST; request++) {
            ioctl(iommufd, request, 0);
            for (int argsz : new int[]{0, 8, 15, 16, 23, 24, 31, 32, 48}) {
                for (int flags : new int[]{0, 1, 2, 3, 4, 8}) {
                    ioctlOn(iommufd, request, argsz, flags);
                }
            }
        }
    }

    /** Numbers that only look like an iommufd's requests, or are none. */
    private void numbers(int iommufd) {
        for (int request : new int[]{0, FIRST_REQUEST - 1, VFIO_GROUP_GET_STATUS(), 0x3b7f, 0x80, 0x8b80, 0xc0083b80,
                0x80043b81, 0x3c88, 0x3b95, 0x3ba0, UNKNOWN_REQUEST}) {
            ioctl(iommufd, request, 0);
            ioctlOn(iommufd, request, 8, 1);
        }
        for (int request = IOMMU_DESTROY(); request <= 0x3b94; request++) {
            ioctl(iommufd, request, 0);
        }
    }

    private void objects(int iommufd) {
        sizes(iommufd, IOMMU_DESTROY());
        sizes(iommufd, IOMMU_VFIO_IOAS());
        sizes(iommufd, IOMMU_IOAS_ALLOC());
        census(iommufd);
        for (int flags : new int[]{1, 2, -1}) {
            ioctlOn(iommufd, IOMMU_IOAS_ALLOC(), 12, flags);
        }
        for (int i = 0; i < 4; i++) {
            ioas(iommufd);
        }
        for (int id : new int[]{0, -1, Integer.MIN_VALUE, 5, 2, 2}) {
            destroy(iommufd, id);
        }
        ioas(iommufd);
        ioas(iommufd);
        for (int operation : new int[]{0, 3, -1, 0x10000, 0x10001, 0x20002}) {
            vfioIoas(iommufd, operation, 1);
        }
        for (int id : new int[]{0, -1, 99, 3}) {
            vfioIoas(iommufd, 1, id);
            vfioIoas(iommufd, 0, 77);
        }
        vfioIoas(iommufd, 2, 3);
        vfioIoas(iommufd, 0, 0);
        vfioIoas(iommufd, 1, 3);
        destroy(iommufd, 3);
        vfioIoas(iommufd, 0, 0);
        census(iommufd);
    }

    void sizes(int iommufd, int request) {
        for (int size : new int[]{0, 4, 7, 8, 9, 11, 12, 13, 16, 24, 31, 32, 39, 40, 41, LARGEST}) {
            for (int at : new int[]{0, 4, 5, 8, 12, 13, 15, LARGEST - 1}) {
                MemorySegment argument = words(size);
                if (at > 0) {
                    argument.set(ValueLayout.JAVA_BYTE, at, (byte) 0x10);
                }
                backend.ioctl(iommufd, request, argument);
            }
        }
    }

    // A device and its group

    private void device(String sysfs) {
        String cdev = cdev(sysfs);
        String group = group(sysfs);
        int iommufd = open("/dev/iommu");
        int device = open(cdev);
        groupBinding(group, sysfs, iommufd);
        if (device >= 0) {
            gate(device);
            bindChecks(device);
            bound(device, cdev, group, iommufd);
            claims(cdev, group, sysfs);
            inPlaceOfAContainer(cdev, group, sysfs);
        }
        backend.close(device);
        backend.close(iommufd);
    }

    /** The requests of a cdev on what came from a group. */
    private void groupBinding(String path, String sysfs, int iommufd) {
        int container = open("/dev/vfio/vfio");
        int group = open(path);
        setContainer(group, container);
        ioctl(container, VFIO_SET_IOMMU(), 1);
        int device = deviceFd(group, sysfs);
        bindChecks(device);
        bind(device, iommufd);
        bind(device, iommufd, TOKEN);
        attach(device, 1);
        detach(device);
        backend.close(device);
        backend.close(group);
        backend.close(container);
    }

    /** Before it is bound. */
    private void gate(int device) {
        for (int request = FIRST_REQUEST; request <= LAST_REQUEST; request++) {
            ioctl(device, request, 0);
            ioctlOn(device, request, 0, 0);
        }
        ioctl(device, UNKNOWN_REQUEST, 0);
        feature(device);
        attach(device, 1);
        detach(device);
        files(device);
        backend.mmap(Arena.global(), 4096, PROT_READ_WRITE, MAP_SHARED, device, 0);
    }

    /** Arguments of BIND, all wrong somewhere. */
    private void bindChecks(int device) {
        int none = open("/dev/null");
        ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), 0);
        for (int argsz : new int[]{0, 4, 12, 15, 16, 17, 20, 23, 24, 25, 32, LARGEST}) {
            for (int flags : new int[]{0, 1, 2, 3, 0x80000000, -1}) {
                for (int iommufd : new int[]{-1, Integer.MIN_VALUE, NOT_OPEN, none, device}) {
                    bindBadly(device, words(argsz, flags, iommufd, 0));
                }
            }
            for (int at : new int[]{12, 24, 31, LARGEST - 1}) {
                MemorySegment argument = words(argsz, 0, none, 0);
                argument.set(ValueLayout.JAVA_BYTE, at, (byte) 1);
                bindBadly(device, argument);
            }
        }
        for (int argsz : new int[]{16, 20, 23, 24, 32}) {
            MemorySegment argument = words(argsz, 1, none, 0);
            argument.set(ValueLayout.JAVA_LONG, 16, TOKEN.address());
            // Half a pointer leads nowhere on the real kernel either.
            backend.ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), argument, TOKEN);
        }
        backend.close(none);
    }

    private void bindBadly(int device, MemorySegment argument) {
        backend.ioctl(device, VFIO_DEVICE_BIND_IOMMUFD(), argument);
    }

    private void bound(int device, String cdev, String group, int iommufd) {
        int first = ioas(iommufd);
        int id = bind(device, iommufd);
        bind(device, iommufd);
        bind(device, -1);
        bind(device, NOT_OPEN);
        bind(device, iommufd, TOKEN);
        int second = open(cdev);
        bind(second, iommufd);
        bind(second, NOT_OPEN);
        feature(second);
        open(group);
        feature(device);
        ioctl(device, UNKNOWN_REQUEST, 0);
        ioctl(device, VFIO_GROUP_GET_STATUS(), 0);
        attaching(device, iommufd, first, id);
        // The iommufd lives on in the device.
        int other = open("/dev/iommu");
        bind(second, other);
        backend.close(device);
        bind(second, other);
        destroy(iommufd, id);
        census(iommufd);
        backend.close(other);
        attach(second, 1);
        attach(second, 2);
        feature(second);
        backend.close(second);
        backend.close(open(group));
    }

    private void attaching(int device, int iommufd, int ioas, int id) {
        ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT(), 0);
        ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT(), 0);
        for (int argsz : new int[]{0, 7, 8, 11, 12, 15}) {
            for (int flags : new int[]{0, 1, 2, 3, -1}) {
                ioctlOn(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT(), argsz, flags, 0, 0);
                ioctlOn(device, VFIO_DEVICE_DETACH_IOMMUFD_PT(), argsz, flags, 7, 0);
            }
        }
        for (int target : new int[]{0, -1, 77, id}) {
            attach(device, target);
        }
        vfioIoas(iommufd, 1, ioas);
        extensions(iommufd);
        int table = attach(device, ioas);
        extensions(iommufd);
        attach(device, ioas);
        attach(device, table);
        attach(device, 77);
        attach(device, id);
        census(iommufd);
        int other = ioas(iommufd);
        int moved = attach(device, other);
        attach(device, table);
        attach(device, other);
        destroy(iommufd, ioas);
        attach(device, moved);
        attach(device, other);
        census(iommufd);
        detach(device);
        detach(device);
        attach(device, table);
        attach(device, moved);
        int third = ioas(iommufd);
        attach(device, third);
        destroy(iommufd, other);
        detach(device);
        destroy(iommufd, third);
        int last = ioas(iommufd);
        attach(device, last);
    }

    private void hotReset(String sysfs, BiConsumer<Integer, Integer> calls) {
        int iommufd = open("/dev/iommu");
        int device = open(cdev(sysfs));
        if (device >= 0) {
            bind(device, iommufd);
            calls.accept(device, iommufd);
        }
        backend.close(device);
        backend.close(iommufd);
    }

    /** Who comes first, the group or the device's own file. */
    private void claims(String cdev, String path, String sysfs) {
        int iommufd = open("/dev/iommu");
        int device = open(cdev);
        int group = open(path);
        bind(device, iommufd);
        bind(device, NOT_OPEN);
        bind(device, iommufd, OTHER_TOKEN);
        int container = open("/dev/vfio/vfio");
        setContainer(group, container);
        ioctl(container, VFIO_SET_IOMMU(), 1);
        int opened = deviceFd(group, sysfs);
        backend.close(group);
        bind(device, iommufd);
        backend.close(opened);
        bind(device, iommufd);
        open(path);
        backend.close(device);
        int again = open(path);
        status(again);
        backend.close(again);
        backend.close(container);
        backend.close(iommufd);
    }

    private void inPlaceOfAContainer(String cdev, String path, String sysfs) {
        int iommufd = open("/dev/iommu");
        int other = open("/dev/iommu");
        int container = open("/dev/vfio/vfio");
        int group = open(path);
        ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), 0);
        status(group);
        setContainer(group, iommufd);
        setContainer(group, iommufd);
        setContainer(group, other);
        setContainer(group, container);
        setContainer(group, NOT_OPEN);
        status(group);
        vfioIoas(iommufd, 0, 0);
        vfioIoas(other, 0, 0);
        ioctl(iommufd, VFIO_SET_IOMMU(), 3);
        vfioIoas(iommufd, 2, 0);
        deviceFd(group, sysfs);
        census(iommufd);
        ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), 0);
        ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), 0);
        setContainer(group, iommufd);
        int device = deviceFd(group, sysfs);
        int second = deviceFd(group, sysfs);
        deviceFd(group, sysfs + "0");
        deviceFd(group, sysfs + " vf_token=");
        census(iommufd);
        extensions(iommufd);
        feature(device);
        bind(device, iommufd);
        attach(device, 1);
        detach(device);
        ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), 0);
        status(group);
        deviceFd(group, sysfs);
        setContainer(group, other);
        status(group);
        int third = deviceFd(group, sysfs);
        census(other);
        backend.close(third);
        int cdevFile = open(cdev);
        bind(cdevFile, iommufd);
        backend.close(group);
        bind(cdevFile, iommufd);
        bind(cdevFile, other);
        int again = open(path);
        open(path);
        status(again);
        backend.close(device);
        feature(second);
        census(iommufd);
        backend.close(second);
        census(iommufd);
        status(again);
        setContainer(again, container);
        status(again);
        backend.close(again);
        bind(cdevFile, other);
        census(other);
        backend.close(cdevFile);
        backend.close(container);
        backend.close(other);
        backend.close(iommufd);
    }

    // Devices together

    /** All in one iommufd: those behind the IOMMU can share a page table. */
    private void sharing(List<String> devices) {
        int iommufd = open("/dev/iommu");
        if (iommufd < 0) {
            return;
        }
        List<Integer> files = devices.stream().map(this::cdev).map(this::open).toList();
        files.forEach(file -> bind(file, iommufd));
        for (int round = 0; round < 3; round++) {
            int space = ioas(iommufd);
            for (int file : files) {
                attach(file, space);
                census(iommufd);
            }
        }
        files.forEach(this::detach);
        census(iommufd);
        int table = attach(files.getFirst(), ioas(iommufd));
        files.forEach(file -> attach(file, table));
        for (int file : files) {
            detach(file);
            census(iommufd);
        }
        files.forEach(backend::close);
        census(iommufd);
        backend.close(iommufd);
    }

    // Tokens

    private void tokens(String physicalFunction, String virtualFunction) {
        int iommufd = open("/dev/iommu");
        int owner = open(cdev(physicalFunction));
        int second = open(cdev(physicalFunction));
        if (owner < 0) {
            backend.close(iommufd);
            return;
        }
        bind(owner, iommufd, TOKEN);
        setNumVfs(physicalFunction, "1");
        String cdev = cdev(virtualFunction);
        int virtual = open(cdev);
        int closed = NOT_OPEN;
        for (int file : new int[]{closed, owner, iommufd}) {
            bind(virtual, file);
            bind(virtual, file, OTHER_TOKEN);
        }
        // A failing BIND of the physical function sets the token, as long as nobody uses a virtual one.
        bind(second, closed, OTHER_TOKEN);
        bind(virtual, closed, TOKEN);
        bind(virtual, closed, OTHER_TOKEN);
        bind(second, iommufd, TOKEN);
        bind(virtual, iommufd, OTHER_TOKEN);
        bind(virtual, iommufd, TOKEN);
        bind(virtual, iommufd, TOKEN);
        feature(virtual);
        int sibling = open(cdev);
        for (int file : new int[]{closed, iommufd}) {
            bind(sibling, file);
            bind(sibling, file, OTHER_TOKEN);
            bind(sibling, file, TOKEN);
            bind(second, file);
            bind(second, file, OTHER_TOKEN);
            bind(second, file, TOKEN);
        }
        backend.close(virtual);
        bind(second, iommufd);
        bind(second, closed, OTHER_TOKEN);
        bind(sibling, iommufd, TOKEN);
        bind(sibling, iommufd, OTHER_TOKEN);
        backend.close(sibling);
        setNumVfs(physicalFunction, "0");
        open(cdev);
        backend.close(second);
        backend.close(owner);
        backend.close(iommufd);
    }

    private void setNumVfs(String function, String count) {
        int attribute = backend.open(function + "/sriov_numvfs", Fcntl.O_WRONLY);
        backend.write(attribute, arena.allocateFrom(count, StandardCharsets.US_ASCII).asSlice(0, count.length()));
        backend.close(attribute);
    }
}
