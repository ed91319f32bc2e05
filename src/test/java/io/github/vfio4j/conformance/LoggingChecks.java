package io.github.vfio4j.conformance;

import io.github.vfio4j.Errno;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What the core of the kernel checks of DMA logging before it asks a driver (semantics §B.4): an oracle that is written from
 * the specification and knows nothing of the emulation. Results are 0, then it is the driver's turn, or −errno.
 */
final class LoggingChecks {

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final int RANGE = 16;
    /** The least number of ranges that is too many on pages of 4 KiB; larger pages take more of them. */
    private static final int TOO_MANY = 257;
    private static final long LEAST_PAGE = 4096;

    private LoggingChecks() {
    }

    /**
     * VFIO_DEVICE_FEATURE_DMA_LOGGING_START.
     *
     * @param count
     *            how many ranges there are said to be
     * @param array
     *            those that there are
     */
    static int start(int count, long pageSize, MemorySegment array) {
        if (count == 0) {
            return -Errno.EINVAL.code();
        }
        if (Integer.compareUnsigned(count, TOO_MANY) >= 0) {
            return -Errno.E2BIG.code();
        }
        for (int i = 0; i < count; i++) {
            if ((long) (i + 1) * RANGE > array.byteSize()) {
                return -Errno.EFAULT.code();
            }
            long from = array.get(LONG, (long) i * RANGE);
            long length = array.get(LONG, (long) i * RANGE + 8);
            if (((from | length) & (pageSize - 1)) != 0) {
                return -Errno.EINVAL.code();
            }
            if (Long.compareUnsigned(from + length, from) < 0) {
                return -Errno.EOVERFLOW.code();
            }
            for (int before = 0; before < i; before++) {
                long start = array.get(LONG, (long) before * RANGE);
                long last = start + array.get(LONG, (long) before * RANGE + 8) - 1;
                if (Long.compareUnsigned(start, from + length - 1) <= 0 && Long.compareUnsigned(from, last) <= 0) {
                    return -Errno.EINVAL.code();
                }
            }
        }
        return 0;
    }

    /** VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT. */
    static int report(long iova, long length, long pageSize) {
        if (Long.compareUnsigned(pageSize, LEAST_PAGE) < 0 || Long.bitCount(pageSize) != 1) {
            return -Errno.EINVAL.code();
        }
        return Long.compareUnsigned(iova + length, iova) < 0 ? -Errno.EOVERFLOW.code() : 0;
    }
}
