package io.github.vfio4j;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import org.jspecify.annotations.Nullable;

/** Does something while a native call has memory of Java's, whose arena can't be closed meanwhile: qsort(3), which calls back. */
final class NativeCall {

    private final Runnable action;
    private boolean done;
    private @Nullable Error failure;

    private NativeCall(Runnable action) {
        this.action = action;
    }

    /** Sorts the memory, and on the way does something. */
    @SuppressWarnings("restricted")
    static void during(MemorySegment memory, Runnable action) {
        Linker linker = Linker.nativeLinker();
        NativeCall call = new NativeCall(action);
        try (Arena arena = Arena.ofConfined()) {
            FunctionDescriptor comparison = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS);
            MethodHandle compare = MethodHandles.lookup().findVirtual(NativeCall.class, "compare",
                    comparison.toMethodType());
            MethodHandle qsort = linker.downcallHandle(linker.defaultLookup().find("qsort").orElseThrow(),
                    FunctionDescriptor.ofVoid(ADDRESS, JAVA_LONG, JAVA_LONG, ADDRESS));
            qsort.invokeExact(memory, 2L, 1L, linker.upcallStub(compare.bindTo(call), comparison, arena));
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
        Error failure = call.failure;
        if (failure != null) {
            throw failure;
        }
    }

    /** Nothing may be thrown into a native caller: it would end the process. */
    @SuppressWarnings("UnusedMethod") // by a handle
    private int compare(MemorySegment one, MemorySegment other) {
        if (!done) {
            done = true;
            try {
                action.run();
            } catch (Error e) {
                failure = e;
            }
        }
        return Long.compare(one.address(), other.address());
    }
}
