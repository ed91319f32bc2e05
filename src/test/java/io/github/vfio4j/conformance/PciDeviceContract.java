package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Errno;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.conformance.IommuContract.Way;
import io.github.vfio4j.device.DeviceInterrupts;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.HotResetInfo;
import io.github.vfio4j.device.PciConfigSpace;
import io.github.vfio4j.device.PciIrq;
import io.github.vfio4j.device.RegionArea;
import io.github.vfio4j.device.RegionView;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The scenarios of the kernel's own tests of PCI devices and of setting up an iommufd (tools/testing/selftests/vfio,
 * vfio_pci_device_test and vfio_iommufd_setup_test) through the public API, by all kinds of {@link Iommu} that the machine
 * has, and what goes with them: reset, interrupts of every kind in several sizes, indices that there are not. What the API
 * has no words for (a descriptor that is no iommufd, an address space that does not exist) is in the comparison of calls.
 */
@SuppressWarnings("NullAway.Init") // set before each test
abstract class PciDeviceContract {

    private static final Duration LONG = Duration.ofSeconds(20);
    /** The kernel's test tries no more, as interrupt remapping may not have more. */
    private static final int MOST_VECTORS = 16;

    private Machine machine;
    private Vfio vfio;

    /** The machine this suite runs on. */
    abstract Machine machine();

    /** Makes calls that read what only the device knows. */
    void readData(Runnable calls) {
        calls.run();
    }

    @BeforeEach
    void begin() {
        machine = machine();
        vfio = Vfio.using(machine.backend());
    }

    /** What is done with a device open. */
    @FunctionalInterface
    interface Body {
        void run(VfioDevice device) throws VfioException, InterruptedException;
    }

    /** On both functions, in each way there is. */
    private void onEach(Body body) throws VfioException, InterruptedException {
        for (Way way : machine.profile().hasCdev() ? List.of(Way.CONTAINER, Way.IOMMUFD) : List.of(Way.CONTAINER)) {
            for (PciAddress address : List.of(machine.physicalFunction(), machine.plainFunction())) {
                try (Iommu iommu = way.open(vfio); VfioDevice device = iommu.openDevice(address)) {
                    body.run(device);
                }
            }
        }
    }

    /** Reads 32 bits that are the device's own. */
    private int read(DeviceRegion region, long offset) {
        int[] value = new int[1];
        readData(() -> {
            try {
                value[0] = region.get32(offset);
            } catch (VfioException e) {
                throw new UncheckedIOException(e);
            }
        });
        return value[0];
    }

    @Test
    void configurationSpaceIsReadAndWritten() throws VfioException, InterruptedException {
        onEach(device -> {
            PciConfigSpace config = device.config();
            int vendor = config.vendorId();
            int id = config.deviceId();
            assertThat(vendor).isNotIn(0, 0xffff);
            assertThat(config.headerType() & 0x7f).isZero();
            assertThat(config.command() & PciConfigSpace.COMMAND_BUS_MASTER).isZero();
            config.setBusMaster(true);
            assertThat(config.command() & PciConfigSpace.COMMAND_BUS_MASTER).isNotZero();
            config.setBusMaster(false);
            assertThat(config.command() & PciConfigSpace.COMMAND_BUS_MASTER).isZero();
            config.put32(0, ~(id << 16 | vendor));
            assertThat(config.vendorId()).as("can only be read").isEqualTo(vendor);
            assertThat(config.deviceId()).isEqualTo(id);
        });
    }

    @Test
    void everyBarIsReadWrittenAndMapped() throws VfioException, InterruptedException {
        onEach(device -> {
            DeviceRegion registers = device.region(DeviceRegion.BAR0);
            assertThat(registers.size()).isPositive();
            for (DeviceRegion bar : device.regions().stream().filter(region -> region.info().index() < DeviceRegion.ROM)
                    .toList()) {
                read(bar, 0);
                read(bar, bar.size() - Integer.BYTES);
                assertThat(bar.mappableAreas().isEmpty()).isEqualTo(!bar.info().isMappable());
                for (RegionArea area : bar.mappableAreas()) {
                    try (RegionView view = bar.map(area.offset(), area.length())) {
                        assertThat(view.size()).isEqualTo(area.length());
                        if (area.offset() == 0) {
                            assertThat(view.get32(0)).as("both ways lead to the same register").isEqualTo(read(bar, 0));
                        }
                    }
                }
            }
            // Capabilities of an NVMe controller and identification of an educational device: only to be read.
            registers.put32(0, read(registers, 0));
        });
    }

    @Test
    void indicesThatThereAreNotAreRefused() throws VfioException, InterruptedException {
        onEach(device -> {
            for (int index : new int[]{device.info().regionCount(), 1000, Integer.MAX_VALUE, -1}) {
                assertThatExceptionOfType(VfioException.class).as("region %d", index)
                        .isThrownBy(() -> device.region(index)).matches(e -> e.is(Errno.EINVAL));
            }
            assertThat(device.info().irqCount()).isEqualTo(PciIrq.values().length);
        });
    }

    @Test
    void aResetPutsItBack() throws VfioException, InterruptedException {
        onEach(device -> {
            PciConfigSpace config = device.config();
            config.setBusMaster(true);
            int command = config.command();
            if (device.info().canReset()) {
                device.reset();
                assertThat(config.command()).as("is as before").isEqualTo(command);
                device.region(DeviceRegion.BAR0).put32(0, read(device.region(DeviceRegion.BAR0), 0));
            } else {
                assertThatExceptionOfType(VfioException.class).isThrownBy(device::reset)
                        .matches(e -> e.is(Errno.EINVAL));
            }
        });
    }

    /** Each function is alone on its bus. */
    @Test
    void aHotResetPutsItBackAndEndsItsViews() throws VfioException, InterruptedException {
        onEach(device -> {
            HotResetInfo info = device.hotResetInfo();
            assertThat(info.devices()).singleElement()
                    .matches(dependent -> device.toString().endsWith(dependent.address().toString()));
            assertThat(info.byDeviceId()).isEqualTo(info.owned());
            DeviceRegion bar = device.region(DeviceRegion.BAR0);
            RegionArea area = bar.mappableAreas().getFirst();
            RegionView view = bar.map(area.offset(), area.length());
            PciConfigSpace config = device.config();
            config.setBusMaster(true);
            int command = config.command();
            device.hotReset();
            assertThatIllegalStateException().isThrownBy(() -> view.get32(0)).withMessageContaining("with its bus");
            assertThat(config.command()).as("is as before").isEqualTo(command);
            try (RegionView again = bar.map(area.offset(), area.length())) {
                assertThat(again.size()).isEqualTo(view.size());
            }
        });
    }

    @ParameterizedTest
    @EnumSource(value = PciIrq.class, names = {"INTX", "MSI", "MSIX", "REQUEST"})
    void interruptsAreEnabledTriggeredAndDisabledInEverySize(PciIrq kind) throws VfioException, InterruptedException {
        onEach(device -> {
            DeviceInterrupts interrupts = device.interrupts(kind);
            int available = interrupts.info().count();
            assertThatIllegalArgumentException().isThrownBy(() -> interrupts.enable(available + 1))
                    .withMessageContaining("has " + available + " vectors");
            assertThatIllegalArgumentException().isThrownBy(() -> interrupts.enable(0));
            int most = Math.min(available, MOST_VECTORS);
            for (int count : most == 0 ? new int[0] : new int[]{most, 1, (most + 1) / 2, most}) {
                interrupts.enable(count);
                assertThat(interrupts.enabled()).isEqualTo(count);
                for (int vector = 0; vector < count; vector++) {
                    interrupts.trigger(vector);
                    for (int other = 0; other < count; other++) {
                        assertThat(interrupts.await(other, other == vector ? LONG : Duration.ZERO))
                                .isEqualTo(other == vector ? 1 : 0);
                    }
                }
                assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> interrupts.trigger(count));
                interrupts.disable();
                assertThatIllegalStateException().isThrownBy(() -> interrupts.trigger(0));
            }
        });
    }

    @Test
    void onlyDevicesThatAreExpressTellOfErrors() throws VfioException, InterruptedException {
        onEach(device -> {
            DeviceInterrupts errors = device.interrupts(PciIrq.ERROR);
            if (device.config().size() > 256) {
                errors.enable(1);
                errors.trigger(0);
                assertThat(errors.await(0, LONG)).isEqualTo(1);
                errors.disable();
            } else {
                assertThatExceptionOfType(VfioException.class).isThrownBy(() -> errors.enable(1))
                        .matches(e -> e.is(Errno.EINVAL));
            }
        });
    }

    @Test
    void oneKindAtATimeIsOn() throws VfioException, InterruptedException {
        onEach(device -> {
            PciIrq messages = device.interrupts(PciIrq.MSIX).info().count() > 0 ? PciIrq.MSIX : PciIrq.MSI;
            device.interrupts(messages).enable(1);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.interrupts(PciIrq.INTX).enable(1))
                    .matches(e -> e.is(Errno.EINVAL)).withMessageContaining("exclude each other");
            device.interrupts(messages).disable();
            device.interrupts(PciIrq.INTX).enable(1);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.interrupts(messages).enable(1))
                    .matches(e -> e.is(Errno.EINVAL));
            device.interrupts(PciIrq.INTX).disable();
            device.interrupts(messages).enable(1);
        });
    }

    /** The device's own file, as a program finds it that has been handed a name. */
    private int openFile() {
        String sysfs = "/sys/bus/pci/devices/" + machine.plainFunction() + "/vfio-dev/vfio";
        int number = 0;
        int attribute = machine.backend().open(sysfs + number + "/dev", Fcntl.O_RDONLY);
        while (attribute == -Errno.ENOENT.code() && number < 100) {
            attribute = machine.backend().open(sysfs + ++number + "/dev", Fcntl.O_RDONLY);
        }
        assertThat(attribute).as("the number of the device's file").isNotNegative();
        machine.backend().close(attribute);
        return machine.backend().open("/dev/vfio/devices/vfio" + number, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
    }

    @Test
    void aDeviceThatIsNotBoundTellsNothing() throws VfioException {
        if (!machine.profile().hasCdev()) {
            return;
        }
        try (VfioDevice unbound = vfio.adoptDevice(openFile())) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(unbound::info).matches(e -> e.is(Errno.EINVAL));
            try (Iommu iommu = vfio.openIommufd(); VfioDevice bound = iommu.openDevice(machine.plainFunction())) {
                assertThat(bound.info().isPci()).isTrue();
                assertThatExceptionOfType(VfioException.class).isThrownBy(unbound::info)
                        .matches(e -> e.is(Errno.EINVAL));
            }
        }
    }

    @Test
    void aDeviceIsBoundOnceAtATime() throws VfioException {
        if (!machine.profile().hasCdev()) {
            return;
        }
        try (Iommu iommu = vfio.openIommufd()) {
            try (VfioDevice first = iommu.openDevice(machine.plainFunction())) {
                assertThatExceptionOfType(VfioException.class)
                        .isThrownBy(() -> iommu.openDevice(machine.plainFunction())).matches(e -> e.is(Errno.EINVAL))
                        .withMessageContaining("bound already");
                assertThat(first.info().isPci()).isTrue();
            }
            iommu.openDevice(machine.plainFunction()).close();
        }
    }

    @Test
    void anAddressSpaceIsThereBeforeAndAfterItsDevices() throws VfioException {
        if (!machine.profile().hasCdev()) {
            return;
        }
        try (Iommu iommu = vfio.openIommufd();
                DmaMapping mapping = iommu.allocate(2 << 20, DmaDirection.BIDIRECTIONAL)) {
            for (int i = 0; i < 2; i++) {
                try (VfioDevice attached = iommu.openDevice(machine.plainFunction());
                        DmaMapping another = iommu.allocate(4096, DmaDirection.TO_DEVICE)) {
                    assertThat(attached.info().isPci()).isTrue();
                    assertThat(another.range().overlaps(mapping.range())).isFalse();
                }
                assertThat(mapping.isMapped()).as("without a device").isTrue();
            }
        }
    }
}
