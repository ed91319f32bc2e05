package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Feature 8, DMA_LOGGING_REPORT: sets bits in a bitmap behind a pointer (semantics §B.4.3). What becomes of it is also a
 * matter of the kernel's configuration.
 */
record DmaLoggingReportFeature(DmaLoggingModel logging, Object lock,
        KernelProfile.BitmapSupport support) implements DeviceFeature {

    private static final int DATA_SIZE = 32;
    private static final long IOVA = DATA;
    private static final long LENGTH = DATA + 8;
    private static final long PAGE_SIZE = DATA + 16;
    private static final long BITMAP = DATA + 24;
    private static final long SMALLEST_PAGE = 4096;

    /** Only a device that can log has it. */
    static @Nullable DeviceFeature of(FeatureHost device) {
        DmaLoggingModel logging = device.dmaLogging();
        return logging == null
                ? null
                : new DmaLoggingReportFeature(logging, device.modelLock(), device.profile().bitmapSupport());
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
        MemorySegment memory = call.memoryAt(UserMemory.getLong(argument, BITMAP));
        ReportBitmap bitmap = new ReportBitmap(memory == null ? MemorySegment.NULL : memory, iova,
                Long.numberOfTrailingZeros(pageSize));
        return switch (support) {
            case ABSENT -> -Errno.EOPNOTSUPP.code();
            case PINNED_AT_ONCE -> reportByWindows(iova, length, bitmap);
            case PINNED_WHEN_NEEDED -> report(iova, length, bitmap);
        };
    }

    /** The driver is asked about as much as fits the pinned memory, then the next part is pinned. */
    private int reportByWindows(long iova, long length, ReportBitmap bitmap) {
        if (length == 0) {
            throw new NotModelledException("a report on no addresses before Linux 6.12");
        }
        for (long done = 0; done != length;) {
            long window = bitmap.pinned(iova + done, length - done);
            int error = window == 0 ? -Errno.EFAULT.code() : report(iova + done, window, bitmap);
            if (error != 0) {
                return error;
            }
            done += window;
        }
        return 0;
    }

    private int report(long iova, long length, ReportBitmap bitmap) {
        return ModelCall.run(lock, () -> logging.report(iova, length,
                (dirty, dirtyLength) -> bitmap.set(dirty, dirtyLength, iova, length)));
    }
}
