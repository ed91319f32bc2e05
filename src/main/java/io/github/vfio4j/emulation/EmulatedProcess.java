package io.github.vfio4j.emulation;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.EventFd;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.Mapping;
import io.github.vfio4j.emulation.fs.NullDevice;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.PollCall;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.SortedMap;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * A process on an {@link EmulatedKernel}: the system calls, and the descriptors they are made on. Descriptors 0, 1 and 2
 * are open from the start and lead nowhere.
 */
public final class EmulatedProcess implements IoctlBackend, AutoCloseable {

    private static final int STANDARD_DESCRIPTORS = 3;

    private final EmulatedKernel kernel;
    private final FileTree files;
    private final boolean root;
    private final FdTable descriptors;
    private final CallContext withoutPointees;

    EmulatedProcess(EmulatedKernel kernel, FileTree files, int descriptorLimit, boolean root) {
        this.kernel = kernel;
        this.files = files;
        this.root = root;
        descriptors = new FdTable(descriptorLimit);
        withoutPointees = new Call(NO_POINTEES);
        for (int fd = 0; fd < STANDARD_DESCRIPTORS; fd++) {
            descriptors.open(new NullDevice(true, true));
        }
    }

    /**
     * The kernel it runs on.
     *
     * @return the kernel
     */
    public EmulatedKernel kernel() {
        return kernel;
    }

    /**
     * How many descriptors are open, the three standard ones included. For tests that look for leaks.
     *
     * @return a number from 0 on
     */
    public int openDescriptors() {
        return descriptors.size();
    }

    /**
     * What is open beyond the three standard descriptors. For tests that look for leaks.
     *
     * @return by descriptor, what it leads to in words: {@code /dev/vfio/vfio}, {@code device 0000:01:00.0}
     */
    public SortedMap<Integer, String> openFiles() {
        return descriptors.describe().tailMap(STANDARD_DESCRIPTORS);
    }

    @Override
    public int open(String path, int flags) {
        return files.open(descriptors, root, path, flags);
    }

    @Override
    public int close(int fd) {
        return descriptors.close(fd);
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        requireNative(argument);
        OpenFile file = descriptors.acquire(fd);
        if (file == null) {
            return -Errno.EBADF.code();
        }
        try {
            // The kernel takes the request as 32 bits; the upper half of the unsigned long is lost.
            return file.ioctl(pointees.length == 0 ? withoutPointees : new Call(pointees), (int) request, argument);
        } finally {
            file.release();
        }
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        requireNative(buffer);
        return on(fd, file -> file.read(buffer));
    }

    @Override
    public long write(int fd, MemorySegment buffer) {
        requireNative(buffer);
        return on(fd, file -> file.write(buffer));
    }

    @Override
    public long pread(int fd, MemorySegment buffer, long offset) {
        requireNative(buffer);
        return offset < 0 ? -Errno.EINVAL.code() : on(fd, file -> file.pread(buffer, offset));
    }

    @Override
    public long pwrite(int fd, MemorySegment buffer, long offset) {
        requireNative(buffer);
        return offset < 0 ? -Errno.EINVAL.code() : on(fd, file -> file.pwrite(buffer, offset));
    }

    private long on(int fd, ToLongFunction<OpenFile> call) {
        OpenFile file = descriptors.acquire(fd);
        if (file == null) {
            return -Errno.EBADF.code();
        }
        try {
            return call.applyAsLong(file);
        } finally {
            file.release();
        }
    }

    @Override
    public MemorySegment mmap(Arena arena, long length, int protection, int flags, int fd, long offset) {
        Mapping mapping = new Mapping(length, protection, flags, offset);
        int error = mapping.checkOffset();
        OpenFile file = error == 0 ? descriptors.acquire(fd) : null;
        if (file == null) {
            return MemorySegment.ofAddress(error != 0 ? error : -Errno.EBADF.code());
        }
        try {
            error = mapping.check();
            return error != 0 ? MemorySegment.ofAddress(error) : file.mmap(arena, mapping);
        } finally {
            file.release();
        }
    }

    @Override
    public int poll(int[] fds, short[] events, int timeoutMillis) {
        return new PollCall(descriptors, fds, events).run(timeoutMillis);
    }

    @Override
    public int eventfd(int initialValue, int flags) {
        return EventFd.create(descriptors, initialValue, flags, kernel.profile().exactEventfdWrites());
    }

    @Override
    public long readlink(String path, MemorySegment buffer) {
        requireNative(buffer);
        String target = files.linkTarget(path);
        if (target == null) {
            return -(files.isNoLink(path) ? Errno.EINVAL : Errno.ENOENT).code();
        }
        byte[] text = target.getBytes(StandardCharsets.US_ASCII);
        int length = (int) Math.min(text.length, buffer.byteSize());
        MemorySegment.copy(text, 0, buffer, JAVA_BYTE, 0, length);
        return length;
    }

    /** As the native backend: memory on the heap has no address a kernel could use. */
    private static void requireNative(MemorySegment memory) {
        if (!memory.isNative()) {
            throw new IllegalArgumentException("A system call needs native memory: allocate it in an Arena");
        }
    }

    /** Ends the process: its descriptors are closed, and its kernel forgets it. */
    @Override
    public void close() {
        descriptors.closeAll();
        kernel.forget(this);
    }

    /** The kernel in words, for example {@code emulated Linux 7.2}. */
    @Override
    public String toString() {
        return kernel.toString();
    }

    private final class Call implements CallContext {

        private final MemorySegment[] pointees;

        Call(MemorySegment[] pointees) {
            this.pointees = pointees;
        }

        @Override
        public FdTable descriptors() {
            return descriptors;
        }

        @Override
        public @Nullable MemorySegment memoryAt(long address) {
            for (MemorySegment pointee : pointees) {
                long offset = address - pointee.address();
                if (offset >= 0 && offset < pointee.byteSize()) {
                    return pointee.asSlice(offset);
                }
            }
            return null;
        }
    }
}
