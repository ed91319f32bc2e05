package io.github.vfio4j.backend;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.OptionalInt;

/**
 * The real kernel, through libc.
 *
 * <p>
 * Stateless; an ioctl allocates nothing. Memory passed to a call must be native and stays in use until the call
 * returns.
 */
public final class NativeBackend implements IoctlBackend {

    /** Of openat: a path that is not absolute begins at the working directory. */
    private static final int AT_FDCWD = -100;

    /** The number of membarrier, which is another on every old architecture; none where it is not known here. */
    private static final OptionalInt MEMBARRIER = switch (System.getProperty("os.arch")) {
        case "amd64" -> OptionalInt.of(324);
        case "aarch64", "riscv64", "loongarch64" -> OptionalInt.of(283);
        default -> OptionalInt.empty();
    };

    /** struct pollfd: an int and two shorts. */
    private static final long POLLFD = 8;
    private static final long FD = 0;
    private static final long EVENTS = 4;
    private static final long REVENTS = 6;

    private NativeBackend() {
    }

    /**
     * The backend of the machine this runs on.
     *
     * @return the native backend
     * @throws UnsupportedOperationException
     *             if this is not Linux on a 64-bit machine, or native access is not enabled; the message says what to do
     */
    public static NativeBackend create() {
        Module module = NativeBackend.class.getModule();
        return create(System.getProperty("os.name"), module.isNativeAccessEnabled(),
                module.isNamed() ? module.getName() : "ALL-UNNAMED");
    }

    static NativeBackend create(String system, boolean nativeAccess, String module) {
        if (!system.toLowerCase(Locale.ROOT).startsWith("linux")) {
            throw new UnsupportedOperationException("VFIO is an interface of the Linux kernel, and this is " + system
                    + ": run on Linux, or use the emulated kernel (io.github.vfio4j.emulation.EmulatedKernel), which"
                    + " runs anywhere");
        }
        if (!nativeAccess) {
            // Asked for even where the JVM would only warn: a later JVM refuses, and in the middle of a call.
            throw new UnsupportedOperationException(
                    "Calls to libc need native access: start java with --enable-native-access=" + module);
        }
        return new NativeBackend();
    }

    @Override
    public int open(String path, int flags) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment state = Libc.callState();
            int result = (int) Libc.Openat.HANDLE.invokeExact(Libc.Openat.SYMBOL, state, AT_FDCWD,
                    cString(arena, path).address(), MemorySegment.ofAddress(flags));
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public int close(int fd) {
        try {
            MemorySegment state = Libc.callState();
            int result = (int) Libc.Close.HANDLE.invokeExact(Libc.Close.SYMBOL, state, fd);
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        return ioctl(fd, request, argument);
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument) {
        try {
            MemorySegment state = Libc.callState();
            int result = (int) Libc.Ioctl.HANDLE.invokeExact(Libc.Ioctl.SYMBOL, state, fd, request, argument);
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        try {
            MemorySegment state = Libc.callState();
            long result = (long) Libc.Read.HANDLE.invokeExact(Libc.Read.SYMBOL, state, fd, buffer, buffer.byteSize());
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public long write(int fd, MemorySegment buffer) {
        try {
            MemorySegment state = Libc.callState();
            long result = (long) Libc.Write.HANDLE.invokeExact(Libc.Write.SYMBOL, state, fd, buffer, buffer.byteSize());
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public long pread(int fd, MemorySegment buffer, long offset) {
        try {
            MemorySegment state = Libc.callState();
            long result = (long) Libc.Pread.HANDLE.invokeExact(Libc.Pread.SYMBOL, state, fd, buffer, buffer.byteSize(),
                    offset);
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public long pwrite(int fd, MemorySegment buffer, long offset) {
        try {
            MemorySegment state = Libc.callState();
            long result = (long) Libc.Pwrite.HANDLE.invokeExact(Libc.Pwrite.SYMBOL, state, fd, buffer,
                    buffer.byteSize(), offset);
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    @SuppressWarnings("restricted") // the kernel has just said that the mapping is that long
    public MemorySegment mmap(Arena arena, long length, int protection, int flags, int fd, long offset) {
        try {
            MemorySegment state = Libc.callState();
            MemorySegment mapping = (MemorySegment) Libc.Mmap.HANDLE.invokeExact(Libc.Mmap.SYMBOL, state,
                    MemorySegment.NULL, length, protection, flags, fd, offset);
            return mapping.address() == -1
                    ? MemorySegment.ofAddress(-Libc.errno(state))
                    : mapping.reinterpret(length, arena, NativeBackend::munmap);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Of a mapping that nothing has changed since it was made, the kernel unmaps all. */
    private static void munmap(MemorySegment mapping) {
        try {
            int result = (int) Libc.Munmap.HANDLE.invokeExact(Libc.Munmap.SYMBOL, Libc.callState(), mapping,
                    mapping.byteSize());
            assert result == 0 : "munmap";
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public int poll(int[] fds, short[] events, int timeoutMillis) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment list = arena.allocate(fds.length * POLLFD, Integer.BYTES);
            for (int i = 0; i < fds.length; i++) {
                list.set(ValueLayout.JAVA_INT, i * POLLFD + FD, fds[i]);
                list.set(ValueLayout.JAVA_SHORT, i * POLLFD + EVENTS, events[i]);
            }
            MemorySegment state = Libc.callState();
            int result = (int) Libc.Poll.HANDLE.invokeExact(Libc.Poll.SYMBOL, state, list, (long) fds.length,
                    timeoutMillis);
            if (result < 0) {
                return -Libc.errno(state);
            }
            for (int i = 0; i < fds.length; i++) {
                events[i] = list.get(ValueLayout.JAVA_SHORT, i * POLLFD + REVENTS);
            }
            return result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public int eventfd(int initialValue, int flags) {
        try {
            MemorySegment state = Libc.callState();
            int result = (int) Libc.Eventfd.HANDLE.invokeExact(Libc.Eventfd.SYMBOL, state, initialValue, flags);
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public long readlink(String path, MemorySegment buffer) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment state = Libc.callState();
            long result = (long) Libc.Readlink.HANDLE.invokeExact(Libc.Readlink.SYMBOL, state, cString(arena, path),
                    buffer, buffer.byteSize());
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    @Override
    public int membarrier(int command) {
        if (MEMBARRIER.isEmpty()) {
            return -ENOSYS;
        }
        try {
            MemorySegment state = Libc.callState();
            int result = (int) Libc.Syscall.HANDLE.invokeExact(Libc.Syscall.SYMBOL, state, MEMBARRIER.getAsInt(),
                    (long) command, MemorySegment.NULL);
            return result < 0 ? -Libc.errno(state) : result;
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** As allocateFrom, whose way to the bytes of a string takes a program that has just started 5 ms. */
    private static MemorySegment cString(Arena arena, String text) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        MemorySegment string = arena.allocate(bytes.length + 1L);
        return string.copyFrom(MemorySegment.ofArray(bytes));
    }

    /**
     * A handle throws only what is wrong before the call is made: memory that is closed, on the heap, or confined to
     * another thread.
     */
    private static RuntimeException unexpected(Throwable thrown) {
        return switch (thrown) {
            case RuntimeException e -> e;
            case Error e -> throw e;
            default -> throw new AssertionError("A downcall handle declares no checked exception", thrown);
        };
    }

    /** Names the kernel, for example {@code native Linux 6.12.107}. */
    @Override
    public String toString() {
        return "native Linux " + System.getProperty("os.version");
    }
}
