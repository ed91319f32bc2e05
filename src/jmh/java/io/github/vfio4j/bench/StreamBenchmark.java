package io.github.vfio4j.bench;

import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.feature.DataChannels;
import io.github.vfio4j.feature.MigrationData;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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

/**
 * The data of a migration from one channel to the other by way of a buffer, as a program does that reads a save and writes
 * it to a restore: from /dev/zero to /dev/null, 1 MiB at a time.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
public class StreamBenchmark {

    private static final int BUFFER = 1 << 20;

    /** How much. */
    @Param({"1", "1024"})
    public int mebibytes;

    private final Arena arena = Arena.ofConfined();
    private MemorySegment buffer;
    private long bytes;
    private int from;
    private int to;
    private MigrationData source;
    private MigrationData sink;

    /** Opens both. */
    @Setup
    public void open() {
        bytes = (long) mebibytes << 20;
        buffer = arena.allocate(BUFFER, 4096);
        IoctlBackend backend = NativeBackend.create();
        from = backend.open("/dev/zero", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        to = backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        VfioDevice device = Vfio.using(backend).adoptDevice(backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC));
        source = DataChannels.saving(device.own(from, "source"));
        sink = DataChannels.resuming(device.own(to, "sink"));
    }

    /** Closes both. */
    @TearDown
    public void close() throws IOException {
        source.close();
        sink.close();
        arena.close();
    }

    /** read(2) and write(2) in C. */
    @Benchmark
    public long c() throws Throwable {
        return CFunctions.copy(from, to, buffer, bytes);
    }

    /** The channels. */
    @Benchmark
    public long channel() throws IOException {
        long left = bytes;
        while (left > 0) {
            long got = source.read(left < BUFFER ? buffer.asSlice(0, left) : buffer);
            for (long at = 0; at < got;) {
                at += sink.write(at == 0 && got == BUFFER ? buffer : buffer.asSlice(at, got - at));
            }
            left -= got;
        }
        return bytes;
    }
}
