package io.github.vfio4j.bench;

import io.github.vfio4j.feature.DirtyBitmap;
import io.github.vfio4j.feature.IovaRange;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/** The report of a terabyte at 4 KiB a page: 32 MiB of bits. */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
public class BitmapBenchmark {

    /** Bytes of the bitmap. */
    static final long SIZE = 32L << 20;

    private static final long TERABYTE = 1L << 40;
    private static final long PAGE = 4096;
    private static final int SPARSE_WORDS = 64;

    /** Which pages are dirty: one of 4,096, or every other one. */
    @Param({"sparse", "dense"})
    public String dirty;

    private final Arena arena = Arena.ofConfined();
    private DirtyBitmap bitmap;
    private long sum;

    /** Sets the bits. */
    @Setup
    public void set() {
        bitmap = DirtyBitmap.allocate(new IovaRange(0, TERABYTE), PAGE, arena);
        boolean sparse = dirty.equals("sparse");
        for (long word = 0; word < SIZE / Long.BYTES; word += sparse ? SPARSE_WORDS : 1) {
            bitmap.segment().setAtIndex(ValueLayout.JAVA_LONG, word, sparse ? 1L << 17 : 0x5555_5555_5555_5555L);
        }
    }

    /** Frees the memory. */
    @TearDown
    public void free() {
        arena.close();
    }

    /** Goes through all of it. */
    @Benchmark
    public long iterate() {
        sum = 0;
        bitmap.forEachDirtyRange((iova, length) -> sum += iova ^ length);
        return sum;
    }
}
