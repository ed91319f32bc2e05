package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.EventFd;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Low power, DMA-buf and bus master through their classes. */
@SuppressWarnings("NullAway.Init") // opened before each test
class PciFeaturesTest {

    private static final int STANDARD_DESCRIPTORS = 3;
    private static final Duration UNTIL_SUSPENDED = Duration.ofMillis(1);

    private final EmulatedKernel kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
            .pciFunction("0000:01:00.0", function -> function.sriov(2).memoryBar(0, 16384).ioPortBar(1, 4096)).build();
    private final EmulatedProcess process = kernel.newProcess();
    private final Vfio vfio = Vfio.using(process);
    private VfioContainer container;
    private VfioDevice device;

    @BeforeEach
    void open() throws VfioException {
        container = vfio.openContainer();
        device = container.openDevice(PciAddress.parse("0000:01:00.0"));
    }

    @AfterEach
    void closeAll() throws VfioException {
        container.close();
        assertThat(process.openDescriptors()).as("descriptors left open").isEqualTo(STANDARD_DESCRIPTORS);
    }

    @Test
    void lowPowerIsEnteredOnce() throws VfioException {
        LowPowerFeature lowPower = device.lowPower().orElseThrow();
        lowPower.exit();
        lowPower.enter();
        assertThatExceptionOfType(VfioException.class).isThrownBy(lowPower::enter).matches(e -> e.is(Errno.EINVAL));
        lowPower.exit();
        lowPower.enter();
    }

    @Test
    void aWakeUpEndsLowPowerAndIsSignalledOnce() throws VfioException, InterruptedException {
        LowPowerFeature lowPower = device.lowPower().orElseThrow();
        try (EventFd wakeup = vfio.openEventFd()) {
            lowPower.enter(wakeup);
            assertThat(wakeup.read()).as("not suspended yet").isZero();
            assertThat(device.probe(FeatureId.LOW_POWER_EXIT).supports(FeatureOperation.SET)).isTrue();
            assertThat(wakeup.read()).as("an access before the device slept").isZero();
            kernel.advance(UNTIL_SUSPENDED);
            device.probeAll();
            assertThat(wakeup.await(Duration.ZERO)).isEqualTo(1);
            assertThat(wakeup.await(Duration.ofMillis(2))).isZero();
            lowPower.enter(wakeup);
            kernel.advance(UNTIL_SUSPENDED);
            lowPower.exit();
            assertThat(wakeup.read()).as("to be told to wake up is to be woken").isEqualTo(1);
        }
    }

    @Test
    void anEventfdMayGoBeforeTheDeviceThatSignalsIt() throws VfioException {
        EventFd wakeup = vfio.openEventFd();
        device.lowPower().orElseThrow().enter(wakeup);
        wakeup.close();
        wakeup.close();
        kernel.advance(UNTIL_SUSPENDED);
        device.probeAll();
        assertThatIllegalStateException().isThrownBy(wakeup::read).withMessageContaining("is closed");
        assertThatIllegalStateException().isThrownBy(() -> device.lowPower().orElseThrow().enter(wakeup));
    }

    @Test
    void anEventfdIsWaitedFor() throws Exception {
        try (EventFd eventFd = vfio.openEventFd(); EventFd other = vfio.openEventFd()) {
            List<Long> signals = new ArrayList<>();
            Thread waiting = Thread.ofPlatform().start(() -> {
                try {
                    signals.add(eventFd.await(Duration.ofMinutes(2)));
                } catch (VfioException | InterruptedException e) {
                    throw new AssertionError(e);
                }
            });
            eventFd.lend(fd -> {
                try (var arena = java.lang.foreign.Arena.ofConfined()) {
                    return process.write(fd, arena.allocateFrom(ValueLayout.JAVA_LONG, 5));
                }
            });
            waiting.join();
            assertThat(signals).containsExactly(5L);
            assertThat(other.read()).isZero();
            Thread.currentThread().interrupt();
            assertThatExceptionOfType(InterruptedException.class).isThrownBy(() -> other.await(Duration.ofMinutes(2)));
        }
    }

    @Test
    void deviceMemoryIsExportedAsADescriptorOfItsOwn() throws VfioException {
        DmaBufFeature export = device.dmaBuf().orElseThrow();
        int before = process.openDescriptors();
        OwnedDescriptor buffer = export.export(0,
                List.of(new RegionRange(8192, 4096), new RegionRange(0, 16384), new RegionRange(8192, 8192)));
        assertThat(process.openDescriptors()).isEqualTo(before + 1);
        assertThat(buffer.<Boolean>lend(fd -> fd > 2)).isTrue();
        device.close();
        assertThat(buffer.isOpen()).as("it outlives the device").isTrue();
        buffer.close();
        buffer.close();
        assertThat(buffer.isOpen()).isFalse();
        assertThatIllegalStateException().isThrownBy(() -> buffer.lend(fd -> fd))
                .withMessageContaining("DMA-buf of BAR 0 of device 0000:01:00.0 is closed");
    }

    /** In the kernel's order (semantics §B.6). */
    @ParameterizedTest
    @CsvSource({"0, 16384, 4096, EINVAL", "0, 0, 20480, EINVAL", "1, 0, 4096, EINVAL", "2, 0, 4096, ENODEV",
            "6, 0, 4096, ENODEV", "-1, 0, 4096, ENODEV", "0, 0, 9223372036854771712, EINVAL"})
    void memoryThatIsNotThereIsNotExported(int bar, long offset, long length, String errno) throws VfioException {
        DmaBufFeature export = device.dmaBuf().orElseThrow();
        int before = process.openDescriptors();
        assertThatExceptionOfType(VfioException.class)
                .isThrownBy(() -> export.export(bar, List.of(new RegionRange(offset, length))))
                .matches(e -> e.errno().orElseThrow().name().equals(errno));
        assertThatIllegalArgumentException().isThrownBy(() -> export.export(bar, List.of()));
        assertThat(process.openDescriptors()).isEqualTo(before);
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "0, -4096", "-4096, 4096", "1, 4096", "0, 4095", "4096, 100"})
    void aRangeIsMadeOfPages(long offset, long length) {
        assertThatIllegalArgumentException().isThrownBy(() -> new RegionRange(offset, length));
    }

    /** A device that takes what it is sent. */
    private record Recorder(List<byte[]> sent) implements FeatureTarget {

        @Override
        public int execute(FeatureRequest request) {
            sent.add(request.segment().toArray(ValueLayout.JAVA_BYTE));
            return 4711;
        }

        @Override
        public FeatureSupport probe(FeatureId feature) {
            return new FeatureSupport.Supported(feature, Set.of(FeatureOperation.SET, FeatureOperation.GET));
        }

        @Override
        public OwnedDescriptor own(int fd, String name) {
            throw new IllegalStateException("own " + fd);
        }
    }

    /** argsz 12, flags SET of feature 10, and the operation (semantics §B.5). */
    @Test
    void busMasterIsSetAndCleared() throws VfioException {
        Recorder recorder = new Recorder(new ArrayList<>());
        BusMasterFeature busMaster = BusMasterFeature.of(recorder).orElseThrow();
        busMaster.set();
        busMaster.clear();
        assertThat(recorder.sent()).containsExactly(new byte[]{12, 0, 0, 0, 10, 0, 2, 0, 1, 0, 0, 0},
                new byte[]{12, 0, 0, 0, 10, 0, 2, 0, 0, 0, 0, 0});
    }

    /** The count is that of the array behind it, and the descriptor the call's result (semantics §B.6). */
    @Test
    void anExportIsLaidOutAsTheKernelReadsIt() throws VfioException {
        Recorder recorder = new Recorder(new ArrayList<>());
        DmaBufFeature export = DmaBufFeature.of(recorder).orElseThrow();
        assertThatIllegalStateException()
                .isThrownBy(() -> export.export(3, List.of(new RegionRange(4096, 8192), new RegionRange(0, 4096))))
                .withMessage("own 4711");
        byte[] sent = recorder.sent().getFirst();
        var words = java.nio.ByteBuffer.wrap(sent).order(java.nio.ByteOrder.nativeOrder()).asIntBuffer();
        int[] actual = new int[words.remaining()];
        words.get(actual);
        assertThat(actual).containsExactly(8 + 16 + 32, 11 | 1 << 16, 3, Fcntl.O_RDWR | Fcntl.O_CLOEXEC, 0, 2, 4096, 0,
                8192, 0, 0, 0, 4096, 0);
    }
}
