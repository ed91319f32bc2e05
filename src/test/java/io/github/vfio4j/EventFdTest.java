package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
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
}
