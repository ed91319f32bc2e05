package io.github.vfio4j.backend;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.StructLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/**
 * The libc functions, linked once. The only class that knows the {@link Linker}.
 *
 * <p>
 * errno is captured by the linker into memory of the calling thread, before anything else of the JVM can run and
 * overwrite it. Memory shared by threads would give one thread the other's error; memory of its own for every call would
 * cost more than the call's overhead.
 *
 * <p>
 * None of these is linked as critical: they may block, and a critical call holds off the garbage collector.
 */
final class Libc {

    private static final Linker LINKER = Linker.nativeLinker();
    private static final StructLayout STATE = Linker.Option.captureStateLayout();
    private static final long ERRNO = offset("errno");
    private static final ThreadLocal<MemorySegment> CALL_STATE = ThreadLocal
            .withInitial(() -> Arena.ofAuto().allocate(STATE));

    // Each in a class of its own, which links it when it is called first: linking takes milliseconds. The address of a
    // function is an argument of its handle, so that the linker has the handle already where another function takes the same.

    // ioctl is variadic in C: what comes after the second argument travels by the variadic convention, which some ABIs
    // pass elsewhere. On Linux off_t and size_t are as wide as below on every 64-bit architecture.

    /**
     * openat, called as ioctl is: path and flags are words, as they are to every 64-bit ABI of Linux. A handle of its own
     * would take a seventh of the time from a program's start to its first ioctl.
     */
    static final class Openat {
        static final MemorySegment SYMBOL = find("openat");
        static final MethodHandle HANDLE = Ioctl.HANDLE;
    }

    static final class Ioctl {
        static final MemorySegment SYMBOL = find("ioctl");
        static final MethodHandle HANDLE = link(FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_LONG, ADDRESS),
                Linker.Option.firstVariadicArg(2));
    }

    /** syscall, for what libc has no function for. It is as variadic as ioctl. */
    static final class Syscall {
        static final MemorySegment SYMBOL = find("syscall");
        static final MethodHandle HANDLE = Ioctl.HANDLE;
    }

    static final class Close {
        static final MemorySegment SYMBOL = find("close");
        static final MethodHandle HANDLE = link(FunctionDescriptor.of(JAVA_INT, JAVA_INT));
    }

    static final class Read {
        static final MemorySegment SYMBOL = find("read");
        static final MethodHandle HANDLE = link(FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    }

    static final class Write {
        static final MemorySegment SYMBOL = find("write");
        static final MethodHandle HANDLE = link(FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG));
    }

    static final class Pread {
        static final MemorySegment SYMBOL = find("pread");
        static final MethodHandle HANDLE = link(
                FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    }

    static final class Pwrite {
        static final MemorySegment SYMBOL = find("pwrite");
        static final MethodHandle HANDLE = link(
                FunctionDescriptor.of(JAVA_LONG, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    }

    static final class Mmap {
        static final MemorySegment SYMBOL = find("mmap");
        static final MethodHandle HANDLE = link(
                FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_LONG));
    }

    static final class Munmap {
        static final MemorySegment SYMBOL = find("munmap");
        static final MethodHandle HANDLE = link(FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG));
    }

    static final class Poll {
        static final MemorySegment SYMBOL = find("poll");
        static final MethodHandle HANDLE = link(FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_INT));
    }

    static final class Eventfd {
        static final MemorySegment SYMBOL = find("eventfd");
        static final MethodHandle HANDLE = link(FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_INT));
    }

    static final class Readlink {
        static final MemorySegment SYMBOL = find("readlink");
        static final MethodHandle HANDLE = link(FunctionDescriptor.of(JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG));
    }

    private Libc() {
    }

    /** The layout's own way to say that costs a program's start more than everything else in this class. */
    private static long offset(String field) {
        long offset = 0;
        for (MemoryLayout member : STATE.memberLayouts()) {
            if (member.name().equals(Optional.of(field))) {
                return offset;
            }
            offset += member.byteSize();
        }
        throw new IllegalStateException("This JVM's linker does not capture " + field);
    }

    private static MemorySegment find(String name) {
        return LINKER.defaultLookup().find(name).orElseThrow();
    }

    @SuppressWarnings("restricted") // the descriptors above are those of libc on 64-bit Linux
    private static MethodHandle link(FunctionDescriptor descriptor, Linker.Option... options) {
        Linker.Option[] withErrno = new Linker.Option[options.length + 1];
        withErrno[0] = Linker.Option.captureCallState("errno");
        System.arraycopy(options, 0, withErrno, 1, options.length);
        return LINKER.downcallHandle(descriptor, withErrno);
    }

    /** The calling thread's memory for errno; the second argument of every handle. */
    static MemorySegment callState() {
        return CALL_STATE.get();
    }

    /** What the last failed call left there; meaningless after one that succeeded. */
    static int errno(MemorySegment callState) {
        return callState.get(JAVA_INT, ERRNO);
    }
}
