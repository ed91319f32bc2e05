package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static io.github.vfio4j.backend.Membarrier.MEMBARRIER_CMD_PRIVATE_EXPEDITED;
import static io.github.vfio4j.backend.Membarrier.MEMBARRIER_CMD_QUERY;
import static io.github.vfio4j.backend.Membarrier.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;

import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The limits on time are only there so that a deadlock fails instead of hanging. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class DescriptorTest {

    private static final long GET_API_VERSION = 0x3b64;

    private final EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2).build().newProcess();

    private int openContainer() {
        return process.open("/dev/vfio/vfio", Fcntl.O_RDWR);
    }

    /** Notes calls that come when they must not: after the close, or a close during a call. */
    private static final class Guard extends ForwardingBackend {

        private final AtomicInteger underWay = new AtomicInteger();
        private final AtomicInteger closes = new AtomicInteger();
        private final List<String> violations = new ArrayList<>();

        Guard(IoctlBackend next) {
            super(next);
        }

        private synchronized void violation(String what) {
            violations.add(what);
        }

        @Override
        public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            underWay.incrementAndGet();
            if (closes.get() > 0) {
                violation("a call after the close");
            }
            int result = super.ioctl(fd, request, argument, pointees);
            underWay.decrementAndGet();
            return result;
        }

        @Override
        public int close(int fd) {
            if (underWay.get() > 0) {
                violation("a close during a call");
            }
            closes.incrementAndGet();
            return super.close(fd);
        }
    }

    /** Holds calls until they are let go. */
    private static final class Gate extends ForwardingBackend {

        private final CountDownLatch entered = new CountDownLatch(1);
        private final CountDownLatch open = new CountDownLatch(1);

        Gate(IoctlBackend next) {
            super(next);
        }

        @Override
        public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            entered.countDown();
            awaitUninterruptibly(open);
            return super.ioctl(fd, request, argument, pointees);
        }
    }

    /** Has membarrier(2), and writes down what it is asked for. */
    private static final class Fencing extends ForwardingBackend {

        private static final int COMMANDS = MEMBARRIER_CMD_PRIVATE_EXPEDITED
                | MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;

        private final int commands;
        private final List<Integer> made = new ArrayList<>();
        private int failures;

        Fencing(IoctlBackend next, int commands, int failures) {
            super(next);
            this.commands = commands;
            this.failures = failures;
        }

        @Override
        public synchronized int membarrier(int command) {
            if (command == MEMBARRIER_CMD_QUERY) {
                return commands;
            }
            made.add(command);
            return failures-- > 0 ? -Errno.ENOMEM.code() : 0;
        }
    }

    private static void awaitUninterruptibly(CountDownLatch latch) {
        while (true) {
            try {
                latch.await();
                return;
            } catch (InterruptedException e) {
                // Held calls stay held, as those of a kernel that is busy.
            }
        }
    }

    private static Thread close(Descriptor descriptor, AtomicInteger closed) {
        return Thread.ofPlatform().start(() -> {
            try {
                descriptor.close();
                closed.incrementAndGet();
            } catch (VfioException e) {
                throw new AssertionError(e);
            }
        });
    }

    private static void awaitWaiting(Thread thread) {
        while (thread.getState() != Thread.State.TIMED_WAITING) {
            assertThat(thread.isAlive()).as("still waiting").isTrue();
            Thread.onSpinWait();
        }
    }

    @Test
    void closingTwiceClosesOnce() throws VfioException {
        Guard guard = new Guard(process);
        Descriptor descriptor = new Descriptor(guard, openContainer(), "container");
        descriptor.close();
        descriptor.close();
        assertThat(guard.closes).hasValue(1);
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aClosedDescriptorRefusesCallsByItsName() throws VfioException {
        Guard guard = new Guard(process);
        Descriptor descriptor = new Descriptor(guard, openContainer(), "container");
        assertThat(descriptor.ioctl(GET_API_VERSION, MemorySegment.NULL)).isZero();
        descriptor.close();
        assertThatIllegalStateException().isThrownBy(() -> descriptor.ioctl(GET_API_VERSION, MemorySegment.NULL))
                .withMessage("container is closed; open it again to use it");
        assertThatIllegalStateException().isThrownBy(descriptor::enter);
        assertThat(guard.violations).isEmpty();
    }

    @Test
    void aNumberThatWasGivenToAnotherFileIsNotTouched() throws VfioException {
        Descriptor descriptor = new Descriptor(process, openContainer(), "container");
        int number = descriptor.number();
        descriptor.close();
        assertThat(openContainer()).isEqualTo(number);
        descriptor.close();
        assertThatIllegalStateException().isThrownBy(() -> descriptor.ioctl(GET_API_VERSION, MemorySegment.NULL));
        assertThat(process.openDescriptors()).isEqualTo(4);
    }

    @Test
    void anErrorOfCloseIsReportedOnce() throws VfioException {
        FaultInjectingBackend faults = new FaultInjectingBackend(process);
        Descriptor descriptor = new Descriptor(faults, openContainer(), "container");
        faults.inject(Fault.onAnyCall().fails(Errno.EIO));
        assertThatExceptionOfType(VfioException.class).isThrownBy(descriptor::close)
                .withMessage("close container: EIO (input/output error)");
        descriptor.close();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void anExceptionOutOfACallLeavesTheDescriptorFreeToBeClosed() throws VfioException {
        Descriptor descriptor = new Descriptor(process, openContainer(), "container");
        assertThat(descriptor.name()).isEqualTo("container");
        // The emulated process refuses memory on the heap, as the native backend does.
        MemorySegment heap = MemorySegment.ofArray(new byte[8]);
        assertThatExceptionOfType(IllegalArgumentException.class).isThrownBy(() -> descriptor.ioctl(0, heap));
        descriptor.close();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void closingWaitsForTheCallUnderWayAndRefusesLaterOnes() throws InterruptedException {
        Gate gate = new Gate(process);
        Descriptor descriptor = new Descriptor(gate, openContainer(), "container");
        AtomicInteger result = new AtomicInteger(-1);
        AtomicInteger closed = new AtomicInteger();
        Thread call = Thread.ofPlatform()
                .start(() -> result.set(descriptor.ioctl(GET_API_VERSION, MemorySegment.NULL)));
        awaitUninterruptibly(gate.entered);
        Thread closer = close(descriptor, closed);
        awaitWaiting(closer);
        assertThatIllegalStateException().isThrownBy(descriptor::enter);
        assertThat(process.openDescriptors()).isEqualTo(4);
        assertThat(closed).hasValue(0);
        gate.open.countDown();
        call.join();
        closer.join();
        assertThat(result).as("the call went through").hasValue(0);
        assertThat(closed).hasValue(1);
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    /** Who closes what belongs together, such as device and group, relies on the first being gone. */
    @Test
    void aSecondCloserReturnsOnlyWhenTheDescriptorIsGone() throws InterruptedException {
        Gate gate = new Gate(process);
        Descriptor descriptor = new Descriptor(gate, openContainer(), "container");
        AtomicInteger closed = new AtomicInteger();
        Thread call = Thread.ofPlatform().start(() -> descriptor.ioctl(GET_API_VERSION, MemorySegment.NULL));
        awaitUninterruptibly(gate.entered);
        Thread first = close(descriptor, closed);
        awaitWaiting(first);
        Thread second = close(descriptor, closed);
        awaitWaiting(second);
        assertThat(closed).hasValue(0);
        gate.open.countDown();
        call.join();
        first.join();
        second.join();
        assertThat(closed).hasValue(2);
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void anInterruptDoesNotFreeTheNumberUnderACall() throws InterruptedException {
        Gate gate = new Gate(process);
        Descriptor descriptor = new Descriptor(gate, openContainer(), "container");
        AtomicInteger closed = new AtomicInteger();
        AtomicReference<Boolean> interrupted = new AtomicReference<>();
        Thread call = Thread.ofPlatform().start(() -> descriptor.ioctl(GET_API_VERSION, MemorySegment.NULL));
        awaitUninterruptibly(gate.entered);
        Thread closer = Thread.ofPlatform().start(() -> {
            try {
                descriptor.close();
                closed.incrementAndGet();
            } catch (VfioException e) {
                throw new AssertionError(e);
            }
            interrupted.set(Thread.currentThread().isInterrupted());
        });
        awaitWaiting(closer);
        closer.interrupt();
        assertThat(process.openDescriptors()).isEqualTo(4);
        gate.open.countDown();
        call.join();
        closer.join();
        assertThat(closed).hasValue(1);
        assertThat(interrupted).as("the interrupt is kept").hasValue(true);
    }

    private Descriptor usedByAnotherThread(IoctlBackend kernel) throws InterruptedException {
        Descriptor descriptor = new Descriptor(kernel, openContainer(), "container");
        Thread.ofPlatform().start(() -> descriptor.ioctl(GET_API_VERSION, MemorySegment.NULL)).join();
        return descriptor;
    }

    @Test
    void aCloserMakesTheOwnerPassABarrier() throws Exception {
        Fencing kernel = new Fencing(process, Fencing.COMMANDS, 0);
        usedByAnotherThread(kernel).close();
        assertThat(kernel.made).containsExactly(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
                MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    }

    @Test
    void aBarrierThatFailsIsTriedAgainBeforeTheNumberIsFree() throws Exception {
        Fencing kernel = new Fencing(process, Fencing.COMMANDS, 1);
        usedByAnotherThread(kernel).close();
        assertThat(kernel.made).containsExactly(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
                MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void theOwnerNeedsNoBarrierToClose() throws VfioException {
        Fencing kernel = new Fencing(process, Fencing.COMMANDS, 0);
        Descriptor used = new Descriptor(kernel, openContainer(), "container");
        used.ioctl(GET_API_VERSION, MemorySegment.NULL);
        used.close();
        new Descriptor(kernel, openContainer(), "never used").close();
        assertThat(kernel.made).isEmpty();
    }

    @Test
    void aKernelWithoutTheBarrierIsNotAskedForIt() throws Exception {
        Fencing without = new Fencing(process, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0);
        usedByAnotherThread(without).close();
        Fencing noCall = new Fencing(process, -Errno.ENOSYS.code(), 0);
        usedByAnotherThread(noCall).close();
        assertThat(without.made).isEmpty();
        assertThat(noCall.made).isEmpty();
    }

    @Test
    void noCallOfManyThreadsReachesTheBackendAfterTheClose() throws InterruptedException {
        for (int round = 0; round < 300; round++) {
            Guard guard = new Guard(process);
            Descriptor descriptor = new Descriptor(guard, openContainer(), "container");
            CountDownLatch start = new CountDownLatch(1);
            AtomicInteger closed = new AtomicInteger();
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                threads.add(Thread.ofPlatform().start(() -> callUntilClosed(descriptor, start)));
            }
            start.countDown();
            threads.add(close(descriptor, closed));
            threads.add(close(descriptor, closed));
            for (Thread thread : threads) {
                thread.join();
            }
            assertThat(guard.violations).isEmpty();
            assertThat(guard.closes).hasValue(1);
            assertThat(closed).hasValue(2);
        }
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    private static void callUntilClosed(Descriptor descriptor, CountDownLatch start) {
        awaitUninterruptibly(start);
        while (true) {
            try {
                descriptor.ioctl(GET_API_VERSION, MemorySegment.NULL);
            } catch (IllegalStateException e) {
                return;
            }
        }
    }
}
