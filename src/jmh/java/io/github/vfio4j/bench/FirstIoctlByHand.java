package io.github.vfio4j.bench;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import io.github.vfio4j.backend.Fcntl;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** The same without the library: what the JVM's part of it is. */
public final class FirstIoctlByHand {

    private static final int REQUEST = 0x3b75;
    private static final int PROBE_SET_TOKEN = 1 << 18 | 1 << 17;
    private static final int ENOTTY = 25;

    private FirstIoctlByHand() {
    }

    /** Makes it. */
    public static void main(String... arguments) throws Throwable {
        Linker linker = Linker.nativeLinker();
        MethodHandle open = linker.downcallHandle(linker.defaultLookup().find("open").orElseThrow(),
                FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT), Linker.Option.captureCallState("errno"),
                Linker.Option.firstVariadicArg(2));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment state = arena.allocate(HandWritten.STATE);
            int fd = (int) open.invokeExact(state, arena.allocateFrom("/dev/null"), Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
            MemorySegment request = arena.allocate(8, 8);
            request.set(JAVA_INT, 0, 8);
            request.set(JAVA_INT, 4, PROBE_SET_TOKEN);
            int answer = HandWritten.ioctl(state, fd, REQUEST, request);
            if (answer != -ENOTTY) {
                throw new IllegalStateException("/dev/null has answered " + answer);
            }
        }
    }
}
