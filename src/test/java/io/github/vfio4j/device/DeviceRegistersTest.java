package io.github.vfio4j.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.examples.edu.EduDevice;
import io.github.vfio4j.examples.edu.EduModel;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A driver's way to a device whose registers are a model's: regions, configuration space, interrupts, reset. */
@SuppressWarnings("NullAway.Init") // each test begins with open()
class DeviceRegistersTest {

    private static final String EVERY_KERNEL = "io.github.vfio4j.emulation.KernelProfile#all";
    private static final PciAddress EDU = PciAddress.parse("0000:02:00.0");
    private static final Duration LONG = Duration.ofSeconds(20);

    private final EduModel edu = new EduModel();
    private EmulatedProcess process;
    private VfioContainer container;
    private VfioDevice device;

    private void open(KernelProfile kernel) throws VfioException {
        process = EmulatedKernel.builder(kernel)
                .pciFunction(EDU.toString(),
                        function -> function.conventional().id(0x1234, 0x11e8).classCode(0x00ff00, 0x10)
                                .memoryBar(0, 1 << 20).msi(1).variantDriver("edu-vfio-pci", () -> edu))
                .build().newProcess();
        container = Vfio.using(process).openContainer();
        device = container.openDevice(EDU);
    }

    @AfterEach
    void nothingIsLeftOpen() throws VfioException {
        device.close();
        container.close();
        assertThat(process.openFiles()).isEmpty();
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void registersAreReadAndWrittenInTheirSize(KernelProfile kernel) throws VfioException {
        open(kernel);
        DeviceRegion registers = device.region(0);
        assertThat(registers.get32(EduDevice.IDENTIFICATION)).isEqualTo(EduDevice.IDENTITY);
        registers.put32(EduDevice.LIVENESS, 0x12345678);
        assertThat(registers.get32(EduDevice.LIVENESS)).isEqualTo(~0x12345678);
        registers.get8(3);
        registers.get16(2);
        registers.put8(1, (byte) 1);
        registers.put16(2, (short) 1);
        assertThat(edu.accesses).containsExactly("r4@0", "w4@4", "r4@4", "r1@3", "r2@2", "w1@1", "w2@2");
        edu.accesses.clear();
        registers.get64(8);
        registers.read(3, 8);
        assertThat(edu.accesses).containsExactlyElementsOf(kernel.widestRegionAccess() == 8
                ? List.of("r8@8", "r1@3", "r4@4", "r2@8", "r1@10")
                : List.of("r4@8", "r4@12", "r1@3", "r4@4", "r2@8", "r1@10"));
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void whatIsOutsideOrAcrossIsRefusedBeforeAnyCall(KernelProfile kernel) throws VfioException {
        open(kernel);
        DeviceRegion registers = device.region(0);
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> registers.get32(1 << 20))
                .withMessage("4 bytes at 0x100000 are not in BAR 0 of device 0000:02:00.0 of 1048576 bytes");
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> registers.put8(-1, (byte) 0));
        assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> registers.read(Long.MAX_VALUE, 16));
        assertThatIllegalArgumentException().isThrownBy(() -> registers.get32(2))
                .withMessageContaining("begins at a multiple of 4");
        assertThat(edu.accesses).isEmpty();
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void registersOfAModelCanNotBeMapped(KernelProfile kernel) throws VfioException {
        open(kernel);
        DeviceRegion registers = device.region(0);
        assertThat(registers.info().isMappable()).isFalse();
        assertThat(registers.registers()).isSameAs(registers);
        assertThatExceptionOfType(VfioException.class).isThrownBy(registers::map)
                .withMessageContaining("can't be mapped");
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void theHeaderOfConfigurationSpaceIsDecoded(KernelProfile kernel) throws VfioException {
        open(kernel);
        PciConfigSpace config = device.config();
        assertThat(config.size()).isEqualTo(256);
        assertThat(config.vendorId()).isEqualTo(0x1234);
        assertThat(config.deviceId()).isEqualTo(0x11e8);
        assertThat(config.classCode()).isEqualTo(0x00ff00);
        assertThat(config.revision()).isEqualTo(0x10);
        assertThat(config.interruptPin()).isEqualTo(1);
        assertThat(config.command()).isEqualTo(PciConfigSpace.COMMAND_MEMORY);
        assertThat(config.capabilities()).extracting(PciCapability::id).containsExactly(PciCapability.POWER_MANAGEMENT,
                PciCapability.MSI);
        config.setBusMaster(true);
        assertThat(config.command()).isEqualTo(PciConfigSpace.COMMAND_MEMORY | PciConfigSpace.COMMAND_BUS_MASTER);
        config.put32(0x10, -1);
        assertThat(config.bar(0)).isEqualTo(-(1 << 20));
        config.put8(0x3c, (byte) 77);
        assertThat(config.interruptLine()).isEqualTo(77);
        assertThat(config.minGrant()).isZero();
        assertThat(config.maxLatency()).isZero();
        assertThat(config.cardbusCis()).isZero();
        assertThat(config.expansionRom()).isZero();
        assertThat(config.selfTest()).isZero();
        config.put8(0x0c, (byte) 0x90);
        assertThat(config.cacheLineSize()).isEqualTo(0x90);
        assertThat(config.latencyTimer()).isZero();
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.region(9))
                .matches(e -> e.is(Errno.EINVAL));
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void memoryDoesNotAnswerWhileItsDecodingIsOff(KernelProfile kernel) throws VfioException {
        open(kernel);
        DeviceRegion registers = device.region(0);
        device.config().setMemoryEnabled(false);
        if (kernel.memoryChecked()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> registers.get32(0))
                    .matches(e -> e.is(Errno.EIO)).withMessageContaining("memory decoding");
        } else {
            assertThat(registers.get32(0)).isEqualTo(-1);
        }
        assertThat(edu.accesses).isEmpty();
        device.config().setMemoryEnabled(true);
        assertThat(registers.get32(0)).isEqualTo(EduDevice.IDENTITY);
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void aMessageNeedsBusMastering(KernelProfile kernel) throws Exception {
        open(kernel);
        DeviceInterrupts msi = device.interrupts(PciIrq.MSI);
        assertThat(device.interrupts(PciIrq.MSI)).isSameAs(msi);
        msi.enable(1);
        DeviceRegion registers = device.region(0);
        registers.put32(EduDevice.INTERRUPT_RAISE, 1);
        assertThat(msi.await(0, Duration.ZERO)).isZero();
        device.config().setBusMaster(true);
        registers.put32(EduDevice.INTERRUPT_RAISE, 1);
        registers.put32(EduDevice.INTERRUPT_RAISE, 1);
        assertThat(msi.await(0, LONG)).isEqualTo(2);
        msi.trigger(0);
        assertThat(msi.await(0, LONG)).isEqualTo(1);
        msi.disable();
        registers.put32(EduDevice.INTERRUPT_RAISE, 1);
        assertThatIllegalStateException().isThrownBy(() -> msi.await(0, Duration.ZERO))
                .withMessageContaining("call enable() first");
    }

    @ParameterizedTest
    @MethodSource(EVERY_KERNEL)
    void theLegacyInterruptIsMaskedUntilItIsServed(KernelProfile kernel) throws Exception {
        open(kernel);
        DeviceInterrupts intx = device.interrupts(PciIrq.INTX);
        intx.enable(1);
        DeviceRegion registers = device.region(0);
        registers.put32(EduDevice.INTERRUPT_RAISE, 1);
        registers.put32(EduDevice.INTERRUPT_RAISE, 2);
        assertThat(intx.await(0, LONG)).isEqualTo(1);
        intx.unmask();
        assertThat(intx.await(0, LONG)).as("the device still asserts it").isEqualTo(1);
        registers.put32(EduDevice.INTERRUPT_ACKNOWLEDGE, 3);
        intx.unmask();
        assertThat(intx.await(0, Duration.ZERO)).isZero();
        intx.mask();
        registers.put32(EduDevice.INTERRUPT_RAISE, 1);
        assertThat(intx.await(0, Duration.ZERO)).isZero();
        intx.unmask();
        assertThat(intx.await(0, LONG)).isEqualTo(1);
    }
}
