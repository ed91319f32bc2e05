package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Feature 6, DMA_LOGGING_START: page size, and an array of ranges behind a pointer (semantics §B.4.1). */
record DmaLoggingStartFeature(DmaLoggingModel logging, Object lock) implements DeviceFeature {

    private static final int DATA_SIZE = 24;
    private static final long PAGE_SIZE = DATA;
    private static final long NUM_RANGES = DATA + 8;
    private static final long RANGES = DATA + 16;
    private static final int RANGE_SIZE = 16;

    /** As many as fit a page. */
    private static final int MAX_RANGES = 4096 / RANGE_SIZE;

    /** Only a device that can log has it. */
    static @Nullable DeviceFeature of(FeatureHost device) {
        DmaLoggingModel logging = device.dmaLogging();
        return logging == null ? null : new DmaLoggingStartFeature(logging, device.modelLock());
    }

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.set(flags, dataLength, DATA_SIZE);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        if (!UserMemory.mapped(argument, DATA, DATA_SIZE)) {
            return -Errno.EFAULT.code();
        }
        int count = UserMemory.getInt(argument, NUM_RANGES);
        if (count == 0) {
            return -Errno.EINVAL.code();
        }
        if (Integer.compareUnsigned(count, MAX_RANGES) > 0) {
            return -Errno.E2BIG.code();
        }
        long pageSize = UserMemory.getLong(argument, PAGE_SIZE);
        MemorySegment array = call.memoryAt(UserMemory.getLong(argument, RANGES));
        List<DmaLoggingModel.Range> ranges = new ArrayList<>(count);
        for (int i = 0; i < count; i++) {
            int error = add(ranges, array, (long) i * RANGE_SIZE, pageSize);
            if (error != 0) {
                return error;
            }
        }
        return ModelCall.run(lock,
                () -> UserMemory.putLong(argument, PAGE_SIZE, logging.start(List.copyOf(ranges), pageSize)));
    }

    /** Alignment is a test of bits: the page size need not be a power of two here, nor other than 0. */
    private static int add(List<DmaLoggingModel.Range> ranges, @Nullable MemorySegment array, long at, long pageSize) {
        if (array == null || !UserMemory.mapped(array, at, RANGE_SIZE)) {
            return -Errno.EFAULT.code();
        }
        DmaLoggingModel.Range range = new DmaLoggingModel.Range(UserMemory.getLong(array, at),
                UserMemory.getLong(array, at + 8));
        if (((range.iova() | range.length()) & pageSize - 1) != 0) {
            return -Errno.EINVAL.code();
        }
        if (Long.compareUnsigned(range.iova() + range.length(), range.iova()) < 0) {
            return -Errno.EOVERFLOW.code();
        }
        if (ranges.stream().anyMatch(other -> overlap(range, other))) {
            return -Errno.EINVAL.code();
        }
        ranges.add(range);
        return 0;
    }

    /** In wrapping arithmetic, as the kernel's interval tree compares: an empty range at 0 overlaps with everything. */
    private static boolean overlap(DmaLoggingModel.Range a, DmaLoggingModel.Range b) {
        return Long.compareUnsigned(a.iova(), last(b)) <= 0 && Long.compareUnsigned(b.iova(), last(a)) <= 0;
    }

    private static long last(DmaLoggingModel.Range range) {
        return range.iova() + range.length() - 1;
    }
}
