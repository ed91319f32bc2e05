package io.github.vfio4j;

import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_ALLOC;
import static io.github.vfio4j.uapi.vfio_h.VFIO_CHECK_EXTENSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GET_API_VERSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_STATUS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;

import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;

/** Writes down which calls are made, by the names of the files they are made on. */
class RecordingBackend extends ForwardingBackend {

    private static final Map<Long, String> REQUESTS = Map.of((long) VFIO_GET_API_VERSION(), "GET_API_VERSION",
            (long) VFIO_CHECK_EXTENSION(), "CHECK_EXTENSION", (long) VFIO_SET_IOMMU(), "SET_IOMMU",
            (long) VFIO_GROUP_GET_STATUS(), "GET_STATUS", (long) VFIO_GROUP_SET_CONTAINER(), "SET_CONTAINER",
            (long) VFIO_GROUP_GET_DEVICE_FD(), "GET_DEVICE_FD", (long) VFIO_DEVICE_FEATURE(), "DEVICE_FEATURE",
            (long) IOMMU_IOAS_ALLOC(), "IOAS_ALLOC", (long) VFIO_DEVICE_BIND_IOMMUFD(), "BIND",
            (long) VFIO_DEVICE_ATTACH_IOMMUFD_PT(), "ATTACH");

    private final List<String> calls = new CopyOnWriteArrayList<>();
    private final Map<Integer, String> names = new HashMap<>();

    RecordingBackend(IoctlBackend next) {
        super(next);
    }

    /** The calls since the last time this was asked. */
    List<String> take() {
        List<String> taken = List.copyOf(calls);
        calls.clear();
        return taken;
    }

    @Override
    public synchronized int open(String path, int flags) {
        calls.add("open " + path);
        int fd = super.open(path, flags);
        if (fd >= 0) {
            names.put(fd, path);
        }
        return fd;
    }

    @Override
    public synchronized int close(int fd) {
        calls.add("close " + names.remove(fd));
        return super.close(fd);
    }

    @Override
    public synchronized int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        calls.add(Objects.requireNonNullElse(REQUESTS.get(request), "?") + " on " + names.get(fd));
        String device = request == VFIO_GROUP_GET_DEVICE_FD() ? argument.getString(0).split(" ", 2)[0] : "";
        int result = super.ioctl(fd, request, argument, pointees);
        if (!device.isEmpty() && result >= 0) {
            names.put(result, device);
        }
        return result;
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        calls.add("read");
        return super.read(fd, buffer);
    }

    @Override
    public long write(int fd, MemorySegment buffer) {
        calls.add("write");
        return super.write(fd, buffer);
    }

    @Override
    public long readlink(String path, MemorySegment buffer) {
        calls.add("readlink " + path);
        return super.readlink(path, buffer);
    }
}
