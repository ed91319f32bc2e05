package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_REGION_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_SET_IRQS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.Mman;
import io.github.vfio4j.backend.Poll;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;

/**
 * Reading, writing and mapping the regions of a PCI device, right and wrong: configuration space in every byte, the edges
 * of BARs, mappings that are refused. It expects nothing; two kernels are compared by it.
 */
final class RegionCalls {

    private static final int TYPE1V2 = 3;
    private static final int CONFIG = 7;
    private static final int REGION_SHIFT = 40;
    private static final int COMMAND = 4;
    private static final int MEMORY = 2;
    private static final int MASTER = 4;
    private static final int INTX_DISABLE = 0x400;
    private static final int CAPABILITIES = 0x34;
    private static final int PM = 1;
    private static final int MSI = 5;
    private static final int EXPRESS = 0x10;
    private static final int MSIX = 0x11;
    private static final int READ_WRITE = Mman.PROT_READ | Mman.PROT_WRITE;
    private static final long PAGE = 4096;

    private final IoctlBackend backend;
    private final Consumer<Runnable> withoutData;
    private final Arena arena;
    private final int device;

    private RegionCalls(IoctlBackend backend, Consumer<Runnable> withoutData, Arena arena, int device) {
        this.backend = backend;
        this.withoutData = withoutData;
        this.arena = arena;
        this.device = device;
    }

    /**
     * On the functions of a machine.
     *
     * @param withoutData
     *            runs calls of which what is read depends on the device
     */
    static void run(Machine machine, Consumer<Runnable> withoutData) {
        for (PciAddress address : new PciAddress[]{machine.physicalFunction(), machine.plainFunction()}) {
            IoctlBackend backend = machine.backend();
            int group = Machine.group(backend, address);
            run(backend, withoutData, group, address.toString());
        }
    }

    /** On the sample serial card: configuration space, and what it does not have. */
    static void runOnMtty(IoctlBackend backend, int device) {
        try (Arena arena = Arena.ofConfined()) {
            RegionCalls calls = new RegionCalls(backend, Runnable::run, arena, device);
            for (int width : new int[]{1, 2, 4}) {
                for (int offset = 0; offset + width < 255; offset += width) {
                    calls.read(CONFIG, offset, width);
                }
            }
            calls.read(CONFIG, 1, 200);
            calls.read(CONFIG, 0, 0);
            for (int bar = 0x10; bar <= 0x30; bar += 4) {
                for (long value : new long[]{0xffff_ffffL, 0, 0x1234_5678L}) {
                    calls.write(CONFIG, bar, 4, value);
                    calls.read(CONFIG, bar, 4);
                }
            }
            for (int offset : new int[]{0, 4, 6, 0x3c, 0x3d, 0x40, 0x100, 0x1003c}) {
                calls.write(CONFIG, offset, 1, 0x5a);
                calls.read(CONFIG, 0, 128);
            }
            for (int region : new int[]{6, 8, 9, 100}) {
                calls.read(region, 0, 0);
                calls.read(region, 0, 4);
                calls.write(region, 0, 4, 0);
                calls.mapping(PAGE, READ_WRITE, Mman.MAP_SHARED, at(region, 0));
            }
            calls.mapping(PAGE, READ_WRITE, Mman.MAP_SHARED, 0);
            backend.ioctl(device, VFIO_DEVICE_RESET(), MemorySegment.NULL);
            calls.read(CONFIG, 0, 128);
        }
    }

    private static void run(IoctlBackend backend, Consumer<Runnable> withoutData, int iommuGroup, String deviceName) {
        try (Arena arena = Arena.ofConfined()) {
            int container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
            int group = backend.open("/dev/vfio/" + iommuGroup, Fcntl.O_RDWR);
            backend.ioctl(group, VFIO_GROUP_SET_CONTAINER(), arena.allocateFrom(ValueLayout.JAVA_INT, container));
            backend.ioctl(container, VFIO_SET_IOMMU(), MemorySegment.ofAddress(TYPE1V2));
            MemorySegment name = arena.allocateFrom(deviceName);
            int device = backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), name);
            RegionCalls calls = new RegionCalls(backend, withoutData, arena, device);
            calls.configurationSpace();
            calls.writableConfiguration();
            calls.bars();
            calls.mappings();
            calls.polling();
            calls.reset();
            calls.filePosition();
            backend.close(device);

            // The last closing has put everything back.
            device = backend.ioctl(group, VFIO_GROUP_GET_DEVICE_FD(), name);
            new RegionCalls(backend, withoutData, arena, device).configurationSpace();
            backend.close(device);
            backend.close(group);
            backend.close(container);
        }
    }

    private static long at(int region, long offset) {
        return ((long) region << REGION_SHIFT) + offset;
    }

    private long read(int region, long offset, int size) {
        MemorySegment buffer = arena.allocate(Math.max(1, size), Long.BYTES).asSlice(0, size);
        long result = backend.pread(device, buffer, at(region, offset));
        return result == size && size <= Long.BYTES ? value(buffer) : 0;
    }

    private static long value(MemorySegment buffer) {
        long value = 0;
        for (int i = 0; i < buffer.byteSize(); i++) {
            value |= Byte.toUnsignedLong(buffer.get(ValueLayout.JAVA_BYTE, i)) << (i * Byte.SIZE);
        }
        return value;
    }

    private void write(int region, long offset, int size, long value) {
        MemorySegment buffer = arena.allocate(Math.max(1, size), Long.BYTES).asSlice(0, size);
        for (int i = 0; i < size; i++) {
            buffer.set(ValueLayout.JAVA_BYTE, i, (byte) (value >>> (i * Byte.SIZE)));
        }
        backend.pwrite(device, buffer, at(region, offset));
    }

    private int size(int region) {
        MemorySegment info = arena.allocate(64, Long.BYTES);
        info.set(ValueLayout.JAVA_INT, 0, 64);
        info.set(ValueLayout.JAVA_INT, 8, region);
        backend.ioctl(device, VFIO_DEVICE_GET_REGION_INFO(), info);
        return (int) info.get(ValueLayout.JAVA_LONG, 16);
    }

    private void configurationSpace() {
        int size = size(CONFIG);
        for (int width : new int[]{1, 2, 4}) {
            for (int offset = 0; offset < size; offset += width) {
                read(CONFIG, offset, width);
            }
        }
        for (int offset = 0; offset < 0x80; offset++) {
            read(CONFIG, offset, 7);
        }
        read(CONFIG, 0, 0);
        read(CONFIG, 0, 64);
        read(CONFIG, 0, size);
        read(CONFIG, 0, size + 1);
        for (int offset : new int[]{size - 1, size, size + 1, 4095, 4096, 8192}) {
            for (int width : new int[]{0, 1, 2, 4}) {
                read(CONFIG, offset, width);
            }
        }
    }

    private long capability(int id) {
        long at = read(CONFIG, CAPABILITIES, 1);
        for (int links = 0; links < 48 && at != 0; links++) {
            if (read(CONFIG, at, 1) == id) {
                return at;
            }
            at = read(CONFIG, at + 1, 1);
        }
        return 0;
    }

    private void writableConfiguration() {
        // Vendor, device, status, class, capability link, pin: not to be written.
        for (int offset : new int[]{0, 2, 6, 8, 0xc, 0x2c, 0x34, 0x3c}) {
            write(CONFIG, offset, 4, 0xffff_ffffL);
            read(CONFIG, offset, 4);
        }
        for (int line : new int[]{0, 0xff, 5}) {
            write(CONFIG, 0x3c, 1, line);
            read(CONFIG, 0x3c, 2);
        }
        for (int bar = 0x10; bar <= 0x30; bar += 4) {
            for (long value : new long[]{0xffff_ffffL, 0, 0x1234_5678L}) {
                write(CONFIG, bar, 4, value);
                read(CONFIG, bar, 4);
                write(CONFIG, bar + 1, 1, 0xa5);
                read(CONFIG, bar, 4);
            }
        }
        for (int command : new int[]{MEMORY, MEMORY | MASTER, MEMORY | MASTER | INTX_DISABLE, INTX_DISABLE, 0, MASTER,
                MEMORY}) {
            write(CONFIG, COMMAND, 2, command);
            read(CONFIG, COMMAND, 2);
            withoutData.accept(() -> read(0, 0, 4));
        }
        write(CONFIG, COMMAND, 1, MEMORY | MASTER);
        write(CONFIG, COMMAND + 1, 1, INTX_DISABLE >> 8);
        read(CONFIG, COMMAND, 4);
        write(CONFIG, COMMAND, 2, MEMORY);
        powerManagement();
        messages();
        express();
        write(CONFIG, size(CONFIG) - 2L, 4, 0);
        write(CONFIG, size(CONFIG), 1, 0);
    }

    private void powerManagement() {
        long pm = capability(PM);
        if (pm != 0) {
            write(CONFIG, pm, 4, 0);
            read(CONFIG, pm, 4);
            for (int state : new int[]{3, 0, 0x8100, 1, 0, 0x103, 0}) {
                write(CONFIG, pm + 4, 2, state);
                read(CONFIG, pm + 4, 4);
                withoutData.accept(() -> read(0, 0, 4));
                read(CONFIG, COMMAND, 2);
            }
        }
    }

    private void setIrqs(int index, int flags, int count, int... data) {
        MemorySegment argument = arena.allocate(20 + 4L * data.length, Long.BYTES);
        int[] header = {20 + 4 * data.length, flags, index, 0, count};
        MemorySegment.copy(header, 0, argument, ValueLayout.JAVA_INT, 0, header.length);
        MemorySegment.copy(data, 0, argument, ValueLayout.JAVA_INT, 20, data.length);
        backend.ioctl(device, VFIO_DEVICE_SET_IRQS(), argument);
    }

    private void messages() {
        long msi = capability(MSI);
        if (msi != 0) {
            setIrqs(1, 4 | 32, 1, -1);
            for (int control : new int[]{1, 0x71, 0}) {
                write(CONFIG, msi + 2, 2, control);
                read(CONFIG, msi, 4);
            }
            for (int offset = 4; offset < 14; offset += 4) {
                // The data have 16 bits; what is behind belongs to nobody, and QEMU lets it be written.
                int width = offset == 12 ? 2 : 4;
                write(CONFIG, msi + offset, width, 0x1234_5678);
                read(CONFIG, msi + offset, width);
            }
            setIrqs(1, 1 | 32, 0);
            for (int control : new int[]{1, 0x71, 0}) {
                write(CONFIG, msi + 2, 2, control);
                read(CONFIG, msi, 4);
            }
        }
        long msix = capability(MSIX);
        if (msix != 0) {
            for (int control : new int[]{0xffff, 0}) {
                write(CONFIG, msix + 2, 2, control);
                read(CONFIG, msix, 4);
                write(CONFIG, msix + 4, 4, control);
                read(CONFIG, msix + 4, 4);
            }
            setIrqs(2, 4 | 32, 1, -1);
            read(CONFIG, msix, 4);
            write(CONFIG, msix + 2, 2, 0);
            read(CONFIG, msix, 4);
            setIrqs(2, 1 | 32, 0);
            read(CONFIG, msix, 4);
        }
    }

    private void express() {
        long express = capability(EXPRESS);
        if (express != 0) {
            for (int offset : new int[]{0, 4, 0xc, 0x10, 0x24}) {
                write(CONFIG, express + offset, 4, 0xffff_ffffL);
                read(CONFIG, express + offset, 4);
            }
            long control = read(CONFIG, express + 8, 2);
            // Payload and read request are the kernel's; no error is reported.
            for (int value : new int[]{0x5000, 0x20e0, 0x0000}) {
                write(CONFIG, express + 8, 2, value);
                read(CONFIG, express + 8, 2);
            }
            write(CONFIG, express + 8, 2, control);
            read(CONFIG, express + 8, 2);
        }
    }

    private void bars() {
        for (int region = 0; region <= 6; region++) {
            int index = region;
            int size = size(region);
            for (long offset : new long[]{0, 1, 2, 3, 4, 5, 7, 8, size - 8L, size - 4L, size - 1L, size, size + 4L,
                    (1L << REGION_SHIFT) - 4}) {
                for (int width : new int[]{0, 1, 2, 3, 4, 7, 8, 16}) {
                    if (offset >= 0) {
                        withoutData.accept(() -> read(index, offset, width));
                    }
                }
            }
        }
        msixTable();
        for (int region : new int[]{6, 8, 9, 10, 100}) {
            read(region, 0, 4);
            write(region, 0, 4, 0);
            read(region, 0, 0);
            read(region, 0xa0000, 4);
        }
        MemorySegment buffer = arena.allocate(8);
        for (long offset : new long[]{-1, Long.MIN_VALUE, Long.MAX_VALUE, Long.MAX_VALUE - 7, Long.MAX_VALUE - 8}) {
            backend.pread(device, buffer, offset);
            backend.pwrite(device, buffer, offset);
        }
    }

    private void msixTable() {
        long msix = capability(MSIX);
        if (msix == 0) {
            return;
        }
        long place = read(CONFIG, msix + 4, 4);
        int bar = (int) place & 7;
        long table = place & ~7L;
        long length = 16 * ((read(CONFIG, msix + 2, 2) & 0x7ff) + 1);
        for (int width : new int[]{1, 2, 4, 8, 16}) {
            write(bar, table, width, 0);
            read(bar, table, width);
            read(bar, table + length - width, width);
        }
        read(bar, table + 1, 3);
        withoutData.accept(() -> {
            read(bar, table - 4, 12);
            read(bar, table + length - 4, 12);
        });
    }

    private void mapping(long length, int protection, int flags, long offset) {
        try (Arena mapping = Arena.ofConfined()) {
            backend.mmap(mapping, length, protection, flags, device, offset);
        }
    }

    private void mappings() {
        for (int region : new int[]{0, 1, 2, 6, CONFIG, 8, 9, 100}) {
            int size = region < 8 ? size(region) : (int) PAGE;
            for (long length : new long[]{0, 1, PAGE, size, size + 1L, size + PAGE}) {
                mapping(length, READ_WRITE, Mman.MAP_SHARED, at(region, 0));
            }
            mapping(PAGE, Mman.PROT_READ, Mman.MAP_SHARED, at(region, 0));
            mapping(PAGE, READ_WRITE, Mman.MAP_PRIVATE, at(region, 0));
            mapping(PAGE, READ_WRITE, 0, at(region, 0));
            mapping(PAGE, READ_WRITE, Mman.MAP_SHARED, at(region, 1));
            mapping(PAGE, READ_WRITE, Mman.MAP_SHARED, at(region, PAGE));
            mapping(PAGE, READ_WRITE, Mman.MAP_SHARED, at(region, Math.ceilDiv(size, PAGE) * PAGE));
        }
        mapping(1L << 50, READ_WRITE, Mman.MAP_SHARED, 0);
        mapping(-1, READ_WRITE, Mman.MAP_SHARED, 0);
        mapping(PAGE, READ_WRITE, Mman.MAP_SHARED, -PAGE);
    }

    private void polling() {
        int eventfd = backend.eventfd(0, Fcntl.EFD_NONBLOCK);
        int[] fds = {eventfd, device, -1, 9999};
        short all = Poll.POLLIN | Poll.POLLOUT;
        backend.poll(new int[]{eventfd}, new short[]{Poll.POLLIN}, 0);
        backend.poll(new int[0], new short[0], 0);
        backend.poll(fds, new short[]{all, all, all, all}, 0);
        backend.write(eventfd, arena.allocateFrom(ValueLayout.JAVA_LONG, 1));
        backend.poll(fds, new short[]{all, Poll.POLLIN, all, 0}, -1);
        backend.read(eventfd, arena.allocate(Long.BYTES));
        backend.write(eventfd, arena.allocateFrom(ValueLayout.JAVA_LONG, -2));
        backend.poll(fds, new short[]{all, 0, all, 0}, 0);
        backend.close(eventfd);
    }

    private void reset() {
        write(CONFIG, COMMAND, 2, MEMORY | MASTER);
        write(CONFIG, 0x3c, 1, 99);
        backend.ioctl(device, VFIO_DEVICE_RESET(), MemorySegment.NULL);
        read(CONFIG, 0, 64);
        MemorySegment info = arena.allocate(64, Long.BYTES);
        info.set(ValueLayout.JAVA_INT, 0, 64);
        backend.ioctl(device, VFIO_DEVICE_GET_INFO(), info);
    }

    private void filePosition() {
        MemorySegment buffer = arena.allocate(8);
        withoutData.accept(() -> {
            for (int i = 0; i < 3; i++) {
                backend.read(device, buffer);
            }
        });
    }
}
