package io.github.vfio4j.migration;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.MigrationData;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.time.Duration;
import java.util.concurrent.CancellationException;
import java.util.concurrent.TimeUnit;

/** Moves the data of one migration, through one buffer and however much there is. Used by one thread. */
final class Transfer {

    private static final Duration PAUSE = Duration.ofMillis(1);

    private final MigrationOptions options;
    private final MigrationListener listener;
    private final ByteBuffer buffer;
    private final MemorySegment memory;
    private volatile boolean aborted;
    private long total;

    Transfer(MigrationOptions options, MigrationListener listener) {
        this.options = options;
        this.listener = listener;
        buffer = ByteBuffer.allocateDirect(options.bufferSize());
        memory = MemorySegment.ofBuffer(buffer.duplicate());
    }

    /** Bytes moved so far. */
    long total() {
        return total;
    }

    /** Lets the transfer fail at its next step. Called from any thread. */
    void abort() {
        aborted = true;
    }

    private void checkAborted() {
        if (aborted) {
            throw new CancellationException("The migration was aborted");
        }
    }

    /**
     * One round of pre-copy: until the device has no more for now, or as much was moved as it announced.
     *
     * @return bytes moved
     */
    long round(MigrationData data, WritableByteChannel sink, long announced) throws IOException {
        long before = total;
        while (total - before < announced && next(data) > 0) {
            drain(sink);
        }
        return total - before;
    }

    /** Everything that a stopped device has. */
    void toEnd(MigrationData data, WritableByteChannel sink) throws IOException {
        long read = next(data);
        while (read > 0) {
            drain(sink);
            read = next(data);
        }
        if (read == MigrationData.TEMPORARY_END) {
            throw new VfioException("read migration data", Errno.ENOMSG,
                    "A stopped device has no temporary end: this is a fault of its driver");
        }
    }

    /** Everything that the channel has. */
    void fill(MigrationData data, ReadableByteChannel source) throws IOException {
        while (next(source) >= 0) {
            while (buffer.hasRemaining()) {
                moved(await("The device takes no data", () -> data.write(buffer)));
            }
        }
    }

    /** What the device has next, into the buffer: bytes, or one of its ends. */
    private long next(MigrationData data) throws IOException {
        long read = await("The device has no data", () -> data.read(memory));
        buffer.clear().limit((int) Math.max(read, 0));
        return read;
    }

    /** What the channel has next, into the buffer: bytes, or −1 at the end. */
    private long next(ReadableByteChannel source) throws IOException {
        buffer.clear();
        long read = await("The channel has no data", () -> source.read(buffer));
        buffer.flip();
        return read;
    }

    private void drain(WritableByteChannel sink) throws IOException {
        while (buffer.hasRemaining()) {
            moved(await("The channel takes no data", () -> sink.write(buffer)));
        }
    }

    private void moved(long bytes) {
        total += bytes;
        listener.transferred(total);
    }

    private interface Step {
        long make() throws IOException;
    }

    /** Makes a step again as long as it moves nothing: a channel or a device that does not wait by itself. */
    private long await(String standstill, Step step) throws IOException {
        checkAborted();
        long result = step.make();
        long start = System.nanoTime();
        while (result == 0) {
            if (System.nanoTime() - start >= TimeUnit.NANOSECONDS.convert(options.stallTimeout())) {
                throw new IOException(standstill + " for " + options.stallTimeout());
            }
            pause();
            checkAborted();
            result = step.make();
        }
        return result;
    }

    private static void pause() throws InterruptedIOException {
        try {
            Thread.sleep(PAUSE);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw (InterruptedIOException) new InterruptedIOException("The migration was interrupted").initCause(e);
        }
    }
}
