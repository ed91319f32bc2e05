package io.github.vfio4j.trace;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The emulated machine is the one that the first line describes. In these texts, single quotes stand for the double ones. */
class EnvironmentTest {

    private static final int SET_CONTAINER = 0x3b68;
    private static final int SET_IOMMU = 0x3b66;
    private static final int GET_DEVICE_FD = 0x3b6a;
    private static final int GET_INFO = 0x3b6b;
    private static final int GET_REGION_INFO = 0x3b6c;
    private static final int GET_IRQ_INFO = 0x3b6d;
    private static final int MAP_DMA = 0x3b71;

    private final Arena arena = Arena.ofConfined();

    @AfterEach
    void free() {
        arena.close();
    }

    private static Environment environment(String rest) throws TranscriptException {
        return Environment.parse(("{'transcript':1,'kernel':'7.2'," + rest + "}").replace('\'', '"'));
    }

    private static Environment pci(String traits) throws TranscriptException {
        return environment("'devices':[{'kind':'pci','name':'0000:01:00.0','group':4," + traits + "}]");
    }

    /** The machine's device, opened by a process of its own. */
    private final class Opened {

        private final EmulatedProcess process;
        private final int container;
        private final int device;

        Opened(EmulatedKernel kernel, int groupNumber, String name) {
            process = kernel.newProcess();
            container = process.open("/dev/vfio/vfio", Fcntl.O_RDWR);
            int group = process.open("/dev/vfio/" + groupNumber, Fcntl.O_RDWR);
            assertThat(process.ioctl(group, SET_CONTAINER, arena.allocateFrom(ValueLayout.JAVA_INT, container)))
                    .isZero();
            assertThat(process.ioctl(container, SET_IOMMU, MemorySegment.ofAddress(3))).isZero();
            device = process.ioctl(group, GET_DEVICE_FD, arena.allocateFrom(name));
            assertThat(device).isPositive();
        }

        private MemorySegment ask(int request, int... words) {
            MemorySegment argument = arena.allocate(32, 8);
            MemorySegment.copy(words, 0, argument, ValueLayout.JAVA_INT, 0, words.length);
            assertThat(process.ioctl(device, request, argument)).isZero();
            return argument;
        }

        long regionSize(int index) {
            return ask(GET_REGION_INFO, 32, 0, index).get(ValueLayout.JAVA_LONG, 16);
        }

        int interrupts(int index) {
            return ask(GET_IRQ_INFO, 16, 0, index).get(ValueLayout.JAVA_INT, 12);
        }

        /** Whether a page can be mapped for DMA at this address. */
        boolean maps(long iova) {
            MemorySegment page = arena.allocate(4096, 4096);
            MemorySegment map = arena.allocate(32, 8);
            map.set(ValueLayout.JAVA_INT, 0, 32);
            map.set(ValueLayout.JAVA_INT, 4, 3);
            map.set(ValueLayout.JAVA_LONG, 8, page.address());
            map.set(ValueLayout.JAVA_LONG, 16, iova);
            map.set(ValueLayout.JAVA_LONG, 24, 4096);
            return process.ioctl(container, MAP_DMA, map, page) == 0;
        }
    }

    private Opened open(Environment environment) {
        return new Opened(environment.boot(), 4, "0000:01:00.0");
    }

    @Test
    void aFunctionHasTheTraitsThatAreTold() throws TranscriptException {
        Opened device = open(pci("'rom':65536,'msi':8,'msix':{'vectors':5,'tableBar':2},'intx':false,'bars':["
                + "{'index':0,'size':8192,'kind':'memory'},{'index':2,'size':65536,'kind':'memory'},"
                + "{'index':4,'size':128,'kind':'io'}]"));
        assertThat(device.regionSize(0)).isEqualTo(8192);
        assertThat(device.regionSize(1)).isZero();
        assertThat(device.regionSize(2)).isEqualTo(65536);
        assertThat(device.regionSize(4)).isEqualTo(128);
        assertThat(device.regionSize(6)).as("expansion ROM").isEqualTo(65536);
        assertThat(device.regionSize(7)).as("configuration space").isEqualTo(4096);
        assertThat(device.interrupts(0)).as("INTx").isZero();
        assertThat(device.interrupts(1)).as("MSI").isEqualTo(8);
        assertThat(device.interrupts(2)).as("MSI-X").isEqualTo(5);
    }

    @Test
    void aFunctionHasTheUsualTraitsWhereNothingIsTold() throws TranscriptException {
        Opened device = open(pci("'express':false,'reset':false"));
        assertThat(device.regionSize(6)).as("expansion ROM").isZero();
        assertThat(device.regionSize(7)).as("configuration space").isEqualTo(256);
        assertThat(device.interrupts(0)).as("INTx").isEqualTo(1);
        assertThat(device.interrupts(1)).as("MSI").isZero();
        int flags = device.ask(GET_INFO, 24).get(ValueLayout.JAVA_INT, 4);
        assertThat(flags & 1).as("can be reset").isZero();
        assertThat(open(pci("'reset':true,'intx':true")).ask(GET_INFO, 24).get(ValueLayout.JAVA_INT, 4) & 1).isOne();
    }

    @ParameterizedTest
    @CsvSource({"'', 7fffffffff, 8000000000", "'''iommuAddressBits'':48,', ffffffffffff, 1000000000000"})
    void theIommuTranslatesAsManyBits(String told, String last, String beyond) throws TranscriptException {
        Opened device = open(environment(told + "'devices':[{'kind':'pci','name':'0000:01:00.0','group':4}]"));
        assertThat(device.maps(Long.parseLong(last, 16) & -4096)).isTrue();
        assertThat(device.maps(Long.parseLong(beyond, 16))).isFalse();
    }

    @Test
    void aSampleDisplayIsADeviceToo() throws TranscriptException {
        String name = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1003";
        Environment environment = environment("'devices':[{'kind':'mdpy','name':'" + name + "','group':11}]");
        Opened device = new Opened(environment.boot(), 11, name);
        assertThat(device.ask(GET_INFO, 16).get(ValueLayout.JAVA_INT, 12)).as("kinds of interrupts").isEqualTo(5);
    }

    @Test
    void theOptionsAreThoseOfTheKernel() throws TranscriptException {
        String devices = "'devices':[{'kind':'pci','name':'0000:01:00.0','group':4,'cdev':'/dev/vfio/devices/vfio0'},"
                + "{'kind':'mtty','name':'83b8f4f2-509f-382f-3c1e-e6bfe0fa1001','group':9,'ports':1,"
                + "'cdev':'/dev/vfio/devices/vfio1'}]";
        EmulatedProcess plain = environment(devices).boot().newProcess();
        assertThat(plain.open("/dev/iommu", Fcntl.O_RDWR)).isEqualTo(-2);
        EmulatedProcess iommufd = environment("'options':{'iommufd':true}," + devices).boot().newProcess();
        assertThat(iommufd.open("/dev/iommu", Fcntl.O_RDWR)).isPositive();
        assertThat(iommufd.open("/dev/vfio/devices/vfio0", Fcntl.O_RDWR)).isEqualTo(-2);
        EmulatedProcess cdev = environment("'options':{'cdev':true}," + devices).boot().newProcess();
        assertThat(cdev.open("/dev/vfio/devices/vfio0", Fcntl.O_RDWR)).isPositive();
        assertThat(cdev.open("/dev/vfio/devices/vfio1", Fcntl.O_RDWR)).isPositive();
        assertThat(cdev.open("/dev/vfio/devices/vfio2", Fcntl.O_RDWR)).isEqualTo(-2);
    }

    @Test
    void aDeviceThatWasCountedOtherwiseIsRefused() {
        assertThatExceptionOfType(TranscriptException.class)
                .isThrownBy(() -> environment("'options':{'cdev':true},'devices':[{'kind':'mdpy',"
                        + "'name':'83b8f4f2-509f-382f-3c1e-e6bfe0fa1003','group':9,'cdev':'/dev/vfio/devices/vfio3'}]"))
                .withMessageContaining("another number");
    }

    @Test
    void itsClockMayBeTheMachines() throws IOException {
        long[] now = {1};
        EmulatedKernel kernel = pci("'driver':null").boot(() -> now[0]);
        now[0] = 12_345;
        assertThat(kernel.nanoTime()).isEqualTo(12_345);
        assertThat(kernel.newProcess().open("/dev/vfio/4", Fcntl.O_RDWR)).as("no driver, no group").isEqualTo(-2);
    }

    @Test
    void itsTextIsTheLineItWasReadFrom() throws TranscriptException {
        String line = "{\"transcript\":1, \"kernel\":\"6.1\",\"x\":2}";
        Environment environment = Environment.parse(" " + line + "\n");
        assertThat(environment).hasToString(line);
        assertThat(environment.kernel()).isEqualTo(KernelProfile.LINUX_6_1);
        assertThat(environment.boot().profile()).isEqualTo(KernelProfile.LINUX_6_1);
        assertThat(environment.boot(KernelProfile.LINUX_6_12).profile()).isEqualTo(KernelProfile.LINUX_6_12);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {'kind':'mtty','name':'83B8F4F2-509f-382f-3c1e-e6bfe0fa1001','group':1,'ports':1} | lower-case
            {'kind':'mtty','name':'1-2-3-4-5','group':1,'ports':1} | 36 lower-case digits
            {'kind':'mtty','name':'83b8f4f2-509f-382f-3c1e-e6bfe0fa1001','group':-1,'ports':1} | is not in 0 to
            {'kind':'pci','name':'0000:01:00.0','group':1,'rom':3} | power of two
            {'kind':'pci','name':'0000:01:00.0','group':1,'msi':3} | MSI has 1, 2, 4
            {'kind':'pci','name':'0000:01:00.0','group':1,'msix':{'vectors':4,'tableBar':6}} | is not in 0 to 5
            {'kind':'pci','name':'0000:01:00.0','group':1,'intx':1} | true or false
            """)
    void whatCannotBeIsRefused(String device, String reason) {
        assertThatExceptionOfType(TranscriptException.class).isThrownBy(() -> environment("'devices':[" + device + "]"))
                .withMessageContaining(reason).matches(e -> e.line() == 1);
    }

    /** The first is offset after the physical function, the next stride further, and no more than there can be. */
    @ParameterizedTest
    @CsvSource({"4, 0000:01:00.4, true", "4, 0000:01:00.6, true", "4, 0000:01:00.5, false", "4, 0000:01:01.0, false",
            "4, 0000:01:00.3, false", "4, 0001:01:00.4, false", "4, 0000:02:00.4, false", "8, 0000:01:01.0, true",
            "256, 0000:02:00.2, true", "256, 0000:01:00.2, false"})
    void aVirtualFunctionIsWhereTheOthersAre(int offset, String name, boolean accepted) throws TranscriptException {
        String devices = "'devices':[{'kind':'pci','name':'0000:01:00.0','group':4,"
                + "'sriov':{'totalVfs':2,'numVfs':2,'offset':" + offset + ",'stride':2}}," + "{'kind':'pci','name':'"
                + name + "','group':7,'virtualFunctionOf':'0000:01:00.0'}]";
        if (accepted) {
            EmulatedProcess process = environment(devices).boot().newProcess();
            assertThat(process.open("/dev/vfio/7", Fcntl.O_RDWR)).isPositive();
        } else {
            assertThatExceptionOfType(TranscriptException.class).isThrownBy(() -> environment(devices))
                    .withMessageContaining("the first is " + offset + " after").withMessageContaining("2 in all");
        }
    }
}
