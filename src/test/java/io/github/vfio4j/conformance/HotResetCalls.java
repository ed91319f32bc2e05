package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_LOW_POWER_EXIT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_PCI_HOT_RESET;
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
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;

/**
 * What is reset with a PCI function by its slot or bus, resets that are refused, and some that are carried out: on devices
 * of groups here, on a device's own file for {@link CdevCalls}. It expects nothing; two kernels are compared by it.
 */
final class HotResetCalls {

    private static final int TYPE1V2 = 3;
    private static final int NOT_OPEN = 9999;
    private static final int LARGEST = 64;
    private static final int HEADER = 12;
    private static final int DEPENDENT = 8;
    /** Something to recognise what has been written by. */
    private static final byte FILL = (byte) 0xa5;

    private static final int CONFIG = 7;
    private static final int REGION_SHIFT = 40;
    private static final int CONFIG_SIZE = 256;
    private static final int COMMAND = 4;
    private static final int FIRST_BAR = 0x10;
    private static final int CAPABILITIES = 0x34;
    private static final int INTERRUPT_LINE = 0x3c;
    private static final int PM = 1;

    private final IoctlBackend backend;
    private final Consumer<Runnable> withoutData;
    private final Arena arena;

    HotResetCalls(IoctlBackend backend, Consumer<Runnable> withoutData, Arena arena) {
        this.backend = backend;
        this.withoutData = withoutData;
        this.arena = arena;
    }

    /**
     * On the functions of a machine, opened through their groups.
     *
     * @param withoutData
     *            runs calls of which what is read depends on the device
     */
    static void run(Machine machine, Consumer<Runnable> withoutData) {
        try (Arena arena = Arena.ofConfined()) {
            HotResetCalls calls = new HotResetCalls(machine.backend(), withoutData, arena);
            int container = machine.backend().open("/dev/vfio/vfio", Fcntl.O_RDWR);
            int stranger = calls.group(container, machine.physicalFunction());
            calls.throughGroup(container, machine.plainFunction(), stranger);
            calls.withVirtualFunctions(container, stranger, machine.physicalFunction());
            machine.backend().close(stranger);
            stranger = calls.group(container, machine.plainFunction());
            calls.throughGroup(container, machine.physicalFunction(), stranger);
            machine.backend().close(stranger);
            machine.backend().close(container);
        }
    }

    private int group(int container, PciAddress function) {
        int group = backend.open("/dev/vfio/" + Machine.group(backend, function), Fcntl.O_RDWR);
        backend.ioctl(group, VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(ValueLayout.JAVA_INT, container));
        backend.ioctl(container, VFIO_SET_IOMMU(), MemorySegment.ofAddress(TYPE1V2));
        return group;
    }

    private int device(int group, PciAddress function) {
        return backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), arena.allocateFrom(function.toString()));
    }

    private void throughGroup(int container, PciAddress function, int stranger) {
        int group = group(container, function);
        int device = device(group, function);
        information(device);
        malformed(device);
        int none = backend.open("/dev/null", Fcntl.O_RDWR);
        for (int fd : new int[]{-1, NOT_OPEN, none, device, container, stranger}) {
            reset(device, fd);
            reset(device, fd, group);
            reset(device, group, fd);
        }
        for (int count : new int[]{-1, 0x7fff_ffff, 0x8000_0000, 3}) {
            reset(device, words(16, 0, count, group));
        }
        // Only the first descriptor counts, however long the argument says it is.
        reset(device, words(LARGEST, 0, 1, group, NOT_OPEN));
        whatStays(device, group);
        backend.close(none);
        backend.close(device);

        // The group is not in use any more, and its device as new.
        device = device(group, function);
        configuration(device);
        information(device);
        backend.close(device);
        backend.close(group);
    }

    /** On a device's own file, that is bound. The group's file is of no use there, but no other is, either. */
    void throughCdev(int device, int iommufd) {
        information(device);
        malformed(device);
        reset(device, iommufd);
        reset(device, NOT_OPEN);
        reset(device, -1);
        reset(device, words(HEADER, 0, 0));
        whatStays(device);
    }

    /** On a device that is no PCI function. */
    void unknown(int device, int iommufd) {
        information(device);
        malformed(device);
        reset(device);
        reset(device, iommufd);
    }

    private MemorySegment words(int... values) {
        MemorySegment memory = arena.allocate(LARGEST, Long.BYTES);
        MemorySegment.copy(values, 0, memory, ValueLayout.JAVA_INT, 0, values.length);
        return memory;
    }

    private void information(int device) {
        backend.ioctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO(), MemorySegment.NULL);
        for (int argsz : new int[]{0, HEADER - 1, HEADER, HEADER + DEPENDENT - 1, HEADER + DEPENDENT,
                HEADER + DEPENDENT + 1, HEADER + 2 * DEPENDENT, HEADER + 3 * DEPENDENT, LARGEST, -1}) {
            MemorySegment argument = arena.allocate(LARGEST, Long.BYTES).fill(FILL);
            argument.set(ValueLayout.JAVA_INT, 0, argsz);
            backend.ioctl(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO(), argument);
        }
    }

    private void reset(int device, MemorySegment argument) {
        backend.ioctl(device, VFIO_DEVICE_PCI_HOT_RESET(), argument);
    }

    private void reset(int device, int... descriptors) {
        int[] values = new int[3 + descriptors.length];
        values[0] = HEADER + Integer.BYTES * descriptors.length;
        values[2] = descriptors.length;
        System.arraycopy(descriptors, 0, values, 3, descriptors.length);
        reset(device, words(values));
    }

    private void malformed(int device) {
        backend.ioctl(device, VFIO_DEVICE_PCI_HOT_RESET(), MemorySegment.NULL);
        for (int argsz : new int[]{0, HEADER - 1, HEADER, 16, -1}) {
            for (int flags : new int[]{1, 2, -1}) {
                reset(device, words(argsz, flags, 0));
                reset(device, words(argsz, flags, 1, NOT_OPEN));
            }
            reset(device, words(argsz, 0, 1, NOT_OPEN));
        }
        for (int argsz : new int[]{0, HEADER - 1}) {
            reset(device, words(argsz, 0, 0));
        }
    }

    // What a reset that is carried out leaves

    private long at(long offset) {
        return ((long) CONFIG << REGION_SHIFT) + offset;
    }

    private long read(int device, long offset, int size) {
        MemorySegment buffer = arena.allocate(Long.BYTES, Long.BYTES);
        backend.pread(device, buffer.asSlice(0, size), at(offset));
        return buffer.get(ValueLayout.JAVA_LONG, 0);
    }

    private void write(int device, long offset, int size, long value) {
        MemorySegment buffer = arena.allocateFrom(ValueLayout.JAVA_LONG, value);
        backend.pwrite(device, buffer.asSlice(0, size), at(offset));
    }

    private void configuration(int device) {
        for (int offset = 0; offset < CONFIG_SIZE; offset += Integer.BYTES) {
            read(device, offset, Integer.BYTES);
        }
    }

    private long powerManagement(int device) {
        long at = read(device, CAPABILITIES, 1);
        for (int links = 0; links < 48 && at != 0; links++) {
            if (read(device, at, 1) == PM) {
                return at;
            }
            at = read(device, at + 1, 1);
        }
        return 0;
    }

    private void whatStays(int device, int... groups) {
        write(device, COMMAND, 2, 6);
        write(device, INTERRUPT_LINE, 1, 77);
        write(device, FIRST_BAR, 4, 0x1234_5678);
        reset(device, groups);
        configuration(device);
        interrupts(device, groups);
        long pm = powerManagement(device);
        if (pm != 0) {
            write(device, pm + 4, 2, 3);
            read(device, pm + 4, 2);
            reset(device, groups);
            read(device, pm + 4, 2);
        }
        write(device, COMMAND, 2, 0);
        reset(device, groups);
        read(device, COMMAND, 2);
        withoutData.accept(() -> backend.pread(device, arena.allocate(4), 0));
        write(device, COMMAND, 2, 2);
        withoutData.accept(() -> backend.pread(device, arena.allocate(4), 0));
        for (int feature : new int[]{VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY(), VFIO_DEVICE_FEATURE_LOW_POWER_EXIT()}) {
            backend.ioctl(device, VFIO_DEVICE_FEATURE(), words(8, feature | VFIO_DEVICE_FEATURE_SET()));
            reset(device, groups);
        }
        configuration(device);
    }

    /** Messages stay switched on. */
    private void interrupts(int device, int... groups) {
        int eventfd = backend.eventfd(0, Fcntl.EFD_NONBLOCK);
        for (int index = 0; index < 3; index++) {
            backend.ioctl(device, VFIO_DEVICE_SET_IRQS(), words(24, 4 | 32, index, 0, 1, eventfd));
            configuration(device);
            reset(device, groups);
            configuration(device);
            backend.ioctl(device, VFIO_DEVICE_SET_IRQS(), words(20, 1 | 32, index, 0, 1));
            backend.read(eventfd, arena.allocate(Long.BYTES));
            backend.ioctl(device, VFIO_DEVICE_SET_IRQS(), words(20, 1 | 32, index, 0, 0));
        }
        backend.close(eventfd);
    }

    /** They are on the bus of the physical one; without them being shown, there is no reset. */
    private void withVirtualFunctions(int container, int group, PciAddress physicalFunction) {
        int device = device(group, physicalFunction);
        virtualFunctions(physicalFunction, 1);
        information(device);
        reset(device, group);
        int group2 = group(container, physicalFunction.plus(1));
        int virtual = device(group2, physicalFunction.plus(1));
        information(virtual);
        reset(virtual, group2);
        backend.close(virtual);
        backend.close(group2);
        virtualFunctions(physicalFunction, 2);
        virtualFunctions(physicalFunction, 0);
        information(device);
        backend.close(device);
    }

    private void virtualFunctions(PciAddress physicalFunction, int count) {
        int attribute = backend.open("/sys/bus/pci/devices/" + physicalFunction + "/sriov_numvfs", Fcntl.O_WRONLY);
        backend.write(attribute, arena.allocateFrom(Integer.toString(count), StandardCharsets.US_ASCII).asSlice(0,
                Integer.toString(count).length()));
        backend.close(attribute);
    }
}
