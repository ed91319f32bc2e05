package io.github.vfio4j.bench;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;

/** The loops in C: one call of Java for very many of C. */
final class CFunctions {

    /** The library that scripts/bench has compiled. */
    static final String LIBRARY = System.getProperty("vfio4j.bench.library");

    private static final SymbolLookup SYMBOLS = SymbolLookup.libraryLookup(LIBRARY, Arena.global());
    private static final MethodHandle IOCTL = link("bench_ioctl",
            FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_LONG, ADDRESS, JAVA_LONG));
    private static final MethodHandle READ32 = link("bench_read32",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));
    private static final MethodHandle COPY = link("bench_copy",
            FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_INT, ADDRESS, JAVA_LONG, JAVA_LONG));

    private CFunctions() {
    }

    private static MethodHandle link(String name, FunctionDescriptor descriptor) {
        return Linker.nativeLinker().downcallHandle(SYMBOLS.find(name).orElseThrow(), descriptor);
    }

    static long ioctl(int fd, long request, MemorySegment argument, long times) throws Throwable {
        return (long) IOCTL.invokeExact(fd, request, argument, times);
    }

    static int read32(MemorySegment registers, long count, long times) throws Throwable {
        return (int) READ32.invokeExact(registers, count, times);
    }

    static long copy(int from, int to, MemorySegment buffer, long bytes) throws Throwable {
        return (long) COPY.invokeExact(from, to, buffer, buffer.byteSize(), bytes);
    }
}
