package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureRequest;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Opening a container, and the adoption of a device. */
class VfioTest {

    private final EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_6_12)
            .pciFunction("0000:01:00.0", function -> function.group(4).sriov(1)).build().newProcess();

    private IoctlBackend opening(int result) {
        return new ForwardingBackend(process) {
            @Override
            public int open(String path, int flags) {
                return result;
            }
        };
    }

    private IoctlBackend answering(int version) {
        return new ForwardingBackend(process) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                return version;
            }
        };
    }

    @ParameterizedTest
    @CsvSource({"2, ENOENT", "19, ENODEV"})
    void withoutVfioTheRemedyIsToLoadIt(int code, String name) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> Vfio.using(opening(-code)).openContainer())
                .withMessageContaining("open /dev/vfio/vfio: " + name).withMessageContaining("modprobe vfio-pci")
                .withMessageContaining("emulated kernel").matches(e -> e.is(new Errno(code)));
    }

    @Test
    void withoutTheRightToOpenTheContainerTheRemedyIsItsMode() {
        assertThatExceptionOfType(VfioException.class)
                .isThrownBy(() -> Vfio.using(opening(-Errno.EACCES.code())).openContainer())
                .withMessageContaining("chmod 666 /dev/vfio/vfio");
    }

    @Test
    void anotherVersionOfTheInterfaceIsRefusedAndTheContainerClosed() {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> Vfio.using(answering(1)).openContainer())
                .withMessage("VFIO_GET_API_VERSION answered 1. This library speaks version 0, which is that of every"
                        + " Linux");
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aFileThatIsNoContainerIsToldByItsErrorAndClosed() {
        assertThatExceptionOfType(VfioException.class)
                .isThrownBy(() -> Vfio.using(answering(-Errno.ENOTTY.code())).openContainer())
                .withMessage("VFIO_GET_API_VERSION: ENOTTY (inappropriate ioctl for device)");
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    /** A device descriptor as a launcher would hand it over: what keeps it usable stays open elsewhere. */
    private int openDeviceElsewhere() {
        try (Arena arena = Arena.ofConfined()) {
            int container = process.open("/dev/vfio/vfio", Fcntl.O_RDWR);
            int group = process.open("/dev/vfio/4", Fcntl.O_RDWR);
            assertThat(process.ioctl(group, 0x3b68, arena.allocateFrom(ValueLayout.JAVA_INT, container))).isZero();
            assertThat(process.ioctl(container, 0x3b66, MemorySegment.ofAddress(3))).isZero();
            return process.ioctl(group, 0x3b6a, arena.allocateFrom("0000:01:00.0"));
        }
    }

    @Test
    void anAdoptedDeviceIsUsedAndClosedAsIfItHadBeenOpenedHere() throws VfioException {
        int fd = openDeviceElsewhere();
        RecordingBackend recorder = new RecordingBackend(process);
        VfioDevice device = Vfio.using(recorder).adoptDevice(fd);
        assertThat(device).hasToString("device on descriptor " + fd);
        assertThat(device.probe(FeatureId.PCI_VF_TOKEN).supports(FeatureOperation.SET)).isTrue();
        device.vfToken().orElseThrow().set(VfToken.random());
        recorder.take();
        device.close();
        device.close();
        assertThat(recorder.take()).hasSize(1).first().asString().startsWith("close");
        assertThat(process.openDescriptors()).as("container and group are not its own").isEqualTo(5);
        assertThatIllegalStateException().isThrownBy(() -> device.probe(FeatureId.PCI_VF_TOKEN))
                .withMessage("device on descriptor " + fd + " is closed; open it again to use it");
    }

    @Test
    void adoptingTakesTheDescriptorWhateverItIs() throws VfioException {
        int fd = process.open("/dev/null", Fcntl.O_RDWR);
        try (Arena arena = Arena.ofConfined(); VfioDevice device = Vfio.using(process).adoptDevice(fd)) {
            FeatureRequest request = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).probe().allocate(arena);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> device.execute(request))
                    .matches(e -> e.is(Errno.ENOTTY)).matches(e -> e.argsz() == 8);
        }
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @ParameterizedTest
    @ValueSource(ints = {-1, Integer.MIN_VALUE})
    void aNumberThatIsNoDescriptorIsNotAdopted(int fd) {
        assertThatIllegalArgumentException().isThrownBy(() -> Vfio.using(process).adoptDevice(fd))
                .withMessageContaining("not " + fd);
    }
}
