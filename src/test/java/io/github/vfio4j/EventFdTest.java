package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicReference;
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

    /** Closing wakes who waits by a signal, which is none to whoever is just reading. */
    @Test
    void theWakingByACloseIsNoSignal() throws VfioException, InterruptedException {
        AtomicReference<EventFd> eventFd = new AtomicReference<>();
        AtomicReference<Thread> closer = new AtomicReference<>();
        IoctlBackend closing = new ForwardingBackend(
                EmulatedKernel.builder(KernelProfile.LINUX_7_2).build().newProcess()) {
            @Override
            public long read(int fd, MemorySegment buffer) {
                Thread thread = Thread.ofPlatform()
                        .start(() -> assertThatCode(eventFd.get()::close).doesNotThrowAnyException());
                closer.set(thread);
                while (thread.getState() != Thread.State.WAITING && thread.getState() != Thread.State.TIMED_WAITING) {
                    Thread.onSpinWait();
                }
                return super.read(fd, buffer);
            }
        };
        eventFd.set(Vfio.using(closing).openEventFd());
        assertThatIllegalStateException().isThrownBy(() -> eventFd.get().read()).withMessageContaining("is closed");
        closer.get().join();
    }
}
