package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.Mapping;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Feature 11, DMA_BUF: a descriptor for ranges of a memory BAR, as the ioctl's result (semantics §B.6). */
record DmaBufFeature(FeatureHost device) implements DeviceFeature {

    private static final int DATA_SIZE = 16;
    private static final int RANGE_SIZE = 16;
    private static final long RANGES = DATA + DATA_SIZE;
    private static final long PAGE_MASK = 4095;

    /** The most that the kernel allocates in one piece. */
    private static final long MAX_ALLOCATION = 4 << 20;

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        List<Bar> bars = device.exportedBars();
        if (bars == null) {
            return -Errno.EOPNOTSUPP.code();
        }
        int check = FeatureCheck.get(flags, dataLength, DATA_SIZE);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        if (!UserMemory.mapped(argument, DATA, DATA_SIZE)) {
            return -Errno.EFAULT.code();
        }
        int region = UserMemory.getInt(argument, DATA);
        int openFlags = UserMemory.getInt(argument, DATA + 4);
        int dmaBufFlags = UserMemory.getInt(argument, DATA + 8);
        long ranges = Integer.toUnsignedLong(UserMemory.getInt(argument, DATA + 12));
        if (ranges == 0 || dmaBufFlags != 0) {
            return -Errno.EINVAL.code();
        }
        Bar bar = bar(bars, region);
        if (bar == null) {
            return -Errno.ENODEV.code();
        }
        // argsz has no say in this: the entries are read wherever they end.
        if (ranges * RANGE_SIZE > MAX_ALLOCATION) {
            return -Errno.ENOMEM.code();
        }
        if (!UserMemory.mapped(argument, RANGES, ranges * RANGE_SIZE)) {
            return -Errno.EFAULT.code();
        }
        int error = checkLengths(argument, ranges);
        if (error == 0) {
            error = bar.ioPort() ? -Errno.EINVAL.code() : checkBounds(argument, ranges, bar);
        }
        return error != 0 ? error : call.descriptors().open(new DmaBufFile(openFlags));
    }

    private static @Nullable Bar bar(List<Bar> bars, int region) {
        return bars.stream().filter(bar -> bar.index() == region).findFirst().orElse(null);
    }

    private static int checkLengths(MemorySegment argument, long ranges) {
        long total = 0;
        for (long i = 0; i < ranges; i++) {
            long offset = offset(argument, i);
            long length = length(argument, i);
            if (length == 0 || ((offset | length) & PAGE_MASK) != 0) {
                return -Errno.EINVAL.code();
            }
            total += length;
            if (Long.compareUnsigned(total, length) < 0) {
                return -Errno.EINVAL.code();
            }
        }
        return total < 0 ? -Errno.EINVAL.code() : 0;
    }

    private static int checkBounds(MemorySegment argument, long ranges, Bar bar) {
        long barEnd = bar.address() + bar.size();
        for (long i = 0; i < ranges; i++) {
            long start = bar.address() + offset(argument, i);
            long end = start + length(argument, i);
            if (Long.compareUnsigned(start, bar.address()) < 0 || Long.compareUnsigned(end, start) < 0) {
                return -Errno.EOVERFLOW.code();
            }
            if (Long.compareUnsigned(end, barEnd) > 0) {
                return -Errno.EINVAL.code();
            }
        }
        return 0;
    }

    private static long offset(MemorySegment argument, long range) {
        return UserMemory.getLong(argument, RANGES + range * RANGE_SIZE);
    }

    private static long length(MemorySegment argument, long range) {
        return UserMemory.getLong(argument, RANGES + range * RANGE_SIZE + 8);
    }

    /** What the descriptor stands for. Of {@code open_flags} only the access mode reaches the file. */
    private static final class DmaBufFile extends OpenFile {
        DmaBufFile(int openFlags) {
            super(readable(openFlags), writable(openFlags));
        }

        @Override
        public String toString() {
            return "DMA-buf";
        }

        @Override
        protected boolean isPositional() {
            return false;
        }

        @Override
        protected MemorySegment doMmap(Arena arena, Mapping mapping) {
            throw new NotModelledException("a DMA-buf that is mapped");
        }

        @Override
        public short ready() {
            throw new NotModelledException("a DMA-buf that is waited for");
        }
    }
}
