package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * Feature 8, DMA_LOGGING_REPORT: sets bits in a bitmap behind a pointer (semantics §B.4.3). What becomes of it is also a
 * matter of the kernel's configuration.
 */
record DmaLoggingReportFeature(DmaLoggingOps logging, KernelProfile.BitmapSupport support) implements DeviceFeature {

    private static final int DATA_SIZE = 32;
    private static final long IOVA = DATA;
    private static final long LENGTH = DATA + 8;
    private static final long PAGE_SIZE = DATA + 16;
    private static final long BITMAP = DATA + 24;
    private static final long SMALLEST_PAGE = 4096;

    /** Only a device that can log has it. */
    static @Nullable DeviceFeature of(FeatureHost device) {
        DmaLoggingOps logging = device.dmaLogging();
        return logging == null ? null : new DmaLoggingReportFeature(logging, device.profile().bitmapSupport());
    }

    @Override
    public int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call) {
        int check = FeatureCheck.get(flags, dataLength, DATA_SIZE);
        if (check != FeatureCheck.CARRY_ON) {
            return check;
        }
        if (!UserMemory.mapped(argument, DATA, DATA_SIZE)) {
            return -Errno.EFAULT.code();
        }
        long iova = UserMemory.getLong(argument, IOVA);
        long length = UserMemory.getLong(argument, LENGTH);
        long pageSize = UserMemory.getLong(argument, PAGE_SIZE);
        if (Long.compareUnsigned(pageSize, SMALLEST_PAGE) < 0 || Long.bitCount(pageSize) != 1) {
            return -Errno.EINVAL.code();
        }
        if (Long.compareUnsigned(iova + length, iova) < 0) {
            return -Errno.EOVERFLOW.code();
        }
        MemorySegment bitmap = call.memoryAt(UserMemory.getLong(argument, BITMAP));
        return switch (support) {
            case ABSENT -> -Errno.EOPNOTSUPP.code();
            case PINNED_AT_ONCE -> bitmap == null ? -Errno.EFAULT.code() : report(iova, length, pageSize, bitmap);
            case PINNED_WHEN_NEEDED -> report(iova, length, pageSize, bitmap);
        };
    }

    private int report(long iova, long length, long pageSize, @Nullable MemorySegment bitmap) {
        int shift = Long.numberOfTrailingZeros(pageSize);
        return logging.report(iova, length, (dirtyIova, dirtyLength) -> {
            if (bitmap == null || dirtyLength == 0) {
                return;
            }
            long first = (dirtyIova - iova) >>> shift;
            long last = (dirtyIova - iova + dirtyLength - 1) >>> shift;
            for (long bit = first; bit <= last && bit >>> 3 < bitmap.byteSize(); bit++) {
                byte old = bitmap.get(ValueLayout.JAVA_BYTE, bit >>> 3);
                bitmap.set(ValueLayout.JAVA_BYTE, bit >>> 3, (byte) (old | 1 << (bit & 7)));
            }
        });
    }
}
