package io.github.vfio4j.backend;

import com.sun.management.ThreadMXBean;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;

/**
 * Prints how many bytes an ioctl allocates once it is compiled. In a JVM of its own: the linker makes a slice of the
 * memory for errno in each call, which the compiler removes unless other code has made it see many kinds of segments.
 */
final class AllocationProbe {

    private static final int CALLS = 200_000;
    private static final int ROUNDS = 5;

    private AllocationProbe() {
    }

    /** Prints bytes per call, rounded up, of the last round. */
    public static void main(String[] arguments) {
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        IoctlBackend backend = NativeBackend.create();
        int fd = backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        long allocated = 0;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(24);
            for (int round = 0; round < ROUNDS; round++) {
                long before = threads.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < CALLS; i++) {
                    backend.ioctl(fd, 0x3b75, argument);
                }
                allocated = threads.getCurrentThreadAllocatedBytes() - before;
            }
        }
        System.out.println(allocated / CALLS);
    }
}
