package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_CHECK_EXTENSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GET_API_VERSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_STATUS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The calls around the features, right and wrong, in right and wrong states: containers, groups, the opening of devices
 * with every kind of name. It expects nothing; two kernels are compared by it.
 */
final class LifecycleCalls {

    private static final int UNKNOWN_REQUEST = 0x3bff;
    private static final String TOKEN = "00112233-4455-6677-8899-aabbccddeeff";
    private static final String OTHER_TOKEN = "00112233-4455-6677-8899-aabbccddeef0";

    private static final List<String> NAME_ENDINGS = List.of("", " ", "    ", "x", "\t", ",", "\n", "0", " x", " foo=1",
            " vf_token", " vf_token=", " VF_TOKEN=" + TOKEN, " vf_token =" + TOKEN, " vf_token=" + TOKEN.substring(1),
            " vf_token={" + TOKEN + "}", " vf_token=" + TOKEN.replace('-', '0'), " vf_token=g" + TOKEN.substring(1),
            " vf_token=" + TOKEN + "x", " vf_token=" + TOKEN + "\n", " vf_token=" + TOKEN + " x",
            " vf_token=" + TOKEN + "vf_token=" + TOKEN, " vf_token=" + TOKEN + " vf_token=" + TOKEN,
            " foo=1 vf_token=" + TOKEN, " vf_token=" + TOKEN, "   vf_token=" + TOKEN + "   ",
            " vf_token=" + OTHER_TOKEN.toUpperCase(Locale.ROOT), " vf_token=" + OTHER_TOKEN, " vf_token=" + TOKEN, "",
            " ".repeat(4095 - 12), " ".repeat(4096 - 12));

    private final IoctlBackend backend;
    private final Arena arena;

    private LifecycleCalls(IoctlBackend backend, Arena arena) {
        this.backend = backend;
        this.arena = arena;
    }

    static void run(Machine machine) {
        try (Arena arena = Arena.ofConfined()) {
            LifecycleCalls calls = new LifecycleCalls(machine.backend(), arena);
            calls.container();
            calls.group(machine.physicalFunction());
            calls.group(machine.plainFunction());
            calls.descriptors();
        }
    }

    private void ioctl(int fd, int request, long value) {
        backend.ioctl(fd, request, MemorySegment.ofAddress(value));
    }

    private void extensions(int container) {
        // DMA_CC (4), once an IOMMU is set, is a property of the IOMMU and not of the kernel.
        for (long extension : new long[]{-1, 0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 100, 1L << 32}) {
            ioctl(container, VFIO_CHECK_EXTENSION(), extension);
        }
    }

    private void container() {
        int container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        ioctl(container, VFIO_GET_API_VERSION(), 0);
        ioctl(container, VFIO_GET_API_VERSION(), 42);
        extensions(container);
        ioctl(container, VFIO_CHECK_EXTENSION(), 4);
        for (int type = 0; type < 12; type++) {
            ioctl(container, VFIO_SET_IOMMU(), type);
        }
        ioctl(container, UNKNOWN_REQUEST, 0);
        ioctl(container, VFIO_GROUP_GET_STATUS(), 0);
        feature(container);
        files(container);
        backend.close(container);
    }

    /** Reading and writing what can't be, on a descriptor of any kind. */
    private void files(int fd) {
        MemorySegment buffer = arena.allocate(8);
        backend.read(fd, buffer);
        backend.write(fd, buffer);
        backend.pread(fd, buffer, 0);
        backend.pread(fd, buffer, -1);
        backend.pwrite(fd, buffer, 0);
    }

    private void feature(int fd) {
        MemorySegment probe = arena.allocate(8);
        probe.set(ValueLayout.JAVA_INT, 0, 8);
        probe.set(ValueLayout.JAVA_INT, 4, 1 << 18);
        backend.ioctl(fd, VFIO_DEVICE_FEATURE(), probe);
        backend.ioctl(fd, VFIO_DEVICE_FEATURE(), MemorySegment.NULL);
    }

    private void status(int group) {
        for (int argsz : new int[]{0, 7, 8, 16, -1}) {
            MemorySegment status = arena.allocate(8);
            status.set(ValueLayout.JAVA_INT, 0, argsz);
            backend.ioctl(group, VFIO_GROUP_GET_STATUS(), status);
        }
        backend.ioctl(group, VFIO_GROUP_GET_STATUS(), MemorySegment.NULL);
    }

    private void setContainer(int group, int fd) {
        backend.ioctl(group, VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(ValueLayout.JAVA_INT, fd));
    }

    private int open(int group, String name) {
        return backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), arena.allocateFrom(name));
    }

    private void names(int group, PciAddress address) {
        List<String> names = new ArrayList<>(List.of("", " " + address, address.toString().substring(5), "0000:01:00",
                address.toString().replace('0', 'O')));
        NAME_ENDINGS.forEach(ending -> names.add(address + ending));
        for (String name : names) {
            int device = open(group, name);
            if (device >= 0) {
                backend.close(device);
            }
        }
        backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), MemorySegment.NULL);
    }

    private void group(PciAddress address) {
        String path = "/dev/vfio/" + Machine.group(backend, address);
        int container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        int other = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        int none = backend.open("/dev/null", Fcntl.O_RDWR);
        int group = backend.open(path, Fcntl.O_RDWR);
        backend.open(path, Fcntl.O_RDWR);
        status(group);
        ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), 0);
        names(group, address);
        for (int fd : new int[]{-1, Integer.MIN_VALUE, 9999, none, group}) {
            setContainer(group, fd);
        }
        backend.ioctl(group, VFIO_GROUP_SET_CONTAINER(), MemorySegment.NULL);
        setContainer(group, container);
        setContainer(group, other);
        setContainer(group, -1);
        setContainer(group, 9999);
        status(group);
        names(group, address);
        for (int type : new int[]{0, 2, 4, 5, 6, 7, 8, 9, 10, 11}) {
            ioctl(container, VFIO_SET_IOMMU(), type);
        }
        ioctl(container, VFIO_SET_IOMMU(), 3);
        ioctl(container, VFIO_SET_IOMMU(), 3);
        ioctl(container, VFIO_SET_IOMMU(), 1);
        extensions(container);
        ioctl(container, UNKNOWN_REQUEST, 0);
        names(group, address);
        ioctl(group, UNKNOWN_REQUEST, 0);
        ioctl(group, VFIO_GET_API_VERSION(), 0);
        feature(group);
        files(group);
        devices(path, group, address);
        backend.close(group);
        backend.close(none);
        backend.close(other);
        backend.close(container);
        backend.open("/dev/vfio/4095", Fcntl.O_RDWR);
    }

    /** What open devices keep from happening to their group. */
    private void devices(String path, int group, PciAddress address) {
        int first = open(group, address.toString());
        int second = open(group, address + " ");
        ioctl(first, UNKNOWN_REQUEST, 0);
        ioctl(first, VFIO_GROUP_GET_STATUS(), 0);
        feature(first);
        ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), 0);
        backend.close(first);
        ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), 0);
        feature(second);
        backend.close(second);
        ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), 0);
        status(group);
        open(group, address.toString());

        int container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        setContainer(group, container);
        ioctl(container, VFIO_SET_IOMMU(), 1);
        int device = open(group, address.toString());
        backend.close(group);
        backend.open(path, Fcntl.O_RDWR);
        backend.close(container);
        feature(device);
        backend.close(device);
        int again = backend.open(path, Fcntl.O_RDWR);
        status(again);
        backend.close(again);
    }

    /** Descriptors that are none. */
    private void descriptors() {
        for (int fd : new int[]{-1, 9999}) {
            backend.close(fd);
            feature(fd);
            files(fd);
        }
        int eventfd = backend.eventfd(7, Fcntl.EFD_NONBLOCK | Fcntl.EFD_SEMAPHORE);
        files(eventfd);
        feature(eventfd);
        backend.read(eventfd, arena.allocate(7));
        backend.write(eventfd, arena.allocate(7));
        backend.close(eventfd);
        backend.eventfd(0, 2);
    }
}
