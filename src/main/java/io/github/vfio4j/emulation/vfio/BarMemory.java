package io.github.vfio4j.emulation.vfio;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/**
 * The memory of a device in a BAR. As long as nobody maps it, it is memory of the JVM; from then on it is a temporary
 * file, of which each mapping has a scope of its own, as a mapping of the real kernel has: no other memory can be in two
 * scopes without native access.
 */
final class BarMemory {

    /** Whatever is larger is a file from the start, which takes no more room than is used. */
    private static final long LARGEST_IN_MEMORY = 1 << 20;

    private static final long PAGE_SIZE = 4096;

    private final long size;
    private @Nullable FileChannel file;
    private @Nullable MemorySegment memory;

    BarMemory(long size) {
        this.size = size;
    }

    /** The memory as the device has it. It may move when it is mapped for the first time. */
    synchronized MemorySegment memory() {
        MemorySegment current = memory;
        if (current == null) {
            current = file != null || size > LARGEST_IN_MEMORY
                    ? map(Arena.ofAuto(), true, 0, size)
                    : Arena.ofAuto().allocate(size, Long.BYTES);
            memory = current;
        }
        return current;
    }

    /** The memory as the device has it, where it will not move. */
    synchronized MemorySegment lastingMemory() {
        if (file == null) {
            map(Arena.ofAuto(), true, 0, size);
        }
        return memory();
    }

    /** A mapping for a program. */
    synchronized MemorySegment map(Arena arena, boolean writable, long offset, long length) {
        try {
            if (file == null) {
                MemorySegment before = memory;
                file = open(size);
                if (before != null) {
                    memory = map(Arena.ofAuto(), true, 0, size).copyFrom(before);
                }
            }
            return file.map(writable ? MapMode.READ_WRITE : MapMode.READ_ONLY, offset, length, arena);
        } catch (IOException e) {
            throw new UncheckedIOException("Mapped memory of an emulated device is a temporary file, and that failed",
                    e);
        }
    }

    private static FileChannel open(long size) throws IOException {
        Path path = Files.createTempFile("vfio4j-bar", null);
        FileChannel channel = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE,
                StandardOpenOption.DELETE_ON_CLOSE);
        // Whole pages are mapped.
        channel.write(ByteBuffer.allocate(1), Math.ceilDiv(size, PAGE_SIZE) * PAGE_SIZE - 1);
        return channel;
    }

    synchronized void clear() {
        if (memory != null || file != null) {
            memory().fill((byte) 0);
        }
    }
}
