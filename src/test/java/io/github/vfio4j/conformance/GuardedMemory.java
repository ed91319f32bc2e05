package io.github.vfio4j.conformance;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.Mman;
import io.github.vfio4j.backend.NativeBackend;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Memory behind whose end nothing can be accessed: the only page of a file that is mapped as two. Behind the end of any
 * other memory there may be more.
 */
final class GuardedMemory implements AutoCloseable {

    private static final int PAGE = 4096;

    private final Arena arena = Arena.ofShared();
    private final MemorySegment pages;

    GuardedMemory() {
        NativeBackend backend = NativeBackend.create();
        try {
            Path file = Files.createTempFile("guarded", null);
            Files.write(file, new byte[PAGE]);
            int fd = backend.open(file.toString(), Fcntl.O_RDWR);
            Files.delete(file);
            pages = backend.mmap(arena, 2 * PAGE, Mman.PROT_READ | Mman.PROT_WRITE, Mman.MAP_SHARED, fd, 0);
            backend.close(fd);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        if (pages.byteSize() == 0) {
            throw new IllegalStateException("No memory mapped: " + pages.address());
        }
    }

    /** The last bytes that can be accessed, this many; none are an address where nothing is. */
    MemorySegment last(int size) {
        return pages.asSlice(PAGE - size, size);
    }

    @Override
    public void close() {
        arena.close();
    }
}
