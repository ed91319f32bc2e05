package io.github.vfio4j.trace;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * The memory for the arguments of a replay's ioctls: behind the last byte there is nothing, and a kernel that goes further
 * finds that ({@code EFAULT}).
 *
 * <p>
 * An emulated kernel goes by the size of the segment. The real one does not see it. For that one the argument ends where a
 * page of a mapped file ends, and the file ends there, too: what is mapped beyond the end of a file cannot be reached.
 * Unlike a hole in the address space, no other thread's memory ever gets there.
 */
final class UserMemory implements AutoCloseable {

    private static final long PAGE = 4096;

    private final boolean emulated;
    private @Nullable Arena arena;
    private MemorySegment reachable = MemorySegment.NULL;

    UserMemory(boolean emulated) {
        this.emulated = emulated;
    }

    /** Memory of that many bytes, which may be the same the next time. */
    MemorySegment ofSize(Arena call, long size) {
        if (emulated) {
            return call.allocate(Math.max(1, size), Long.BYTES).asSlice(0, size);
        }
        if (arena == null || reachable.byteSize() < size) {
            close();
            map(Math.ceilDiv(Math.max(1, size), PAGE) * PAGE);
        }
        return reachable.asSlice(reachable.byteSize() - size);
    }

    private void map(long size) {
        Arena mapping = Arena.ofConfined();
        arena = mapping;
        try {
            Path file = Files.createTempFile("vfio4j", null);
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE,
                    StandardOpenOption.DELETE_ON_CLOSE)) {
                reachable = channel.map(FileChannel.MapMode.READ_WRITE, 0, size + PAGE, mapping).asSlice(0, size);
                channel.truncate(size);
            }
        } catch (IOException e) {
            throw new UncheckedIOException("There is no temporary file for memory that ends", e);
        }
    }

    @Override
    public void close() {
        if (arena != null) {
            arena.close();
            arena = null;
        }
    }
}
