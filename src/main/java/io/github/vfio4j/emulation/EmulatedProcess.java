package io.github.vfio4j.emulation;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.fs.AttributeFile;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.DeviceMappings;
import io.github.vfio4j.emulation.fs.EventFd;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.LockedMemory;
import io.github.vfio4j.emulation.fs.Mapping;
import io.github.vfio4j.emulation.fs.NullDevice;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.PollCall;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.SortedMap;
import java.util.function.Supplier;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * A process on an {@link EmulatedKernel}: the system calls, and the descriptors they are made on. Descriptors 0, 1 and 2
 * are open from the start and lead nowhere.
 */
public final class EmulatedProcess implements IoctlBackend, AutoCloseable {

    private static final int STANDARD_DESCRIPTORS = 3;
    private static final long PAGE_SIZE = 4096;
    private static final String LIMITS = "/proc/self/limits";
    private static final String STATUS = "/proc/self/status";
    private static final int NOBODY = 65534;

    /** CAP_IPC_LOCK (capabilities(7)), by which the limit of locked memory does not count. */
    private static final long IPC_LOCK = 1 << 14;

    private final EmulatedKernel kernel;
    private final FileTree files;
    private final boolean root;
    private final FdTable descriptors;
    private final LockedMemory lockedMemory;
    private final DeviceMappings deviceMappings = new DeviceMappings();
    private final CallContext withoutPointees;

    EmulatedProcess(EmulatedKernel kernel, FileTree files, int descriptorLimit, long lockedMemoryLimit, boolean root) {
        this.kernel = kernel;
        this.files = files;
        this.root = root;
        descriptors = new FdTable(descriptorLimit);
        lockedMemory = new LockedMemory(lockedMemoryLimit);
        if (!root) {
            lockedMemory.dropCapability();
        }
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

    /**
     * Takes CAP_IPC_LOCK from a process of root, as Docker and others do for what they run: from here on
     * {@link EmulatedKernel.Builder#lockedMemoryLimit} counts, beyond which memory is not mapped for devices ({@code ENOMEM}).
     *
     * @return this process
     */
    public EmulatedProcess withoutIpcLock() {
        lockedMemory.dropCapability();
        return this;
    }

    /**
     * How much memory is locked, because devices reach it. For tests that look for leaks.
     *
     * @return bytes, what is mapped twice counted twice
     */
    public long lockedMemory() {
        return lockedMemory.locked();
    }

    @Override
    public int open(String path, int flags) {
        if (path.equals(LIMITS)) {
            return openOwn(path, flags, this::limits);
        }
        if (path.equals(STATUS)) {
            return openOwn(path, flags, this::status);
        }
        return files.open(descriptors, root, path, flags);
    }

    private static boolean isOwn(String path) {
        return path.equals(LIMITS) || path.equals(STATUS);
    }

    private int openOwn(String path, int flags, Supplier<String> show) {
        return OpenFile.writable(flags)
                ? -Errno.EACCES.code()
                : descriptors.open(new AttributeFile(path, true, false, show, AttributeFile::readOnly));
    }

    /** Who the process is, and that part of what it may do which this kernel asks for (proc(5)). */
    private String status() {
        int user = root ? 0 : NOBODY;
        String ids = ("\t" + user).repeat(4);
        return String.format("Uid:%s\nGid:%s\nCapEff:\t%016x", ids, ids, lockedMemory.isLimited() ? 0 : IPC_LOCK);
    }

    /** Of all the limits those that this kernel has (proc(5)). */
    private String limits() {
        return limit("Limit", "Soft Limit", "Hard Limit", "Units")
                + limit("Max open files", descriptors.limit(), descriptors.limit(), "files")
                + limit("Max locked memory", lockedMemory.limit(), lockedMemory.limit(), "bytes").stripTrailing();
    }

    private static String limit(String name, Object soft, Object hard, String units) {
        return String.format("%-25s %-20s %-20s %-10s\n", name, soft, hard, units);
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
        if (error == 0 && mapping.isAnonymous()) {
            return mapAnonymous(arena, mapping);
        }
        OpenFile file = error == 0 ? descriptors.acquire(fd) : null;
        if (file == null) {
            return MemorySegment.ofAddress(error != 0 ? error : -Errno.EBADF.code());
        }
        try {
            error = mapping.check();
            return error != 0 ? MemorySegment.ofAddress(error) : mapDevice(arena, file, mapping);
        } finally {
            file.release();
        }
    }

    /** Of all files here, those of devices alone can be mapped. */
    private MemorySegment mapDevice(Arena arena, OpenFile file, Mapping mapping) {
        MemorySegment mapped = file.mmap(arena, mapping);
        if (mapped.byteSize() > 0) {
            deviceMappings.add(mapped);
        }
        return mapped;
    }

    /** This machine has set no huge pages aside. */
    private static MemorySegment mapAnonymous(Arena arena, Mapping mapping) {
        int error = mapping.check();
        error = error == 0 && mapping.isHuge() ? -Errno.ENOMEM.code() : error;
        return error != 0
                ? MemorySegment.ofAddress(error)
                : arena.allocate(mapping.pages(), PAGE_SIZE).asSlice(0, mapping.length());
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
            return -(isOwn(path) || files.isNoLink(path) ? Errno.EINVAL : Errno.ENOENT).code();
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
        public LockedMemory lockedMemory() {
            return lockedMemory;
        }

        @Override
        public boolean isDeviceMemory(long address, long size) {
            return deviceMappings.overlap(address, size);
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
