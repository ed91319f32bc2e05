package io.github.vfio4j.emulation.mdev;

import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_BAR0_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_CONFIG_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_NUM_REGIONS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_MMAP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_READ;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_WRITE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.Mapping;
import io.github.vfio4j.emulation.vfio.InfoArgument;
import io.github.vfio4j.emulation.vfio.RegionInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** mdpy of the type {@code mdpy-vga}: 640 by 480 pixels of 4 bytes in its BAR 0, and no interrupts. */
record MdpyModel() implements MdevModel {

    private static final int CONFIG_SIZE = 255;
    /** The pixels, rounded up to a power of two. */
    private static final int MEMORY_SIZE = 2 << 20;
    private static final int MEMORY_OFFSET = 4096;
    private static final int DISPLAY_REGION = 16;

    @Override
    public @Nullable RegionInfo region(int index) {
        int readWrite = VFIO_REGION_INFO_FLAG_READ() | VFIO_REGION_INFO_FLAG_WRITE();
        if (index == VFIO_PCI_CONFIG_REGION_INDEX()) {
            return RegionInfo.of(readWrite, CONFIG_SIZE, 0);
        }
        if (index == VFIO_PCI_BAR0_REGION_INDEX() || index == DISPLAY_REGION) {
            return RegionInfo.of(readWrite | VFIO_REGION_INFO_FLAG_MMAP(), MEMORY_SIZE, MEMORY_OFFSET);
        }
        return Integer.compareUnsigned(index, VFIO_PCI_NUM_REGIONS()) < 0 ? RegionInfo.of(0, 0, 0) : null;
    }

    @Override
    public int irqInfo(MemorySegment argument) {
        return InfoArgument.writeIrqCount(argument, 0);
    }

    @Override
    public int setIrqs(FdTable descriptors, MemorySegment argument, int interrupts) {
        return -Errno.EINVAL.code();
    }

    @Override
    public long access(MemorySegment buffer, long offset, boolean write) {
        throw new NotModelledException("the regions of the sample display");
    }

    @Override
    public MemorySegment map(Arena arena, Mapping mapping) {
        throw new NotModelledException("the memory of the sample display");
    }

    @Override
    public int queryPlane() {
        throw new NotModelledException("the picture of the sample display");
    }

    @Override
    public void close() {
        // Nothing is kept.
    }
}
