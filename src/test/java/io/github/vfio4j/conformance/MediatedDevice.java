package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;
import static io.github.vfio4j.uapi.vfio_h.VFIO_TYPE1v2_IOMMU;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.UUID;

/** A mediated device that is open, through its group; it has no PCI address by which the API would open it. */
final class MediatedDevice implements AutoCloseable {

    private static final int HEADER_SIZE = 8;

    private final IoctlBackend backend;
    private final Arena arena = Arena.ofConfined();
    private final UUID uuid;
    private final int container;
    private final int group;
    private int fd;

    MediatedDevice(IoctlBackend backend, UUID uuid) {
        this.backend = backend;
        this.uuid = uuid;
        container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        group = backend.open("/dev/vfio/" + group(backend, uuid), Fcntl.O_RDWR);
        backend.ioctl(group, VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(ValueLayout.JAVA_INT, container));
        backend.ioctl(container, VFIO_SET_IOMMU(), MemorySegment.ofAddress(VFIO_TYPE1v2_IOMMU()));
        fd = openAgain();
    }

    /** The number of the device's group. */
    static int group(IoctlBackend backend, UUID uuid) {
        try (Arena call = Arena.ofConfined()) {
            MemorySegment target = call.allocate(256);
            long length = backend.readlink("/sys/bus/mdev/devices/" + uuid + "/iommu_group", target);
            byte[] path = target.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
            String text = new String(path, StandardCharsets.US_ASCII);
            return Integer.parseInt(text.substring(text.lastIndexOf('/') + 1));
        }
    }

    IoctlBackend backend() {
        return backend;
    }

    int fd() {
        return fd;
    }

    /** One more descriptor of the device. */
    int openAgain() {
        return open(uuid.toString());
    }

    /** A descriptor of the device that the group has by this name. */
    int open(String name) {
        try (Arena call = Arena.ofConfined()) {
            return backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), call.allocateFrom(name));
        }
    }

    /** Closes the device and opens it anew. */
    void reopen() {
        backend.close(fd);
        fd = openAgain();
    }

    void reset() {
        request(VFIO_DEVICE_RESET());
    }

    /** A request without an argument. */
    void request(int number) {
        backend.ioctl(fd, number, MemorySegment.NULL);
    }

    /** An argument of VFIO_DEVICE_FEATURE with these 32-bit words of data behind the header. */
    MemorySegment argument(int flags, int... data) {
        MemorySegment argument = arena.allocate(HEADER_SIZE + (long) data.length * Integer.BYTES, Long.BYTES);
        argument.set(ValueLayout.JAVA_INT, 0, (int) argument.byteSize());
        argument.set(ValueLayout.JAVA_INT, 4, flags);
        MemorySegment.copy(data, 0, argument, ValueLayout.JAVA_INT, HEADER_SIZE, data.length);
        return argument;
    }

    int feature(MemorySegment argument, MemorySegment... pointees) {
        return backend.ioctl(fd, VFIO_DEVICE_FEATURE(), argument, pointees);
    }

    @Override
    public void close() {
        backend.close(fd);
        backend.close(group);
        backend.close(container);
        arena.close();
    }
}
