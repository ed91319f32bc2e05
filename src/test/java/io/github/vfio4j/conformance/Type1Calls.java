package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_UNSET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The calls on a container that has an IOMMU, right and wrong: what is mapped, unmapped and dirty. It expects nothing;
 * two kernels are compared by it.
 */
final class Type1Calls {

    private static final long PAGE = 4096;
    private static final int PAGES = 80;
    private static final int V1 = 1;
    private static final int V2 = 3;
    private static final int READ_WRITE = 3;
    private static final int VADDR = 4;
    private static final int START = 1;
    private static final int STOP = 2;

    private final IoctlBackend backend;
    private final Arena arena;
    private final MemorySegment memory;
    private final MemorySegment bitmap;
    private int container;

    private Type1Calls(IoctlBackend backend, Arena arena) {
        this.backend = backend;
        this.arena = arena;
        memory = arena.allocate(PAGES * PAGE, PAGE);
        bitmap = arena.allocate(64, Long.BYTES);
    }

    static void run(Machine machine) {
        IoctlBackend backend = machine.backend();
        run(backend, "/dev/vfio/" + Machine.group(backend, machine.plainFunction()));
    }

    /** With the group of this path in the container. */
    static void run(IoctlBackend backend, String group) {
        try (Arena arena = Arena.ofConfined()) {
            Type1Calls calls = new Type1Calls(backend, arena);
            calls.on(group, V1);
            calls.on(group, V2);
        }
    }

    private void on(String path, int type) {
        container = backend.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        int group = backend.open(path, Fcntl.O_RDWR);
        MemorySegment fd = arena.allocateFrom(ValueLayout.JAVA_INT, container);
        backend.ioctl(group, VFIO_GROUP_SET_CONTAINER(), fd);
        info();
        backend.ioctl(container, VFIO_SET_IOMMU(), MemorySegment.ofAddress(type));
        info();
        wrongMappings();
        wrongUnmappings();
        unmappings();
        addresses();
        dirtyHeaders();
        dirtyPages();
        // What is mapped goes with the last group.
        map(0x100000, 0, 4);
        backend.ioctl(group, VFIO_GROUP_UNSET_CONTAINER(), MemorySegment.NULL);
        backend.ioctl(group, VFIO_GROUP_SET_CONTAINER(), fd);
        backend.ioctl(container, VFIO_SET_IOMMU(), MemorySegment.ofAddress(type));
        map(0x100000, 0, 4);
        info();
        backend.close(group);
        backend.close(container);
    }

    private void info() {
        for (int argsz : new int[]{0, 15, 16, 17, 19, 20, 21, 23, 24, 25, 67, 91, 92, 115, 116, 119, 120, 256, -1}) {
            MemorySegment info = arena.allocate(256, Long.BYTES).fill((byte) 0x55);
            info.set(ValueLayout.JAVA_INT, 0, argsz);
            backend.ioctl(container, VFIO_IOMMU_GET_INFO(), info);
        }
        backend.ioctl(container, VFIO_IOMMU_GET_INFO(), MemorySegment.NULL);
    }

    private void rawMap(int argsz, int flags, long vaddr, long iova, long size) {
        MemorySegment map = arena.allocate(32, Long.BYTES);
        map.set(ValueLayout.JAVA_INT, 0, argsz);
        map.set(ValueLayout.JAVA_INT, 4, flags);
        map.set(ValueLayout.JAVA_LONG, 8, vaddr);
        map.set(ValueLayout.JAVA_LONG, 16, iova);
        map.set(ValueLayout.JAVA_LONG, 24, size);
        backend.ioctl(container, VFIO_IOMMU_MAP_DMA(), map, memory);
    }

    /** Pages of the memory. */
    private void map(long iova, int page, int count) {
        rawMap(32, READ_WRITE, memory.address() + page * PAGE, iova, count * PAGE);
    }

    private void unmap(int flags, long iova, long size) {
        MemorySegment unmap = arena.allocate(24, Long.BYTES);
        unmap.set(ValueLayout.JAVA_INT, 0, 24);
        unmap.set(ValueLayout.JAVA_INT, 4, flags);
        unmap.set(ValueLayout.JAVA_LONG, 8, iova);
        unmap.set(ValueLayout.JAVA_LONG, 16, size);
        backend.ioctl(container, VFIO_IOMMU_UNMAP_DMA(), unmap);
    }

    /** Everything, in one way or the other. */
    private void unmapAll() {
        unmap(2, 0, 0);
        unmap(0, 0, 1L << 48);
    }

    private void wrongMappings() {
        long vaddr = memory.address();
        backend.ioctl(container, VFIO_IOMMU_MAP_DMA(), MemorySegment.NULL);
        for (int argsz : new int[]{0, 8, 31, 33, 4096, -1}) {
            rawMap(argsz, READ_WRITE, vaddr, 0x10000, PAGE);
            unmap(0, 0x10000, PAGE);
        }
        for (int flags : new int[]{0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 1 << 31, -1}) {
            rawMap(32, flags, vaddr, 0x10000, PAGE);
            unmap(0, 0x10000, PAGE);
            // A wrong range says which of the two is looked at first.
            rawMap(32, flags, vaddr, -PAGE, 2 * PAGE);
            rawMap(32, flags, vaddr, 0x10000, 0);
        }
        long[][] ranges = {{vaddr, 0x10000, 0}, {vaddr, 0x10000, 1}, {vaddr, 0x10001, PAGE}, {vaddr + 1, 0x10000, PAGE},
                {vaddr, 0x10000, PAGE + 1}, {vaddr, -PAGE, 2 * PAGE}, {vaddr, -1, 2}, {-PAGE, 0x10000, 2 * PAGE},
                {vaddr, 0x10000, -PAGE}, {vaddr, PAGE, -1}, {vaddr, 0xfee00000L, PAGE}, {vaddr, 0xfedff000L, 2 * PAGE},
                {vaddr, 0xfeeff000L, 2 * PAGE}, {vaddr, 0xfeeff000L, PAGE}, {vaddr, 1L << 57, PAGE},
                {vaddr, Long.MIN_VALUE, PAGE}, {0, 0x10000, PAGE}, {1L << 46, 0x10000, PAGE},
                {-8 * PAGE, 0x10000, PAGE}, {vaddr, 0xfedff000L, PAGE}, {vaddr, 0xfef00000L, PAGE},
                {vaddr, 0x10000, PAGE}, {vaddr, 0, PAGE}, {vaddr, 0, PAGE}, {vaddr, 0xf000, 2 * PAGE},
                {vaddr, 0xf000, 3 * PAGE}, {vaddr, 0xf000, PAGE}, {vaddr, 0x1000000000L, PAGE},
                {vaddr, (1L << 39) - PAGE, PAGE}, {vaddr, 1L << 39, PAGE}, {vaddr, (1L << 39) - PAGE, 2 * PAGE},
                {vaddr, (1L << 48) - PAGE, PAGE}, {vaddr, 1L << 48, PAGE}};
        for (long[] range : ranges) {
            rawMap(32, READ_WRITE, range[0], range[1], range[2]);
        }
        info();
        unmapAll();
    }

    private void wrongUnmappings() {
        map(0x10000, 0, 4);
        backend.ioctl(container, VFIO_IOMMU_UNMAP_DMA(), MemorySegment.NULL);
        for (int argsz : new int[]{0, 8, 23}) {
            MemorySegment unmap = arena.allocate(24, Long.BYTES);
            unmap.set(ValueLayout.JAVA_INT, 0, argsz);
            unmap.set(ValueLayout.JAVA_LONG, 16, PAGE);
            backend.ioctl(container, VFIO_IOMMU_UNMAP_DMA(), unmap);
        }
        for (int flags : new int[]{1, 2, 3, 4, 5, 6, 7, 8, 1 << 31, -1}) {
            unmap(flags, 0x20000, 2 * PAGE);
            unmap(flags, 1, 0);
            unmap(flags, PAGE, 0);
        }
        long[][] ranges = {{0x10000, 0}, {0x10000, 1}, {0x10001, PAGE}, {1, -PAGE}, {-PAGE, 2 * PAGE}, {-1, 2}, {-1, 1},
                {0x10000, PAGE + 1}, {PAGE, -1}, {PAGE, -2 * PAGE}, {0x20000, PAGE}};
        for (long[] range : ranges) {
            unmap(0, range[0], range[1]);
        }
        unmapAll();
    }

    /** Ranges that fit, cut, or hold several mappings. */
    private void unmappings() {
        long[][] ranges = {{0x10000, 4}, {0x10000, 1}, {0x11000, 1}, {0x11000, 3}, {0x13000, 1}, {0x13000, 2},
                {0xf000, 2}, {0xf000, 5}, {0xf000, 6}, {0xe000, 2}, {0x14000, 4}, {0x10000, 6}, {0x10000, 8},
                {0, 1 << 20}, {0x12000, 6}, {0x16000, 4}, {0x1a000, 2}, {0x11000, 0x20}};
        for (long[] range : ranges) {
            map(0x10000, 0, 4);
            map(0x14000, 8, 4);
            map(0x1a000, 16, 1);
            unmap(0, range[0], range[1] * PAGE);
            unmapAll();
        }
    }

    private void addresses() {
        map(0x10000, 0, 4);
        map(0x14000, 4, 4);
        long vaddr = memory.address();
        rawMap(32, VADDR, vaddr, 0x10000, 4 * PAGE);
        rawMap(32, VADDR, vaddr, 0x20000, PAGE);
        unmap(VADDR, 0x11000, PAGE);
        unmap(VADDR, 0x20000, PAGE);
        unmap(VADDR, 0x10000, 4 * PAGE);
        unmap(VADDR, 0x10000, 4 * PAGE);
        // The second one is invalid already, so the first one must not become it.
        unmap(VADDR, 0x14000, 4 * PAGE);
        rawMap(32, VADDR, vaddr, 0x10000, 4 * PAGE);
        unmap(VADDR, 0x10000, 8 * PAGE);
        rawMap(32, VADDR, vaddr, 0x10000, 4 * PAGE);
        rawMap(32, VADDR, vaddr, 0x14000, PAGE);
        rawMap(32, VADDR, vaddr, 0x13000, 2 * PAGE);
        rawMap(32, VADDR, vaddr + 1, 0x14000, 4 * PAGE);
        rawMap(32, VADDR, vaddr, 0x14000, 4 * PAGE);
        unmap(VADDR | 2, 0, 0);
        unmap(VADDR | 2, 0, 0);
        map(0x10000, 0, 4);
        rawMap(32, VADDR, vaddr, 0x10000, 4 * PAGE);
        unmap(0, 0x10000, 8 * PAGE);
        unmapAll();
    }

    private void dirty(int argsz, int flags) {
        MemorySegment dirty = arena.allocate(8, Long.BYTES);
        dirty.set(ValueLayout.JAVA_INT, 0, argsz);
        dirty.set(ValueLayout.JAVA_INT, 4, flags);
        backend.ioctl(container, VFIO_IOMMU_DIRTY_PAGES(), dirty);
    }

    private void dirtyHeaders() {
        backend.ioctl(container, VFIO_IOMMU_DIRTY_PAGES(), MemorySegment.NULL);
        for (int argsz : new int[]{0, 7, 8, 4096}) {
            for (int flags : new int[]{0, START, STOP, 3, 5, 6, 7, 8, 9, 1 << 16, 1 << 31, -1}) {
                dirty(argsz, flags);
            }
        }
        dirty(8, START);
        dirty(8, START);
        dirty(8, STOP);
        dirty(8, STOP);
        dirty(8, 4);
    }

    private void getBitmap(int argsz, long iova, long size, long pageSize, long bitmapSize, long address) {
        MemorySegment get = arena.allocate(48, Long.BYTES);
        get.set(ValueLayout.JAVA_INT, 0, argsz);
        get.set(ValueLayout.JAVA_INT, 4, 4);
        range(get, 8, iova, size, pageSize, bitmapSize, address);
        // Set already, so that what is not written can be told from what is written as 0.
        bitmap.fill((byte) 0xa5);
        backend.ioctl(container, VFIO_IOMMU_DIRTY_PAGES(), get, bitmap);
    }

    private static void range(MemorySegment argument, long at, long... words) {
        for (int i = 0; i < words.length; i++) {
            argument.set(ValueLayout.JAVA_LONG, at + (long) i * Long.BYTES, words[i]);
        }
    }

    private void getBitmap(long iova, long pages) {
        getBitmap(48, iova, pages * PAGE, PAGE, 64, bitmap.address());
    }

    private void unmapWithBitmap(int flags, int argsz, long iova, long size, long pageSize, long bitmapSize) {
        MemorySegment unmap = arena.allocate(48, Long.BYTES);
        unmap.set(ValueLayout.JAVA_INT, 0, argsz);
        unmap.set(ValueLayout.JAVA_INT, 4, flags);
        range(unmap, 8, iova, size, pageSize, bitmapSize, bitmap.address());
        bitmap.fill((byte) 0xa5);
        backend.ioctl(container, VFIO_IOMMU_UNMAP_DMA(), unmap, bitmap);
    }

    private void wrongReports() {
        long address = bitmap.address();
        for (int argsz : new int[]{8, 47, 48, 4096}) {
            getBitmap(argsz, 0x10000, 4 * PAGE, PAGE, 8, address);
        }
        long[][] ranges = {{0x10000, 0, PAGE, 8, address}, {0x10000, 4 * PAGE, PAGE, 0, address},
                {0x10000, 4 * PAGE, PAGE, 7, address}, {0x10000, 4 * PAGE, PAGE, 9, address},
                {0x10000, 4 * PAGE, 0, 64, address}, {0x10000, 4 * PAGE, 2 * PAGE, 8, address},
                {0x10000, 4 * PAGE, 2048, 8, address}, {0x10000, 4 * PAGE, PAGE + 1, 1 << 20, address},
                {0x10001, 4 * PAGE, PAGE, 8, address}, {0x10000, 4 * PAGE + 1, PAGE, 8, address},
                {-PAGE, 2 * PAGE, PAGE, 8, address}, {-PAGE, 2 * PAGE, PAGE, 0, address}, {-PAGE, 0, PAGE, 8, address},
                {0x10000, 64 * PAGE, PAGE, 8, address}, {0x10000, 65 * PAGE, PAGE, 8, address},
                {0x10000, 4 * PAGE, PAGE, 0x10000001L, address}, {0x10000, 4 * PAGE, PAGE, 8, -8},
                {0x10000, 4 * PAGE, PAGE, 8, Long.MIN_VALUE}, {0x10000, 4 * PAGE, PAGE, 8, 0},
                {0x10000, 4 * PAGE, PAGE, 8, 1L << 46}, {0x11000, PAGE, PAGE, 8, address},
                {0x10000, PAGE, PAGE, 8, address}, {0xf000, 2 * PAGE, PAGE, 8, address},
                {0xf000, PAGE, PAGE, 8, address}, {0x12000, 4 * PAGE, PAGE, 8, address}};
        for (long[] range : ranges) {
            getBitmap(48, range[0], range[1], range[2], range[3], range[4]);
        }
        for (int flags : new int[]{1, 3, 5, 7}) {
            unmapWithBitmap(flags, 47, 0x10000, PAGE, PAGE, 8);
            unmapWithBitmap(flags, 48, 0x10000, PAGE, PAGE, 8);
            unmapWithBitmap(flags, 48, 0x10000, 0, PAGE, 8);
            unmapWithBitmap(flags, 48, 0x10000, 4 * PAGE, PAGE, 7);
            unmapWithBitmap(flags, 48, 0x10000, 4 * PAGE, 2 * PAGE, 8);
            unmapWithBitmap(flags, 48, 0x10001, 4 * PAGE, PAGE, 8);
            unmapWithBitmap(flags, 48, -PAGE, 2 * PAGE, PAGE, 8);
            unmapWithBitmap(flags, 48, -PAGE, 2 * PAGE, PAGE, 0);
        }
    }

    private void dirtyPages() {
        map(0x10000, 0, 4);
        wrongReports();
        dirty(8, START);
        wrongReports();
        map(0x14000, 4, 3);
        map(0x18000, 8, 1);
        map(0x40000, 10, 70);
        // Each twice: a report leaves traces.
        for (int i = 0; i < 2; i++) {
            getBitmap(0x10000, 4);
            getBitmap(0x10000, 7);
            getBitmap(0xf000, 0x20);
            getBitmap(0x10000, 0x100);
            getBitmap(0x3d000, 0x100);
            getBitmap(0x40000, 70);
            getBitmap(0x20000, 8);
            getBitmap(0, 0x180);
        }
        dirty(8, STOP);
        getBitmap(0x10000, 4);
        dirty(8, START);
        getBitmap(0x10000, 4);
        unmapWithBitmap(1, 48, 0x20000, 4 * PAGE, PAGE, 8);
        unmapWithBitmap(1, 48, 0xf000, 0x20 * PAGE, PAGE, 8);
        unmapWithBitmap(1, 48, 0x3f000, 71 * PAGE, PAGE, 16);
        dirty(8, STOP);
        unmapAll();
    }
}
