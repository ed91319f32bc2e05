package io.github.vfio4j.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.EventFd;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.SystemCall;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.uapi.vfio_h;
import io.github.vfio4j.uapi.vfio_irq_set;
import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Interrupts of a function without a model, which the test plays. */
@SuppressWarnings("NullAway.Init") // each test begins with open()
class InterruptsTest {

    private static final String EVERY_KERNEL = "io.github.vfio4j.emulation.KernelProfile#all";
    private static final PciAddress ADDRESS = PciAddress.parse("0000:02:00.0");
    private static final Duration LONG = Duration.ofSeconds(20);

    private DeviceHost hardware;
    private EmulatedProcess process;
    private FaultInjectingBackend faults;
    private Vfio vfio;
    private VfioContainer container;
    private VfioDevice device;

    private void open(KernelProfile profile) throws VfioException {
        EmulatedKernel kernel = EmulatedKernel.builder(profile)
                .pciFunction(ADDRESS.toString(), function -> function.memoryBar(0, 1 << 14).msi(4).msix(8, 0)).build();
        hardware = kernel.device(ADDRESS);
        process = kernel.newProcess();
        faults = new FaultInjectingBackend(process);
        vfio = Vfio.using(faults);
        container = vfio.openContainer();
        device = container.openDevice(ADDRESS);
        device.config().setBusMaster(true);
    }

    @AfterEach
    void nothingIsLeftOpen() throws VfioException {
        device.close();
        container.close();
        assertThat(process.openFiles()).isEmpty();
    }

    private static int take(BlockingQueue<Integer> delivered) throws InterruptedException {
        Integer vector = delivered.poll(LONG.toSeconds(), TimeUnit.SECONDS);
        assertThat(vector).as("delivered in time").isNotNull();
        return vector;
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void eachVectorHasSignalsOfItsOwn(KernelProfile profile) throws Exception {
        open(profile);
        DeviceInterrupts msix = device.interrupts(PciIrq.MSIX);
        assertThat(msix.info().count()).isEqualTo(8);
        assertThat(msix.info().isResizable()).isEqualTo(profile.dynamicMsix());
        msix.enable(3);
        hardware.interrupt(2);
        hardware.interrupt(0);
        hardware.interrupt(2);
        hardware.interrupt(3);
        assertThat(msix.await(2, LONG)).isEqualTo(2);
        assertThat(msix.await(0, LONG)).isEqualTo(1);
        assertThat(msix.await(1, Duration.ZERO)).isZero();
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> msix.await(3, LONG));
        assertThatIllegalStateException().isThrownBy(() -> msix.enable(1))
                .withMessageContaining("call disable() first");
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.interrupts(PciIrq.MSI).enable(1))
                .matches(e -> e.is(Errno.EINVAL)).withMessageContaining("exclude each other");
        assertThatIllegalArgumentException().isThrownBy(() -> device.interrupts(PciIrq.MSI).enable(5))
                .withMessageContaining("has 4 vectors");
        msix.disable();
        msix.disable();
        device.interrupts(PciIrq.MSI).enable(4);
        hardware.interrupt(3);
        assertThat(device.interrupts(PciIrq.MSI).await(3, LONG)).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void aHandlerThatThrowsIsCalledAgain(KernelProfile profile) throws Exception {
        open(profile);
        DeviceInterrupts msix = device.interrupts(PciIrq.MSIX);
        msix.enable(3);
        BlockingQueue<Integer> delivered = new LinkedBlockingQueue<>();
        msix.onInterrupt(0, Runnable::run, vector -> {
            delivered.add(vector);
            throw new IllegalStateException("a mistake in a handler");
        });
        msix.onInterrupt(1, task -> {
            delivered.add(100);
            throw new RejectedExecutionException("an executor that is shut down");
        }, delivered::add);
        hardware.interrupt(0);
        assertThat(take(delivered)).isZero();
        hardware.interrupt(1);
        assertThat(take(delivered)).isEqualTo(100);
        hardware.interrupt(0);
        assertThat(take(delivered)).isZero();
        assertThatIllegalStateException().isThrownBy(() -> msix.onInterrupt(0, Runnable::run, delivered::add))
                .withMessageContaining("has a handler");
        try (ExecutorService executor = Executors.newSingleThreadExecutor()) {
            msix.onInterrupt(2, executor, delivered::add);
            hardware.interrupt(2);
            assertThat(take(delivered)).isEqualTo(2);
        }
        msix.disable();
        msix.enable(1);
        hardware.interrupt(0);
        assertThat(msix.await(0, LONG)).as("nobody else takes it").isEqualTo(1);
        assertThat(delivered).isEmpty();
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void closingEndsAWait(KernelProfile profile) throws Exception {
        open(profile);
        DeviceInterrupts msix = device.interrupts(PciIrq.MSIX);
        msix.enable(1);
        try (ExecutorService executor = Executors.newFixedThreadPool(2)) {
            List<Future<Long>> waiting = List.of(executor.submit(() -> msix.await(0, LONG.multipliedBy(100))),
                    executor.submit(() -> msix.await(0, LONG.multipliedBy(100))));
            hardware.interrupt(0);
            while (waiting.stream().noneMatch(Future::isDone)) {
                Thread.onSpinWait();
            }
            device.close();
            assertThat(waiting).anySatisfy(future -> assertThat(future).succeedsWithin(LONG).isEqualTo(1L));
            assertThat(waiting).anySatisfy(future -> assertThat(future).failsWithin(LONG).withThrowableThat()
                    .withCauseInstanceOf(IllegalStateException.class));
        }
        assertThatIllegalStateException().isThrownBy(() -> msix.enable(1));
        assertThatIllegalStateException().isThrownBy(() -> device.interrupts(PciIrq.INTX));
    }

    @Test
    void interruptingAThreadEndsItsWait() throws Exception {
        open(KernelProfile.LINUX_7_2);
        DeviceInterrupts msix = device.interrupts(PciIrq.MSIX);
        msix.enable(1);
        Thread.currentThread().interrupt();
        assertThatExceptionOfType(InterruptedException.class).isThrownBy(() -> msix.await(0, LONG.multipliedBy(100)));
        assertThat(Thread.currentThread().isInterrupted()).isFalse();
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void theLegacyInterruptIsUnmaskedByAnEventfd(KernelProfile profile) throws Exception {
        open(profile);
        DeviceInterrupts intx = device.interrupts(PciIrq.INTX);
        intx.enable(1);
        try (EventFd unmask = vfio.openEventFd()) {
            intx.unmaskBy(unmask);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> intx.unmaskBy(unmask))
                    .matches(e -> e.is(Errno.EBUSY));
            hardware.intx(true);
            assertThat(intx.await(0, LONG)).isEqualTo(1);
            unmask.signal();
            assertThat(intx.await(0, LONG)).isEqualTo(1);
            hardware.intx(false);
            unmask.signal();
            assertThat(intx.await(0, Duration.ZERO)).isZero();
            hardware.intx(true);
            assertThat(intx.await(0, LONG)).isEqualTo(1);
            intx.unmaskBy(null);
            unmask.signal();
            assertThat(intx.await(0, Duration.ZERO)).isZero();
        }
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void theCommandRegisterKeepsTheLegacyInterruptQuiet(KernelProfile profile) throws Exception {
        open(profile);
        DeviceInterrupts intx = device.interrupts(PciIrq.INTX);
        intx.enable(1);
        PciConfigSpace config = device.config();
        int command = config.command();
        config.put16(4, (short) (command | PciConfigSpace.COMMAND_INTX_DISABLE));
        hardware.intx(true);
        intx.unmask();
        assertThat(intx.await(0, Duration.ZERO)).isZero();
        config.put16(4, (short) command);
        assertThat(intx.await(0, LONG)).isEqualTo(1);
        hardware.intx(false);
        intx.unmask();
        // The byte that the bit is in does as well.
        config.put8(5, (byte) ((command | PciConfigSpace.COMMAND_INTX_DISABLE) >> 8));
        hardware.intx(true);
        assertThat(intx.await(0, Duration.ZERO)).isZero();
        config.put8(5, (byte) (command >> 8));
        assertThat(intx.await(0, LONG)).isEqualTo(1);
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void errorsOfTheDeviceAreSignalled(KernelProfile profile) throws Exception {
        open(profile);
        DeviceInterrupts errors = device.interrupts(PciIrq.ERROR);
        hardware.error();
        errors.enable(1);
        hardware.error();
        assertThat(errors.await(0, LONG)).isEqualTo(1);
        assertThatExceptionOfType(VfioException.class).isThrownBy(errors::unmask).matches(e -> e.is(Errno.ENOTTY));
    }

    /** The thread that waits for the handlers' interrupts can fail as well, and nobody would be called any more. */
    @Test
    void handlersThatAreNotCalledAnyMoreAreSaidToBe() throws Exception {
        open(KernelProfile.LINUX_7_2);
        DeviceInterrupts msix = device.interrupts(PciIrq.MSIX);
        msix.enable(8);
        faults.inject(Fault.on(SystemCall.POLL).fails(Errno.ENOMEM));
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> {
            for (int vector = 0; vector < 8; vector++) {
                msix.onInterrupt(vector, Runnable::run, called -> {
                    // Never.
                });
                Thread.sleep(vector == 0 ? LONG.dividedBy(100) : Duration.ZERO);
            }
        }).matches(e -> e.is(Errno.ENOMEM)).withMessageContaining("disable() and enable() begin anew");
        msix.disable();
        msix.enable(1);
        BlockingQueue<Integer> delivered = new LinkedBlockingQueue<>();
        msix.onInterrupt(0, Runnable::run, delivered::add);
        hardware.interrupt(0);
        assertThat(take(delivered)).isZero();
    }

    @Test
    void whatFailsLeavesNothingBehind() throws Exception {
        open(KernelProfile.LINUX_6_12);
        DeviceInterrupts msix = device.interrupts(PciIrq.MSIX);
        int before = process.openDescriptors();
        faults.inject(Fault.on(SystemCall.EVENTFD).nth(3).fails(Errno.EMFILE));
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> msix.enable(4))
                .matches(e -> e.is(Errno.EMFILE));
        assertThat(process.openDescriptors()).isEqualTo(before);
        assertThat(msix.enabled()).isZero();
        msix.enable(4);
        msix.disable();
        assertThat(process.openDescriptors()).isEqualTo(before);
    }

    /** The kernel says then how many it could have. That is no success. */
    @Test
    void fewerVectorsThanAskedForAreNotOn() throws Exception {
        open(KernelProfile.LINUX_6_12);
        IoctlBackend platform = new ForwardingBackend(process) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                boolean tooMany = request == vfio_h.VFIO_DEVICE_SET_IRQS() && vfio_irq_set.count(argument) > 2;
                return tooMany ? 2 : super.ioctl(fd, request, argument, pointees);
            }
        };
        device.close();
        container.close();
        container = Vfio.using(platform).openContainer();
        device = container.openDevice(ADDRESS);
        DeviceInterrupts msix = device.interrupts(PciIrq.MSIX);
        int before = process.openDescriptors();
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> msix.enable(4))
                .withMessageContaining("no more than 2 left").matches(e -> e.errno().isEmpty());
        assertThat(msix.enabled()).isZero();
        assertThat(process.openDescriptors()).isEqualTo(before);
        msix.enable(2);
        msix.trigger(1);
        assertThat(msix.await(1, LONG)).isEqualTo(1);
    }
}
