package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_IRQ_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_REGION_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_SET_IRQS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The requests for information about a device, for its interrupts and its reset, right and wrong. It expects nothing; two
 * kernels are compared by it.
 */
final class DeviceInfoCalls {

    private static final int TYPE1V2 = 3;
    private static final int NO_DESCRIPTOR = 9999;

    private static final int NONE = 1;
    private static final int BOOL = 2;
    private static final int EVENTFD = 4;
    private static final int MASK = 8;
    private static final int UNMASK = 16;
    private static final int TRIGGER = 32;

    private static final int MSI = 1;
    private static final int MSIX = 2;
    private static final int ERR = 3;
    private static final int REQ = 4;

    /** Something to recognise what has been written by. */
    private static final byte FILL = (byte) 0xa5;

    private final IoctlBackend backend;
    private final Arena arena;
    private final int device;
    private final int eventfd;
    private final int other;

    private DeviceInfoCalls(IoctlBackend backend, Arena arena, int device) {
        this.backend = backend;
        this.arena = arena;
        this.device = device;
        eventfd = backend.eventfd(0, Fcntl.EFD_NONBLOCK);
        other = backend.open("/dev/null", Fcntl.O_RDWR);
    }

    static void run(Machine machine) {
        run(machine.backend(), machine.physicalFunction());
        run(machine.backend(), machine.plainFunction());
    }

    private static void run(IoctlBackend backend, PciAddress address) {
        run(backend, Machine.group(backend, address), address.toString());
    }

    /** On the device of a group that has this name. */
    static void run(IoctlBackend backend, int iommuGroup, String deviceName) {
        try (Arena arena = Arena.ofConfined()) {
            int container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
            int group = backend.open("/dev/vfio/" + iommuGroup, Fcntl.O_RDWR);
            backend.ioctl(group, VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(ValueLayout.JAVA_INT, container));
            backend.ioctl(container, VFIO_SET_IOMMU(), MemorySegment.ofAddress(TYPE1V2));
            MemorySegment name = arena.allocateFrom(deviceName);
            int device = backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), name);
            DeviceInfoCalls calls = new DeviceInfoCalls(backend, arena, device);
            // Before the first GET_INFO some drivers do not know how many interrupts they have.
            calls.everyIrqSet();
            calls.information();
            calls.malformedIrqSets();
            calls.everyIrqSet();
            calls.intx();
            calls.unmasking(0);
            calls.unmasking(Fcntl.EFD_SEMAPHORE);
            calls.vectors(MSI);
            calls.vectors(MSIX);
            calls.single(ERR);
            calls.single(REQ);
            backend.ioctl(device, VFIO_DEVICE_RESET(), MemorySegment.NULL);
            backend.close(device);

            // The last closing has left nothing of all that.
            device = backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), name);
            DeviceInfoCalls again = new DeviceInfoCalls(backend, arena, device);
            again.set(0, TRIGGER | NONE, 0, 0);
            again.set(REQ, TRIGGER | NONE, 0, 1);
            again.intx();
            backend.close(device);
            backend.close(group);
            backend.close(container);
            calls.close();
            again.close();
        }
    }

    private void close() {
        backend.close(eventfd);
        backend.close(other);
    }

    private void ask(int request, int argsz, int index, int size) {
        MemorySegment argument = arena.allocate(size, Long.BYTES).fill(FILL);
        argument.set(ValueLayout.JAVA_INT, 0, argsz);
        argument.set(ValueLayout.JAVA_INT, 8, index);
        backend.ioctl(device, request, argument);
    }

    private void information() {
        for (int request : new int[]{VFIO_DEVICE_GET_INFO(), VFIO_DEVICE_GET_REGION_INFO(), VFIO_DEVICE_GET_IRQ_INFO(),
                VFIO_DEVICE_SET_IRQS()}) {
            backend.ioctl(device, request, MemorySegment.NULL);
        }
        for (int argsz : new int[]{0, 8, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 28, 32, 64, -1}) {
            ask(VFIO_DEVICE_GET_INFO(), argsz, 0, 64);
            for (int index = -1; index < 7; index++) {
                ask(VFIO_DEVICE_GET_IRQ_INFO(), argsz, index, 64);
            }
        }
        for (int argsz : new int[]{0, 31, 32, 33, 39, 40, 41, 64, -1}) {
            for (int index : new int[]{-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 1 << 24}) {
                ask(VFIO_DEVICE_GET_REGION_INFO(), argsz, index, 64);
            }
        }
    }

    private void set(int index, int flags, int start, int count, int... data) {
        set(20 + 4 * data.length, index, flags, start, count, data);
    }

    private void set(int argsz, int index, int flags, int start, int count, int[] data) {
        MemorySegment argument = arena.allocate(20 + 4L * data.length, Long.BYTES);
        int[] header = {argsz, flags, index, start, count};
        MemorySegment.copy(header, 0, argument, ValueLayout.JAVA_INT, 0, header.length);
        MemorySegment.copy(data, 0, argument, ValueLayout.JAVA_INT, 20, data.length);
        backend.ioctl(device, VFIO_DEVICE_SET_IRQS(), argument);
    }

    private void malformedIrqSets() {
        for (int argsz : new int[]{0, 19, 20, 21, 23, 24, -1}) {
            set(argsz, REQ, TRIGGER | EVENTFD, 0, 1, new int[]{-1});
            set(argsz, REQ, TRIGGER | BOOL, 0, 1, new int[]{0});
            set(argsz, REQ, TRIGGER | NONE, 0, 1, new int[]{0});
        }
        for (int flag = 64; flag != 0; flag <<= 1) {
            set(REQ, TRIGGER | BOOL | flag, 0, 1, 0);
        }
        for (int start : new int[]{0, 1, 2, 0x7fff_ffff, -2, -1}) {
            for (int count : new int[]{0, 1, 2, 0x7fff_ffff, -2, -1}) {
                set(REQ, TRIGGER | BOOL, start, count, 0);
            }
        }
    }

    /** All kinds of data and actions for all indices, with descriptors that say "no eventfd". */
    private void everyIrqSet() {
        for (int index = -1; index < 6; index++) {
            for (int data : new int[]{0, NONE, BOOL, EVENTFD, NONE | EVENTFD}) {
                for (int action : new int[]{0, MASK, UNMASK, TRIGGER, MASK | UNMASK}) {
                    for (int[] range : new int[][]{{0, 0}, {0, 1}, {1, 0}, {1, 1}, {0, 2}, {2, 2}, {64, 1}}) {
                        set(index, data | action, range[0], range[1], -1, -1);
                    }
                }
            }
            set(index, NONE | TRIGGER, 0, 0);
        }
    }

    private void readEventfd() {
        read(eventfd);
    }

    private void read(int fd) {
        backend.read(fd, arena.allocate(8, Long.BYTES));
    }

    private void write(int fd, long value) {
        backend.write(fd, arena.allocateFrom(ValueLayout.JAVA_LONG, value));
    }

    /** What the kernel takes out of the eventfd that unmasks, and when it forgets it. */
    private void unmasking(int flags) {
        int fd = backend.eventfd(0, Fcntl.EFD_NONBLOCK | flags);
        set(0, TRIGGER | EVENTFD, 0, 1, eventfd);
        write(fd, 3);
        set(0, UNMASK | EVENTFD, 0, 1, fd);
        read(fd);
        write(fd, 3);
        read(fd);
        read(fd);
        write(fd, 0);
        read(fd);
        set(0, UNMASK | EVENTFD, 0, 1, -1);
        write(fd, 3);
        set(0, UNMASK | EVENTFD, 0, 1, fd);
        set(0, UNMASK | EVENTFD, 0, 1, -1);
        read(fd);
        write(fd, 3);
        set(0, UNMASK | EVENTFD, 0, 1, fd);
        set(0, TRIGGER | NONE, 0, 0);
        read(fd);
        // The same eventfd for both.
        set(0, TRIGGER | EVENTFD, 0, 1, fd);
        set(0, UNMASK | EVENTFD, 0, 1, fd);
        set(0, TRIGGER | NONE, 0, 1);
        read(fd);
        backend.close(fd);
        set(0, UNMASK | EVENTFD, 0, 1, eventfd);
        set(0, UNMASK | EVENTFD, 0, 1, eventfd);
        set(0, TRIGGER | NONE, 0, 1);
        readEventfd();
        set(0, TRIGGER | NONE, 0, 0);
    }

    /** Signals what there is, in both ways. */
    private void loopBack(int index, int interrupt) {
        set(index, TRIGGER | NONE, interrupt, 1);
        set(index, TRIGGER | BOOL, interrupt, 1, 1);
        set(index, TRIGGER | BOOL, interrupt, 1, 0);
        readEventfd();
        readEventfd();
    }

    private void intx() {
        set(0, TRIGGER | EVENTFD, 0, 1, NO_DESCRIPTOR);
        set(0, TRIGGER | EVENTFD, 0, 1, other);
        set(0, TRIGGER | NONE, 0, 1);
        set(0, TRIGGER | EVENTFD, 0, 1, eventfd);
        loopBack(0, 0);
        set(MSI, TRIGGER | EVENTFD, 0, 1, eventfd);
        set(MSIX, TRIGGER | EVENTFD, 0, 1, eventfd);
        set(MSI, TRIGGER | NONE, 0, 0);
        for (int action : new int[]{MASK, UNMASK}) {
            set(0, action | NONE, 0, 1);
            set(0, action | BOOL, 0, 1, 1);
            for (int fd : new int[]{NO_DESCRIPTOR, other, eventfd, eventfd, NO_DESCRIPTOR, other, -1, eventfd}) {
                set(0, action | EVENTFD, 0, 1, fd);
            }
            set(0, action | NONE, 0, 0);
        }
        set(0, TRIGGER | EVENTFD, 0, 1, other);
        loopBack(0, 0);
        set(0, TRIGGER | EVENTFD, 0, 1, -1);
        loopBack(0, 0);
        set(0, TRIGGER | EVENTFD, 0, 1, eventfd);
        set(0, TRIGGER | NONE, 0, 0);
        set(0, TRIGGER | NONE, 0, 0);
        set(0, UNMASK | NONE, 0, 1);
    }

    private void vectors(int index) {
        set(index, TRIGGER | EVENTFD, 0, 0);
        set(index, TRIGGER | EVENTFD, 1, 0);
        set(index, TRIGGER | NONE, 0, 0);
        set(index, TRIGGER | EVENTFD, 0, 1, NO_DESCRIPTOR);
        set(index, TRIGGER | NONE, 0, 1);
        set(index, TRIGGER | EVENTFD, 0, 2, eventfd, other);
        set(index, TRIGGER | NONE, 0, 2);
        set(index, TRIGGER | EVENTFD, 0, 1, eventfd);
        loopBack(index, 0);
        set(index, TRIGGER | EVENTFD, 0, 0);
        set(0, TRIGGER | EVENTFD, 0, 1, eventfd);
        // Beyond what has been enabled.
        set(index, TRIGGER | NONE, 1, 1);
        set(index, TRIGGER | EVENTFD, 1, 1, -1);
        set(index, TRIGGER | EVENTFD, 1, 1, eventfd);
        loopBack(index, 1);
        set(index, TRIGGER | EVENTFD, 1, 0);
        set(index, TRIGGER | NONE, 0, 2);
        readEventfd();
        set(index, TRIGGER | EVENTFD, 0, 2, eventfd, NO_DESCRIPTOR);
        loopBack(index, 0);
        set(index, TRIGGER | EVENTFD, 0, 1, eventfd);
        set(index, TRIGGER | EVENTFD, 0, 1, other);
        loopBack(index, 0);
        set(index, MASK | NONE, 0, 1);
        backend.ioctl(device, VFIO_DEVICE_RESET(), MemorySegment.NULL);
        set(index, TRIGGER | EVENTFD, 0, 1, eventfd);
        loopBack(index, 0);
        set(index, TRIGGER | NONE, 0, 0);
        set(index, TRIGGER | NONE, 0, 1);
    }

    private void single(int index) {
        set(index, TRIGGER | NONE, 0, 1);
        set(index, TRIGGER | NONE, 0, 0);
        set(index, TRIGGER | BOOL, 0, 1, 1);
        set(index, TRIGGER | BOOL, 0, 0);
        set(index, TRIGGER | EVENTFD, 0, 0);
        for (int fd : new int[]{NO_DESCRIPTOR, other, -1, -2, eventfd, NO_DESCRIPTOR, other, -2}) {
            set(index, TRIGGER | EVENTFD, 0, 1, fd);
            loopBack(index, 0);
        }
        set(index, TRIGGER | EVENTFD, 0, 1, -1);
        loopBack(index, 0);
        set(index, TRIGGER | EVENTFD, 0, 1, eventfd);
        set(index, TRIGGER | NONE, 0, 0);
        loopBack(index, 0);
        set(index, TRIGGER | EVENTFD, 0, 1, eventfd);
    }
}
