package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_COPY;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_IOVA_RANGES;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_UNMAP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;

import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * What is mapped in an iommufd's address spaces: right and wrong requests, without devices, with devices of both kinds, and
 * as a container's. It expects nothing; two kernels are compared by it.
 *
 * <p>
 * Where the kernel chooses an address, no more than a page is mapped: how it aligns more depends on where the memory lies.
 */
final class IoasCalls {

    private static final long PAGE = 4096;
    private static final int PAGES = 16;
    private static final int FIXED = 1;
    private static final int WRITEABLE = 2;
    private static final int READABLE = 4;
    private static final int ALL_FLAGS = FIXED | WRITEABLE | READABLE;
    private static final long MAX = -1;

    /** Nothing is there. */
    private static final MemorySegment NOWHERE = MemorySegment.NULL;

    private static final long INTERRUPTS = 0xfee00000L;

    private final CdevCalls calls;
    private final IoctlBackend backend;
    private final Arena arena;
    private final MemorySegment memory;

    IoasCalls(CdevCalls calls, IoctlBackend backend, Arena arena) {
        this.calls = calls;
        this.backend = backend;
        this.arena = arena;
        memory = arena.allocate(PAGES * PAGE, PAGE);
    }

    /** On devices, by their directories in sysfs. */
    void run(List<String> devices) {
        int iommufd = calls.open("/dev/iommu");
        if (iommufd < 0) {
            return;
        }
        for (int request : new int[]{IOMMU_IOAS_MAP(), IOMMU_IOAS_UNMAP(), IOMMU_IOAS_COPY(),
                IOMMU_IOAS_IOVA_RANGES()}) {
            calls.sizes(iommufd, request);
        }
        withoutDevices(iommufd, calls.ioas(iommufd));
        backend.close(iommufd);
        for (String device : devices) {
            withDevice(device);
            inPlaceOfAContainer(device);
        }
    }

    // Requests

    private void map(int iommufd, int ioas, int flags, MemorySegment pages, long address, long length, long iova) {
        MemorySegment argument = calls.words(40, flags, ioas, 0);
        argument.set(ValueLayout.JAVA_LONG, 16, address);
        argument.set(ValueLayout.JAVA_LONG, 24, length);
        argument.set(ValueLayout.JAVA_LONG, 32, iova);
        backend.ioctl(iommufd, IOMMU_IOAS_MAP(), argument, pages);
    }

    private void map(int iommufd, int ioas, long offset, long length, long iova) {
        map(iommufd, ioas, ALL_FLAGS, memory, memory.address() + offset, length, iova);
    }

    private void unmap(int iommufd, int ioas, long iova, long length) {
        MemorySegment argument = calls.words(24, ioas);
        argument.set(ValueLayout.JAVA_LONG, 8, iova);
        argument.set(ValueLayout.JAVA_LONG, 16, length);
        backend.ioctl(iommufd, IOMMU_IOAS_UNMAP(), argument);
    }

    private void unmapAll(int iommufd, int ioas) {
        unmap(iommufd, ioas, 0, MAX);
    }

    private void copy(int iommufd, int flags, int target, int source, long length, long targetIova, long sourceIova) {
        MemorySegment argument = calls.words(40, flags, target, source);
        argument.set(ValueLayout.JAVA_LONG, 16, length);
        argument.set(ValueLayout.JAVA_LONG, 24, targetIova);
        argument.set(ValueLayout.JAVA_LONG, 32, sourceIova);
        backend.ioctl(iommufd, IOMMU_IOAS_COPY(), argument);
    }

    private void ranges(int iommufd, int ioas, int count, int reserved) {
        MemorySegment target = arena.allocate(16L * Math.clamp(count, 1, 4), Long.BYTES);
        MemorySegment argument = calls.words(32, ioas, count, reserved);
        argument.set(ValueLayout.JAVA_LONG, 16, target.address());
        backend.ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES(), argument, target);
    }

    private void ranges(int iommufd, int ioas) {
        for (int count = 0; count < 5; count++) {
            ranges(iommufd, ioas, count, 0);
        }
        MemorySegment nowhere = calls.words(32, ioas, 2, 0);
        backend.ioctl(iommufd, IOMMU_IOAS_IOVA_RANGES(), nowhere);
    }

    // An address space without devices

    private void withoutDevices(int iommufd, int ioas) {
        ranges(iommufd, ioas);
        ranges(iommufd, ioas, 1, 1);
        ranges(iommufd, ioas + 1, 1, 0);
        arguments(iommufd, ioas);
        unmapAll(iommufd, ioas);
        unmapAll(iommufd, ioas);
        map(iommufd, ioas + 1, 0, PAGE, PAGE);
        unmap(iommufd, ioas + 1, 0, MAX);
        choosing(iommufd, ioas);
        unmapping(iommufd, ioas);
        copying(iommufd, ioas);
        calls.destroy(iommufd, ioas);
        calls.census(iommufd);
    }

    private void arguments(int iommufd, int ioas) {
        long[] iovas = {0, 1, PAGE, INTERRUPTS, 1L << 39, -PAGE, -2, MAX};
        long[] lengths = {0, 1, PAGE - 1, PAGE, 2 * PAGE, 1L << 62, Long.MIN_VALUE, -PAGE, -2, MAX};
        for (int flags : new int[]{0, FIXED, FIXED | READABLE, FIXED | WRITEABLE, ALL_FLAGS, 8 | ALL_FLAGS, -1}) {
            for (long iova : iovas) {
                for (long length : lengths) {
                    map(iommufd, ioas, flags, memory, memory.address(), length, iova);
                }
            }
            for (long address : new long[]{0, 1, PAGE, memory.address() + 1, -PAGE, -1}) {
                map(iommufd, ioas, flags, NOWHERE, address, PAGE, 1L << 40);
                unmap(iommufd, ioas, 1L << 40, PAGE);
            }
            unmapAll(iommufd, ioas);
        }
        for (int at : new int[]{12, 15}) {
            MemorySegment argument = calls.words(40, ALL_FLAGS, ioas, 0, 0, 0, 1, 0, 1, 0);
            argument.set(ValueLayout.JAVA_BYTE, at, (byte) 1);
            backend.ioctl(iommufd, IOMMU_IOAS_MAP(), argument);
        }
    }

    /** The kernel says where. */
    private void choosing(int iommufd, int ioas) {
        long[] offsets = {0, 1, 2, 8, 512, PAGE - 1, PAGE, PAGE + 16};
        for (long offset : offsets) {
            for (long length : new long[]{1, 2, 3, 64, 100, PAGE - 1, PAGE}) {
                map(iommufd, ioas, READABLE, memory, memory.address() + offset, length, 77);
            }
        }
        for (long length : new long[]{0, Long.MAX_VALUE, Long.MIN_VALUE, -PAGE, -2}) {
            map(iommufd, ioas, READABLE, memory, memory.address(), length, 0);
        }
        unmapAll(iommufd, ioas);
        for (int i = 0; i < 4; i++) {
            map(iommufd, ioas, 0, PAGE, (2 * i + 2) * PAGE);
        }
        for (int i = 0; i < 6; i++) {
            map(iommufd, ioas, READABLE, memory, memory.address(), PAGE, 0);
        }
        unmap(iommufd, ioas, 4 * PAGE, PAGE);
        map(iommufd, ioas, WRITEABLE, memory, memory.address() + 8, 8, 0);
        map(iommufd, ioas, WRITEABLE, memory, memory.address(), PAGE, 0);
        map(iommufd, ioas, WRITEABLE, memory, memory.address() + 8, 8, 0);
        unmapAll(iommufd, ioas);
    }

    private void unmapping(int iommufd, int ioas) {
        for (int round = 0; round < 9; round++) {
            map(iommufd, ioas, 0, 2 * PAGE, 4 * PAGE);
            map(iommufd, ioas, 2 * PAGE, PAGE, 6 * PAGE);
            map(iommufd, ioas, 0, 2 * PAGE, 8 * PAGE);
            map(iommufd, ioas, 1, 5, -PAGE);
            switch (round) {
                case 0 -> unmap(iommufd, ioas, 5 * PAGE, 5 * PAGE);
                case 1 -> unmap(iommufd, ioas, 0, 9 * PAGE);
                case 2 -> unmap(iommufd, ioas, 4 * PAGE, 6 * PAGE);
                case 3 -> unmap(iommufd, ioas, 7 * PAGE, PAGE);
                case 4 -> unmap(iommufd, ioas, 6 * PAGE, 1);
                case 5 -> unmap(iommufd, ioas, 0, MAX - 1);
                case 6 -> unmap(iommufd, ioas, 1, MAX - 1);
                case 7 -> unmap(iommufd, ioas, -PAGE, PAGE - 1);
                default -> unmap(iommufd, ioas, -PAGE, PAGE + 1);
            }
            for (long length : new long[]{0, MAX}) {
                unmap(iommufd, ioas, PAGE, length);
            }
            unmap(iommufd, ioas, MAX, 1);
            unmap(iommufd, ioas, -2, 3);
            unmapAll(iommufd, ioas);
        }
    }

    private void copying(int iommufd, int ioas) {
        int other = calls.ioas(iommufd);
        map(iommufd, ioas, 0, 2 * PAGE, 4 * PAGE);
        map(iommufd, ioas, 4 * PAGE, PAGE, 6 * PAGE);
        map(iommufd, ioas, FIXED | READABLE, memory, memory.address(), PAGE, 9 * PAGE);
        int fixed = FIXED | READABLE;
        for (int flags : new int[]{0, FIXED, READABLE, fixed, ALL_FLAGS, 8 | fixed}) {
            for (long length : new long[]{0, 1, PAGE, 3 * PAGE, 4 * PAGE, MAX, -2}) {
                if ((flags & FIXED) != 0 || length <= PAGE) {
                    copy(iommufd, flags, other, ioas, length, PAGE, 4 * PAGE);
                    copy(iommufd, flags, other, ioas, length, PAGE, 4 * PAGE + 1);
                }
            }
            unmapAll(iommufd, other);
        }
        copy(iommufd, fixed, other, ioas, PAGE, MAX, 4 * PAGE);
        copy(iommufd, fixed, other, ioas, PAGE, 0, MAX);
        copy(iommufd, fixed, other, ioas, PAGE, -PAGE, 4 * PAGE);
        copy(iommufd, fixed, other, ioas, PAGE, -PAGE + 1, 4 * PAGE);
        copy(iommufd, fixed, other, 77, PAGE, 0, 4 * PAGE);
        copy(iommufd, fixed, 77, ioas, PAGE, 0, 4 * PAGE);
        copy(iommufd, fixed, 77, ioas, PAGE, 0, PAGE);
        copy(iommufd, fixed | WRITEABLE, other, ioas, PAGE, 0, 9 * PAGE);
        copy(iommufd, fixed, other, ioas, PAGE, 0, 9 * PAGE);
        copy(iommufd, fixed, other, ioas, PAGE, 20 * PAGE, 4 * PAGE + 8);
        copy(iommufd, fixed | WRITEABLE, other, other, PAGE, 30 * PAGE, 20 * PAGE);
        copy(iommufd, fixed, ioas, ioas, PAGE, 4 * PAGE, 6 * PAGE);
        copy(iommufd, fixed, ioas, ioas, 3 * PAGE, 40 * PAGE, 4 * PAGE);
        unmap(iommufd, ioas, 40 * PAGE, 3 * PAGE);
        unmapAll(iommufd, other);
        unmapAll(iommufd, ioas);
        calls.destroy(iommufd, other);
    }

    // Devices

    private void withDevice(String sysfs) {
        int iommufd = calls.open("/dev/iommu");
        int device = calls.open(calls.cdev(sysfs));
        calls.bind(device, iommufd);
        unsuitable(iommufd, device);
        int ioas = calls.ioas(iommufd);
        map(iommufd, ioas, 0, PAGE, PAGE);
        calls.attach(device, ioas);
        ranges(iommufd, ioas);
        alignment(iommufd, ioas);
        unmapAll(iommufd, ioas);
        int other = calls.ioas(iommufd);
        map(iommufd, other, 1, 1, 1);
        calls.attach(device, other);
        ranges(iommufd, ioas);
        ranges(iommufd, other);
        unmapAll(iommufd, other);
        map(iommufd, other, 0, PAGE, PAGE);
        calls.attach(device, other);
        ranges(iommufd, ioas);
        ranges(iommufd, other);
        map(iommufd, ioas, 1, 1, 1);
        copy(iommufd, FIXED | READABLE, other, ioas, 1, 0, 1);
        copy(iommufd, FIXED | READABLE, ioas, other, 100, 8 * PAGE, PAGE + 5);
        calls.detach(device);
        map(iommufd, other, 1, 1, 1);
        ranges(iommufd, other);
        calls.attach(device, other);
        unmap(iommufd, other, 1, 1);
        calls.attach(device, other);
        calls.census(iommufd);
        backend.close(device);
        ranges(iommufd, other);
        calls.census(iommufd);
        backend.close(iommufd);
    }

    /** What is mapped keeps a device from being attached. */
    private void unsuitable(int iommufd, int device) {
        long[][] mappings = {{0, 1, PAGE}, {1, PAGE, PAGE}, {0, PAGE, 1}, {0, PAGE, INTERRUPTS}, {0, PAGE, 1L << 39},
                {0, 2 * PAGE, INTERRUPTS - PAGE}, {0, PAGE, 1L << 57}};
        for (long[] mapping : mappings) {
            int ioas = calls.ioas(iommufd);
            map(iommufd, ioas, mapping[0], mapping[1], mapping[2]);
            calls.attach(device, ioas);
            ranges(iommufd, ioas);
            calls.detach(device);
            calls.census(iommufd);
        }
        int ioas = calls.ioas(iommufd);
        map(iommufd, ioas, ALL_FLAGS, NOWHERE, 0, PAGE, PAGE);
        calls.attach(device, ioas);
        calls.detach(device);
        calls.census(iommufd);
    }

    private void alignment(int iommufd, int ioas) {
        long[] offsets = {0, 1, 512, PAGE};
        long[] lengths = {1, PAGE - 1, PAGE, 2 * PAGE, PAGE + 1};
        long[] iovas = {1, 512, 2 * PAGE, 4 * PAGE, INTERRUPTS - PAGE, INTERRUPTS, INTERRUPTS + (1 << 20), 1L << 39,
                -2 * PAGE, -PAGE};
        for (long offset : offsets) {
            for (long length : lengths) {
                for (long iova : iovas) {
                    map(iommufd, ioas, offset, length, iova);
                }
            }
        }
        unmapAll(iommufd, ioas);
        for (int flags : new int[]{READABLE, WRITEABLE, READABLE | WRITEABLE}) {
            map(iommufd, ioas, flags, memory, memory.address() + PAGE, PAGE, 0);
            map(iommufd, ioas, flags, memory, memory.address() + PAGE + 8, PAGE, 0);
            map(iommufd, ioas, flags, memory, memory.address() + PAGE, 8, 0);
            map(iommufd, ioas, flags | FIXED, NOWHERE, 0, PAGE, 100 * PAGE);
            map(iommufd, ioas, flags | FIXED, NOWHERE, -PAGE, PAGE - 1, 100 * PAGE);
        }
    }

    // In place of a container

    private void mapDma(int iommufd, int flags, long offset, long size, long iova) {
        MemorySegment argument = calls.words(32, flags);
        argument.set(ValueLayout.JAVA_LONG, 8, memory.address() + offset);
        argument.set(ValueLayout.JAVA_LONG, 16, iova);
        argument.set(ValueLayout.JAVA_LONG, 24, size);
        backend.ioctl(iommufd, VFIO_IOMMU_MAP_DMA(), argument, memory);
    }

    private void unmapDma(int iommufd, int flags, long iova, long size) {
        MemorySegment argument = calls.words(24, flags);
        argument.set(ValueLayout.JAVA_LONG, 8, iova);
        argument.set(ValueLayout.JAVA_LONG, 16, size);
        backend.ioctl(iommufd, VFIO_IOMMU_UNMAP_DMA(), argument);
    }

    private void info(int iommufd) {
        for (int argsz : new int[]{0, 15, 16, 17, 20, 23, 24, 25, 35, 36, 39, 40, 41, 55, 56, 57, 71, 72, 73, 87, 88,
                89, 104, 200}) {
            MemorySegment argument = arena.allocate(200, Long.BYTES);
            argument.set(ValueLayout.JAVA_INT, 0, argsz);
            backend.ioctl(iommufd, VFIO_IOMMU_GET_INFO(), argument);
        }
    }

    private void containerMapping(int iommufd) {
        info(iommufd);
        for (int flags : new int[]{0, 1, 2, 3, 4, 7, -1}) {
            for (long size : new long[]{0, 1, PAGE, 2 * PAGE, MAX, -PAGE}) {
                for (long iova : new long[]{0, 1, 2 * PAGE, INTERRUPTS, -PAGE, MAX}) {
                    mapDma(iommufd, flags, 0, size, iova);
                }
            }
            unmapDma(iommufd, 2, 0, 0);
        }
        mapDma(iommufd, 3, 0, 4 * PAGE, 4 * PAGE);
        mapDma(iommufd, 3, 4 * PAGE, PAGE, 8 * PAGE);
        for (int flags : new int[]{1, 2, 4, 6, -1}) {
            unmapDma(iommufd, flags, 0, PAGE);
            unmapDma(iommufd, flags, PAGE, 0);
        }
        unmapDma(iommufd, 0, 0, 0);
        unmapDma(iommufd, 0, -PAGE, 2 * PAGE);
        unmapDma(iommufd, 0, 0, PAGE);
        unmapDma(iommufd, 0, 5 * PAGE, PAGE);
        unmapDma(iommufd, 0, 4 * PAGE + 1, PAGE);
        unmapDma(iommufd, 0, 3 * PAGE, 2 * PAGE);
        unmapDma(iommufd, 0, 6 * PAGE, 10 * PAGE);
        unmapDma(iommufd, 0, 4 * PAGE, 10);
        unmapDma(iommufd, 2, 0, 0);
        unmapDma(iommufd, 2, 0, 0);
    }

    private void inPlaceOfAContainer(String sysfs) {
        for (int type : new int[]{3, 1}) {
            int iommufd = calls.open("/dev/iommu");
            int group = calls.open(calls.group(sysfs));
            calls.setContainer(group, iommufd);
            mapDma(iommufd, 3, 0, 4 * PAGE, 4 * PAGE);
            calls.ioctl(iommufd, VFIO_SET_IOMMU(), type);
            containerMapping(iommufd);
            mapDma(iommufd, 3, 1, 1, 1);
            calls.ioctl(iommufd, VFIO_SET_IOMMU(), 1);
            unmapDma(iommufd, 2, 0, 0);
            calls.ioctl(iommufd, VFIO_SET_IOMMU(), type);
            int device = calls.deviceFd(group, sysfs);
            containerMapping(iommufd);
            mapDma(iommufd, 3, 0, 4 * PAGE, 4 * PAGE);
            calls.ioctl(iommufd, VFIO_SET_IOMMU(), 1);
            calls.ioctl(iommufd, VFIO_SET_IOMMU(), 3);
            backend.close(device);
            backend.close(group);
            containerMapping(iommufd);
            backend.close(iommufd);
        }
    }
}
