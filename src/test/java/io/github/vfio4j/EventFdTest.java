package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;

/** eventfd(2) of the real kernel, which needs no VFIO; the emulated one's is tested with the devices that signal it. */
@EnabledOnOs(OS.LINUX)
class EventFdTest {

    @Test
    void signalsAddUpUntilTheyAreRead() throws Exception {
        IoctlBackend kernel = NativeBackend.create();
        EventFd eventFd = Vfio.using(kernel).openEventFd();
        try (eventFd; Arena arena = Arena.ofConfined()) {
            assertThat(eventFd.read()).isZero();
            for (long signals : new long[]{2, 3}) {
                assertThat(
                        eventFd.<Long>lend(fd -> kernel.write(fd, arena.allocateFrom(ValueLayout.JAVA_LONG, signals))))
                        .isEqualTo(8);
            }
            assertThat(eventFd.await(Duration.ofSeconds(Long.MAX_VALUE))).isEqualTo(5);
            assertThat(eventFd.await(Duration.ZERO)).isZero();
        }
        assertThatIllegalStateException().isThrownBy(eventFd::read).withMessageContaining("is closed");
    }

    /** Closing wakes whoever waits by a signal of its own; a read that has begun before and gets it has got none. */
    @Test
    void whatClosingSignalsIsNoSignal() throws Exception {
        CountDownLatch reading = new CountDownLatch(1);
        CountDownLatch woken = new CountDownLatch(1);
        IoctlBackend kernel = new ForwardingBackend(
                EmulatedKernel.builder(KernelProfile.LINUX_7_2).build().newProcess()) {
            @Override
            public long read(int fd, MemorySegment buffer) {
                reading.countDown();
                try {
                    woken.await();
                } catch (InterruptedException e) {
                    throw new AssertionError(e);
                }
                return super.read(fd, buffer);
            }

            @Override
            public long write(int fd, MemorySegment buffer) {
                long written = super.write(fd, buffer);
                woken.countDown();
                return written;
            }
        };
        EventFd eventFd = Vfio.using(kernel).openEventFd();
        try (ExecutorService executor = Executors.newSingleThreadExecutor()) {
            Future<Long> read = executor.submit(eventFd::read);
            reading.await();
            eventFd.close();
            assertThat(read).failsWithin(Duration.ofSeconds(20)).withThrowableThat()
                    .withCauseInstanceOf(IllegalStateException.class);
        }
    }
}
