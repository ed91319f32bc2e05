package io.github.vfio4j.emulation;

import static io.github.vfio4j.backend.Fcntl.EFD_CLOEXEC;
import static io.github.vfio4j.backend.Fcntl.EFD_NONBLOCK;
import static io.github.vfio4j.backend.Fcntl.EFD_SEMAPHORE;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.opened;
import static io.github.vfio4j.emulation.Program.success;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.concurrent.FutureTask;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** The eventfd that a program makes and a device signals, as eventfd(2) has it. */
class EventFdTest {

    private static final String ALL_KERNELS = "io.github.vfio4j.emulation.Tables#kernels";
    private static final String KERNELS_SINCE_6_1 = "io.github.vfio4j.emulation.Tables#kernelsSince61";

    /** Reached only by a thread that hangs. */
    private static final int SECONDS = 60;

    private static Stream<Arguments> flags() {
        return Tables.onEveryKernel("""
                0          | fd
                1          | fd
                04000      | fd
                02000000   | fd
                02004001   | fd
                2          | EINVAL
                4          | EINVAL
                3          | EINVAL
                0x80000000 | EINVAL
                0xffffffff | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: flags {1}: {2}")
    @MethodSource("flags")
    void unknownFlagsAreRefused(KernelProfile kernel, String flags, String answer) {
        Program program = Program.on(kernel);
        assertThat(opened(program.process().eventfd(0, Long.decode(flags).intValue()))).isEqualTo(answer);
        program.useUpDescriptors();
        assertThat(opened(program.process().eventfd(0, Long.decode(flags).intValue())))
                .isEqualTo(answer.equals("fd") ? "EMFILE" : answer);
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aReadTakesTheWholeCounter(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC));
        assertThat(program.readEventfd(fd)).isEqualTo("3");
        assertThat(program.readEventfd(fd)).isEqualTo("EAGAIN");
        assertThat(program.writeEventfd(fd, 5)).isEqualTo("8");
        assertThat(program.writeEventfd(fd, 0)).isEqualTo("8");
        assertThat(program.writeEventfd(fd, 0x1_0000_0000L)).isEqualTo("8");
        assertThat(program.readEventfd(fd)).isEqualTo("4294967301");
        assertThat(program.writeEventfd(fd, 0)).isEqualTo("8");
        assertThat(program.readEventfd(fd)).isEqualTo("EAGAIN");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aReadOfASemaphoreTakesOne(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE));
        assertThat(program.writeEventfd(fd, 1)).isEqualTo("8");
        assertThat(program.readEventfd(fd)).isEqualTo("1");
        assertThat(program.readEventfd(fd)).isEqualTo("1");
        assertThat(program.readEventfd(fd)).isEqualTo("1");
        assertThat(program.readEventfd(fd)).isEqualTo("EAGAIN");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theFirstValueIsUnsigned(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(-1, EFD_NONBLOCK));
        assertThat(program.readEventfd(fd)).isEqualTo("4294967295");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void theCounterStopsShortOfItsLargestValue(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int fd = program.eventfd();
        assertThat(program.writeEventfd(fd, -1)).isEqualTo("EINVAL");
        assertThat(program.writeEventfd(fd, -2)).isEqualTo("8");
        assertThat(program.writeEventfd(fd, 0)).isEqualTo("8");
        assertThat(program.writeEventfd(fd, 1)).isEqualTo("EAGAIN");
        assertThat(program.writeEventfd(fd, -2)).isEqualTo("EAGAIN");
        assertThat(program.writeEventfd(fd, -1)).isEqualTo("EINVAL");
        assertThat(program.readEventfd(fd)).isEqualTo("18446744073709551614");
        assertThat(program.writeEventfd(fd, Long.MAX_VALUE)).isEqualTo("8");
        assertThat(program.writeEventfd(fd, Long.MAX_VALUE)).isEqualTo("8");
        assertThat(program.writeEventfd(fd, 1)).isEqualTo("EAGAIN");
        assertThat(program.readEventfd(fd)).isEqualTo("18446744073709551614");
    }

    private static Stream<Arguments> sizes() {
        // bytes | call | 5.7 | 6.1 | 6.12 | 7.2. Since Linux 6.9 a write has exactly 8 bytes.
        return Tables.byKernel("""
                0    | read  | EINVAL | EINVAL | EINVAL | EINVAL
                1    | read  | EINVAL | EINVAL | EINVAL | EINVAL
                4    | read  | EINVAL | EINVAL | EINVAL | EINVAL
                7    | read  | EINVAL | EINVAL | EINVAL | EINVAL
                8    | read  | 8      | 8      | 8      | 8
                9    | read  | 8      | 8      | 8      | 8
                4096 | read  | 8      | 8      | 8      | 8
                0    | write | EINVAL | EINVAL | EINVAL | EINVAL
                1    | write | EINVAL | EINVAL | EINVAL | EINVAL
                4    | write | EINVAL | EINVAL | EINVAL | EINVAL
                7    | write | EINVAL | EINVAL | EINVAL | EINVAL
                8    | write | 8      | 8      | 8      | 8
                9    | write | 8      | 8      | EINVAL | EINVAL
                4096 | write | 8      | 8      | EINVAL | EINVAL
                """);
    }

    @ParameterizedTest(name = "{0}: {2} of {1} bytes: {3}")
    @MethodSource("sizes")
    void aCounterHas8Bytes(KernelProfile kernel, int size, String call, String answer) {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(1, EFD_NONBLOCK));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(size).fill((byte) 0x11);
            boolean read = call.equals("read");
            long result = read ? program.process().read(fd, buffer) : program.process().write(fd, buffer);
            assertThat(answer(result)).isEqualTo(answer);
            // What fails has taken nothing and added nothing.
            String left = read ? "EAGAIN" : "1229782938247303442";
            assertThat(program.readEventfd(fd)).isEqualTo(result < 0 ? "1" : left);
            if (read) {
                assertThat(buffer.asSlice(Math.min(size, 8))
                        .mismatch(arena.allocate(size).fill((byte) 0x11).asSlice(Math.min(size, 8)))).isEqualTo(-1);
            }
        }
    }

    /** The size comes before the counter is looked at, and so does a value that can't be. */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void whatIsInvalidDoesNotWait(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(0, 0));
        try (Arena arena = Arena.ofConfined()) {
            assertThat(answer(program.process().read(fd, arena.allocate(7)))).isEqualTo("EINVAL");
            assertThat(program.writeEventfd(fd, -2)).isEqualTo("8");
            assertThat(answer(program.process().write(fd, arena.allocate(7)))).isEqualTo("EINVAL");
            assertThat(program.writeEventfd(fd, -1)).isEqualTo("EINVAL");
        }
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void thereIsNoPositionAndNoRequest(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(1, 0));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(8);
            assertThat(answer(program.process().pread(fd, buffer, 0))).isEqualTo("ESPIPE");
            assertThat(answer(program.process().pwrite(fd, buffer, 0))).isEqualTo("ESPIPE");
            assertThat(answer(program.process().pread(fd, buffer, -1))).isEqualTo("EINVAL");
            assertThat(answer(program.process().pwrite(fd, buffer, -1))).isEqualTo("EINVAL");
        }
        assertThat(answer(program.ioctl(fd, 0x3b64))).isEqualTo("ENOTTY");
        assertThat(answer(program.feature(fd, 1 << 18, 8))).isEqualTo("ENOTTY");
        assertThat(program.readEventfd(fd)).isEqualTo("1");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    @Timeout(SECONDS)
    void aReadWaitsForAWrite(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(0, 0));
        FutureTask<String> read = new FutureTask<>(() -> program.readEventfd(fd));
        startAndAwaitBlocked(read);
        assertThat(program.writeEventfd(fd, 0)).isEqualTo("8");
        assertThat(read.isDone()).isFalse();
        assertThat(program.writeEventfd(fd, 7)).isEqualTo("8");
        assertThat(read.get()).isEqualTo("7");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    @Timeout(SECONDS)
    void aWriteWaitsForRoom(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(0, 0));
        assertThat(program.writeEventfd(fd, -2)).isEqualTo("8");
        FutureTask<String> write = new FutureTask<>(() -> program.writeEventfd(fd, 5));
        startAndAwaitBlocked(write);
        assertThat(program.readEventfd(fd)).isEqualTo("18446744073709551614");
        assertThat(write.get()).isEqualTo("8");
        assertThat(program.readEventfd(fd)).isEqualTo("5");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    @Timeout(SECONDS)
    void oneWriteServesManyReadsOfASemaphore(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(0, EFD_SEMAPHORE));
        FutureTask<String> first = new FutureTask<>(() -> program.readEventfd(fd));
        FutureTask<String> second = new FutureTask<>(() -> program.readEventfd(fd));
        startAndAwaitBlocked(first);
        startAndAwaitBlocked(second);
        assertThat(program.writeEventfd(fd, 3)).isEqualTo("8");
        assertThat(first.get()).isEqualTo("1");
        assertThat(second.get()).isEqualTo("1");
        assertThat(program.readEventfd(fd)).isEqualTo("1");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    @Timeout(SECONDS)
    void anInterruptEndsAWait(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(0, 0));
        FutureTask<String> read = new FutureTask<>(() -> program.readEventfd(fd) + Thread.interrupted());
        startAndAwaitBlocked(read).interrupt();
        assertThat(read.get()).isEqualTo("EINTRtrue");
        assertThat(program.writeEventfd(fd, 1)).isEqualTo("8");
        assertThat(program.readEventfd(fd)).isEqualTo("1");
    }

    /** A call that is under way keeps its file; the number is free at once (close(2)). */
    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    @Timeout(SECONDS)
    void closingDoesNotEndAWait(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(0, 0));
        FutureTask<String> read = new FutureTask<>(() -> program.readEventfd(fd));
        Thread reader = startAndAwaitBlocked(read);
        program.close(fd);
        assertThat(program.writeEventfd(fd, 1)).isEqualTo("EBADF");
        int other = success(program.process().eventfd(9, 0));
        assertThat(other).isEqualTo(fd);
        assertThat(program.readEventfd(other)).isEqualTo("9");
        assertThat(program.writeEventfd(other, 1)).isEqualTo("8");
        assertThat(read.isDone()).isFalse();
        reader.interrupt();
        assertThat(read.get()).isEqualTo("EINTR");
        assertThat(program.readEventfd(other)).isEqualTo("1");
    }

    @ParameterizedTest
    @MethodSource(KERNELS_SINCE_6_1)
    @Timeout(SECONDS)
    void aDeviceWakesAReadWhoseDescriptorIsClosed(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int device = success(program.device(PLAIN));
        int fd = success(program.process().eventfd(0, 0));
        byte[] wakeup = ByteBuffer.allocate(8).order(ByteOrder.nativeOrder()).putInt(fd).array();
        assertThat(answer(program.feature(device, 4 | 1 << 17, 16, wakeup))).isEqualTo("0");
        FutureTask<String> read = new FutureTask<>(() -> program.readEventfd(fd));
        startAndAwaitBlocked(read);
        program.close(fd);
        program.kernel().advance(Duration.ofMillis(1));
        assertThat(answer(program.feature(device, 5 | 1 << 18, 8))).isEqualTo("0");
        assertThat(read.get()).isEqualTo("1");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    @Timeout(SECONDS)
    void writesFromManyThreadsAddUp(KernelProfile kernel) throws Exception {
        Program program = Program.on(kernel);
        int fd = program.eventfd();
        int threads = 4;
        int writes = 1000;
        FutureTask<?>[] tasks = Stream.generate(() -> new FutureTask<>(() -> {
            for (int i = 0; i < writes; i++) {
                assertThat(program.writeEventfd(fd, 3)).isEqualTo("8");
            }
            return "done";
        })).limit(threads).toArray(FutureTask<?>[]::new);
        for (FutureTask<?> task : tasks) {
            new Thread(task).start();
        }
        for (FutureTask<?> task : tasks) {
            assertThat(task.get()).isEqualTo("done");
        }
        assertThat(program.readEventfd(fd)).isEqualTo("12000");
    }

    @ParameterizedTest
    @MethodSource(ALL_KERNELS)
    void aCounterIsWrittenInTheMachinesByteOrder(KernelProfile kernel) {
        Program program = Program.on(kernel);
        int fd = success(program.process().eventfd(1, 0));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(JAVA_LONG);
            assertThat(program.process().read(fd, buffer)).isEqualTo(8);
            assertThat(buffer.get(JAVA_LONG, 0)).isEqualTo(1);
        }
    }

    /** Starts a thread and returns once it waits, which it does nowhere but in the call. */
    private static Thread startAndAwaitBlocked(FutureTask<?> task) {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
        while (thread.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
        return thread;
    }
}
