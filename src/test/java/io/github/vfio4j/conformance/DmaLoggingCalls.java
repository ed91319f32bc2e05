package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_DMA_LOGGING_START;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_GET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Random;
import java.util.stream.LongStream;

/**
 * The calls that log the DMA writes of a device, right and wrong. It expects nothing; two kernels are compared by it.
 */
final class DmaLoggingCalls {

    private static final long PAGE = 4096;
    private static final int MOST_RANGES = 256;
    private static final int RANDOM_STARTS = 600;
    private static final int START = VFIO_DEVICE_FEATURE_DMA_LOGGING_START() | VFIO_DEVICE_FEATURE_SET();
    private static final int REPORT = VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT() | VFIO_DEVICE_FEATURE_GET();

    /** Addresses, lengths and page sizes at which something changes. */
    private static final long[] NUMBERS = {0, 1, 2, 3, 4, 2048, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 3 * PAGE, 1L << 32,
            (1L << 32) - PAGE, Long.MIN_VALUE, Long.MIN_VALUE - PAGE, -2 * PAGE, -PAGE, -2, -1};

    private final MediatedDevice device;
    private final Arena arena;

    private DmaLoggingCalls(MediatedDevice device, Arena arena) {
        this.device = device;
        this.arena = arena;
    }

    static void run(MediatedDevice device) {
        try (Arena arena = Arena.ofConfined(); GuardedMemory guarded = new GuardedMemory()) {
            DmaLoggingCalls calls = new DmaLoggingCalls(device, arena);
            calls.reports(guarded);
            calls.ranges();
            calls.counts(guarded);
            calls.randomRanges();
            calls.reports(guarded);
            calls.stop();
            calls.reports(guarded);
        }
    }

    private MemorySegment words(MemorySegment memory, long... words) {
        MemorySegment.copy(words, 0, memory, ValueLayout.JAVA_LONG_UNALIGNED, 0, words.length);
        return memory;
    }

    private MemorySegment words(long... words) {
        return words(arena.allocate(words.length * (long) Long.BYTES, Long.BYTES), words);
    }

    private void start(long pageSize, long count, MemorySegment ranges) {
        // The count is 32 bits; what is behind it is reserved.
        MemorySegment argument = device.argument(START, new int[6]);
        words(argument.asSlice(8), pageSize, count, ranges.address());
        device.feature(argument, ranges);
    }

    private void start(long pageSize, long... ranges) {
        start(pageSize, ranges.length / 2, words(ranges));
    }

    private void stop() {
        int flags = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP() | VFIO_DEVICE_FEATURE_SET();
        device.feature(device.argument(flags));
        device.feature(device.argument(flags));
    }

    private void ranges() {
        for (long pageSize : NUMBERS) {
            start(pageSize, 0, PAGE);
            for (long number : NUMBERS) {
                start(pageSize, number, PAGE);
                start(pageSize, PAGE, number);
                start(pageSize, number, -number);
                start(pageSize, number, -number - PAGE);
            }
        }
        long[][] several = {{0, PAGE, 0, PAGE}, {0, PAGE, PAGE, PAGE}, {PAGE, PAGE, 0, PAGE}, {0, 2 * PAGE, PAGE, PAGE},
                {PAGE, PAGE, 0, 3 * PAGE}, {0, 3 * PAGE, PAGE, PAGE}, {0, 0, 0, 0}, {0, 0, PAGE, PAGE},
                {PAGE, 0, PAGE, PAGE}, {PAGE, 0, 2 * PAGE, PAGE}, {0, 2 * PAGE, PAGE, 0}, {PAGE, 0, PAGE, 0},
                {PAGE, 0, 0, 0}, {0, PAGE, 2 * PAGE, PAGE, 4 * PAGE, PAGE, 2 * PAGE, PAGE}, {0, PAGE, 1, PAGE},
                {0, PAGE, -PAGE, 2 * PAGE}, {0, PAGE, 0, 1}, {0, PAGE, PAGE - 1, PAGE}, {PAGE - 1, PAGE, 0, PAGE},
                {0, PAGE, PAGE - 1, 0}, {PAGE - 1, 0, 0, PAGE}, {PAGE, 0, 0, PAGE}};
        for (long[] ranges : several) {
            for (long pageSize : new long[]{0, 1, PAGE, 2 * PAGE}) {
                start(pageSize, ranges);
            }
        }
    }

    private void counts(GuardedMemory guarded) {
        MemorySegment many = words(
                LongStream.rangeClosed(0, 2 * MOST_RANGES + 1).map(i -> i % 2 == 0 ? i * PAGE : PAGE).toArray());
        for (long count : new long[]{0, 1, 2, MOST_RANGES - 1, MOST_RANGES, MOST_RANGES + 1, Integer.MAX_VALUE,
                1L << 31, 0xffffffffL, 1L << 32, (1L << 32) + 1, -1}) {
            start(PAGE, count, many);
            // Memory for three ranges, and for three and a half.
            start(PAGE, count, words(guarded.last(48), 0, PAGE, 2 * PAGE, PAGE, 4 * PAGE, PAGE));
            start(PAGE, count, words(guarded.last(56), 0, PAGE, 2 * PAGE, PAGE, 4 * PAGE, PAGE, 6 * PAGE));
            // A wrong one, before and behind the end of the memory.
            start(PAGE, count, words(guarded.last(32), 0, PAGE, 0, PAGE));
            start(PAGE, count, guarded.last(0));
            start(PAGE, count, MemorySegment.NULL);
            start(PAGE, count, MemorySegment.ofAddress(-PAGE));
        }
        stop();
        for (int argsz : new int[]{8, 16, 24, 31, 32, 33, 4096, -1}) {
            MemorySegment argument = device.argument(START, new int[6]);
            argument.set(ValueLayout.JAVA_INT, 0, argsz);
            words(argument.asSlice(8), PAGE, 1, many.address());
            device.feature(argument, many);
        }
    }

    private void randomRanges() {
        Random random = new Random(5);
        for (int i = 0; i < RANDOM_STARTS; i++) {
            // Few page sizes let everything pass to the other checks.
            long pageSize = i % 2 == 0 ? 1 : NUMBERS[random.nextInt(NUMBERS.length)];
            start(pageSize,
                    random.ints(2L * random.nextInt(1, 5), 0, NUMBERS.length).mapToLong(at -> NUMBERS[at]).toArray());
        }
    }

    private void report(long iova, long length, long pageSize, MemorySegment bitmap) {
        MemorySegment argument = device.argument(REPORT, new int[8]);
        words(argument.asSlice(8), iova, length, pageSize, bitmap.address());
        device.feature(argument, bitmap);
    }

    private void reports(GuardedMemory guarded) {
        MemorySegment bitmap = arena.allocate(64, Long.BYTES);
        for (long number : NUMBERS) {
            for (long other : NUMBERS) {
                report(0, other, number, bitmap);
                report(other, PAGE, number, bitmap);
            }
            report(number, -number, PAGE, bitmap);
            report(number, -number - 1, PAGE, bitmap);
        }
        for (MemorySegment wrong : new MemorySegment[]{MemorySegment.NULL, MemorySegment.ofAddress(-PAGE),
                guarded.last(0), guarded.last(8)}) {
            report(0, PAGE, PAGE, wrong);
            report(0, 1L << 30, PAGE, wrong);
            report(0, 0, PAGE, wrong);
        }
        for (int argsz : new int[]{8, 16, 32, 39, 40, 41, 4096, -1}) {
            MemorySegment argument = device.argument(REPORT, new int[8]);
            argument.set(ValueLayout.JAVA_INT, 0, argsz);
            words(argument.asSlice(8), 0, PAGE, PAGE, bitmap.address());
            device.feature(argument, bitmap);
        }
    }
}
