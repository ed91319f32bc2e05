package io.github.vfio4j.emulation;

import static io.github.vfio4j.backend.Fcntl.O_RDWR;
import static io.github.vfio4j.backend.Poll.POLLERR;
import static io.github.vfio4j.backend.Poll.POLLIN;
import static io.github.vfio4j.backend.Poll.POLLNVAL;
import static io.github.vfio4j.backend.Poll.POLLOUT;
import static io.github.vfio4j.emulation.Program.answer;
import static io.github.vfio4j.emulation.Program.success;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_SET_IRQS;
import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Waiting for descriptors, as poll(2) has it. The limit on time is only there so that a call that hangs fails. */
@Timeout(value = 1, unit = TimeUnit.MINUTES)
class PollTest {

    private static final short BOTH = POLLIN | POLLOUT;

    private final Program program = Program.on(KernelProfile.LINUX_7_2);
    private final EmulatedProcess process = program.process();

    private int eventfd(int value) {
        return success(process.eventfd(value, 0));
    }

    /** Asks for one descriptor: how many are ready, and what has occurred. */
    private String poll(int fd, int events, int timeoutMillis) {
        short[] asked = {(short) events};
        return answer(process.poll(new int[]{fd}, asked, timeoutMillis)) + " " + asked[0];
    }

    @Test
    void whatHasOccurredIsToldOfWhatWasAskedFor() {
        int empty = eventfd(0);
        int filled = eventfd(3);
        assertThat(poll(empty, BOTH, 0)).isEqualTo("1 " + POLLOUT);
        assertThat(poll(filled, BOTH, 0)).isEqualTo("1 " + BOTH);
        assertThat(poll(filled, POLLIN, 0)).isEqualTo("1 " + POLLIN);
        assertThat(poll(filled, POLLOUT, -1)).as("without a limit, and without a wait").isEqualTo("1 " + POLLOUT);
        assertThat(poll(filled, 0, 0)).isEqualTo("0 0");
        assertThat(program.readEventfd(filled)).as("nothing is taken").isEqualTo("3");
    }

    @Test
    void aFullCounterCanBeReadOnly() {
        int full = eventfd(0);
        assertThat(program.writeEventfd(full, -3)).isEqualTo("8");
        assertThat(poll(full, BOTH, 0)).isEqualTo("1 " + BOTH);
        assertThat(program.writeEventfd(full, 1)).isEqualTo("8");
        assertThat(poll(full, BOTH, 0)).as("not one more").isEqualTo("1 " + POLLIN);
        assertThat(poll(full, POLLOUT, 0)).isEqualTo("0 0");
    }

    /** Each has its answer in its place; a negative number is passed over, one that is not open is told. */
    @Test
    void manyAreAskedAtOnce() {
        int empty = eventfd(0);
        int filled = eventfd(1);
        int[] fds = {empty, -1, filled, 999, empty, Integer.MIN_VALUE};
        short[] events = {POLLIN, BOTH, POLLIN, 0, POLLOUT, POLLIN};
        assertThat(process.poll(fds, events, -1)).isEqualTo(3);
        assertThat(events).containsExactly(0, 0, POLLIN, POLLNVAL, POLLOUT, 0);
        assertThat(process.poll(new int[0], new short[0], 0)).isZero();
    }

    /** Files without a wait are always ready (vfs_poll). */
    @Test
    void aFileThatNeverWaitsIsReady() {
        assertThat(poll(program.open("/dev/null"), BOTH, -1)).isEqualTo("1 " + BOTH);
        assertThat(poll(program.container(), BOTH, -1)).isEqualTo("1 " + BOTH);
        assertThat(poll(program.device(Program.PLAIN), POLLIN, -1)).isEqualTo("1 " + POLLIN);
    }

    @Test
    void whenNothingOccursTheCallEnds() {
        int empty = eventfd(0);
        long begin = System.nanoTime();
        short[] events = {POLLIN};
        assertThat(process.poll(new int[]{empty}, events, 30)).isZero();
        assertThat(System.nanoTime() - begin).isGreaterThanOrEqualTo(TimeUnit.MILLISECONDS.toNanos(30));
        assertThat(events).as("what was asked for is overwritten").containsExactly(0);
        assertThat(process.poll(new int[0], new short[0], 1)).as("a sleep").isZero();
    }

    @Test
    void aWriteEndsTheWait() throws Exception {
        int first = eventfd(0);
        int second = eventfd(0);
        short[] events = {POLLIN, POLLIN};
        FutureTask<Integer> poll = new FutureTask<>(() -> process.poll(new int[]{first, second}, events, -1));
        startAndAwaitBlocked(poll);
        assertThat(program.writeEventfd(first, 0)).as("nothing to be read").isEqualTo("8");
        assertThat(poll.isDone()).isFalse();
        assertThat(program.writeEventfd(second, 1)).isEqualTo("8");
        assertThat(poll.get()).isEqualTo(1);
        assertThat(events).containsExactly(0, POLLIN);
    }

    @Test
    void aReadMakesRoomForAWriter() throws Exception {
        int full = eventfd(0);
        assertThat(program.writeEventfd(full, -2)).isEqualTo("8");
        FutureTask<String> poll = new FutureTask<>(() -> poll(full, POLLOUT, -1));
        startAndAwaitBlocked(poll);
        assertThat(program.readEventfd(full)).isEqualTo("18446744073709551614");
        assertThat(poll.get()).isEqualTo("1 " + POLLOUT);
    }

    /** With a limit on time, too. */
    @Test
    void aWriteEndsAWaitThatWouldEnd() throws Exception {
        int empty = eventfd(0);
        FutureTask<String> poll = new FutureTask<>(() -> poll(empty, POLLIN, Integer.MAX_VALUE));
        startAndAwaitBlocked(poll);
        assertThat(program.writeEventfd(empty, 1)).isEqualTo("8");
        assertThat(poll.get()).isEqualTo("1 " + POLLIN);
    }

    /** As a signal would; what was asked for stays. */
    @Test
    void anInterruptEndsTheWait() throws Exception {
        int empty = eventfd(0);
        short[] events = {BOTH & ~POLLOUT};
        FutureTask<String> poll = new FutureTask<>(
                () -> answer(process.poll(new int[]{empty}, events, -1)) + Thread.interrupted());
        startAndAwaitBlocked(poll).interrupt();
        assertThat(poll.get()).isEqualTo("EINTRtrue");
        assertThat(events).containsExactly(POLLIN);
        assertThat(program.writeEventfd(empty, 1)).isEqualTo("8");
        assertThat(program.readEventfd(empty)).isEqualTo("1");
    }

    /** The call uses its files until it ends, and no longer: a device that is polled is closed by close(2) afterwards. */
    @Test
    void theFilesAreUsedUntilTheCallEnds() {
        int device = program.device(Program.PLAIN);
        int group = process.open(program.groupPath(Program.PLAIN), O_RDWR);
        assertThat(answer(group)).as("the group is in use as long as its device is open").isEqualTo("EBUSY");
        assertThat(poll(device, POLLIN, 0)).isEqualTo("1 " + POLLIN);
        program.close(device);
        success(process.open(program.groupPath(Program.PLAIN), O_RDWR));
    }

    /** Only a device gets a counter to its largest value, which is an overflow (eventfd(2)). */
    @Test
    void anErrorNeedsNotBeAskedFor() {
        int device = program.device(Program.PLAIN);
        int fd = eventfd(0);
        assertThat(program.writeEventfd(fd, -2)).isEqualTo("8");
        assertThat(poll(fd, POLLERR, 0)).isEqualTo("0 0");
        setRequestInterrupt(device, 24, 0x24, fd);
        setRequestInterrupt(device, 20, 0x21);
        assertThat(poll(fd, POLLOUT, 0)).isEqualTo("1 " + POLLERR);
        assertThat(poll(fd, POLLIN, 0)).isEqualTo("1 " + (POLLIN | POLLERR));
        setRequestInterrupt(device, 20, 0x21);
        assertThat(program.readEventfd(fd)).as("there is no more than that").isEqualTo("18446744073709551615");
        assertThat(poll(fd, POLLOUT, 0)).isEqualTo("1 " + POLLOUT);
    }

    /** VFIO_DEVICE_SET_IRQS of the interrupt by which the kernel asks for the device back: set, or triggered by hand. */
    private void setRequestInterrupt(int device, int argsz, int flags, int... fds) {
        ByteBuffer argument = ByteBuffer.allocate(argsz).order(ByteOrder.nativeOrder()).putInt(argsz).putInt(flags)
                .putInt(4).putInt(0).putInt(1);
        Arrays.stream(fds).forEach(argument::putInt);
        assertThat(answer(program.ioctlOn(device, VFIO_DEVICE_SET_IRQS(), argument.array()))).isEqualTo("0");
    }

    /** Starts a thread and returns once it waits, which it does nowhere but in the call. */
    private static Thread startAndAwaitBlocked(FutureTask<?> task) {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        thread.start();
        while (thread.getState() != Thread.State.WAITING && thread.getState() != Thread.State.TIMED_WAITING) {
            Thread.onSpinWait();
        }
        return thread;
    }
}
