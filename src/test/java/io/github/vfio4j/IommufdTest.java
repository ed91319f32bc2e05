package io.github.vfio4j;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.SystemCall;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Devices by files of their own: which calls are made, in which order all is closed, and what is told when a kernel refuses.
 * The limit on time is only there so that a deadlock fails instead of hanging.
 */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class IommufdTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final PciAddress VIRTUAL = PciAddress.parse("0000:01:00.1");
    private static final PciAddress PLAIN = PciAddress.parse("0000:02:00.0");
    private static final PciAddress ON_HOST_DRIVER = PciAddress.parse("0000:03:00.0");
    private static final PciAddress BESIDE_HOST_DRIVER = PciAddress.parse("0000:04:00.0");
    private static final PciAddress NOWHERE = PciAddress.parse("0000:0f:00.0");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    private final EmulatedProcess process = machine(KernelProfile.LINUX_7_2.withCdev());
    private final RecordingBackend recorder = new RecordingBackend(process);
    private final Vfio vfio = Vfio.using(recorder);

    static Stream<KernelProfile> cdevKernels() {
        return Stream.of(KernelProfile.LINUX_6_12.withCdev(), KernelProfile.LINUX_7_2.withCdev());
    }

    private static EmulatedProcess machine(KernelProfile profile) {
        return EmulatedKernel.builder(profile).pciFunction(OWNER.toString(), function -> function.group(4).sriov(2))
                .pciFunction(PLAIN.toString(), function -> function.group(5))
                .pciFunction(ON_HOST_DRIVER.toString(), function -> function.group(6).driver("nvme"))
                .pciFunction(BESIDE_HOST_DRIVER.toString(), function -> function.group(7))
                .pciFunction("0000:04:00.1", function -> function.group(7).driver("ixgbe")).mtty(MTTY, 1).build()
                .newProcess();
    }

    private static void assertRefused(Iommufd iommufd, PciAddress function, Errno errno, String message) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> iommufd.openDevice(function))
                .withMessage(message).matches(e -> e.is(errno));
    }

    private static void assertRefused(Iommufd iommufd, PciAddress function, VfToken token, Errno errno,
            String message) {
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> iommufd.openDevice(function, token))
                .withMessage(message).matches(e -> e.is(errno));
    }

    @Test
    void openingMakesNoCallThatItDoesNotNeed() throws VfioException {
        String directory = "readlink /sys/bus/pci/devices/0000:02:00.0/vfio-dev";
        try (Iommufd iommufd = vfio.openIommufd(); VfioDevice device = iommufd.openDevice(PLAIN)) {
            assertThat(device).hasToString("device 0000:02:00.0");
            assertThat(iommufd).hasToString("iommufd of [device 0000:02:00.0]");
            assertThat(recorder.take()).containsExactly("open /dev/iommu", "IOAS_ALLOC on /dev/iommu", directory,
                    directory + "/vfio0", directory + "/vfio1", "open /dev/vfio/devices/vfio1",
                    "BIND on /dev/vfio/devices/vfio1", "ATTACH on /dev/vfio/devices/vfio1");
        }
        assertThat(recorder.take()).containsExactly("close /dev/vfio/devices/vfio1", "close /dev/iommu");
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void closingItClosesTheDevicesFirst() throws VfioException {
        Iommufd iommufd = vfio.openIommufd();
        VfioDevice plain = iommufd.openDevice(PLAIN);
        VfioDevice owner = iommufd.openDevice(OWNER);
        VfioDevice mediated = iommufd.openMediatedDevice(MTTY);
        assertThat(mediated.migration()).isPresent();
        recorder.take();
        iommufd.close();
        assertThat(recorder.take()).containsExactly("close /dev/vfio/devices/vfio1", "close /dev/vfio/devices/vfio0",
                "close /dev/vfio/devices/vfio3", "close /dev/iommu");
        for (VfioDevice device : List.of(plain, owner, mediated)) {
            assertThatIllegalStateException().isThrownBy(() -> device.probe(FeatureId.PCI_VF_TOKEN))
                    .withMessage(device + " is closed; open it again to use it");
            device.close();
        }
        iommufd.close();
        assertThatIllegalStateException().isThrownBy(() -> iommufd.openDevice(PLAIN))
                .withMessage("iommufd is closed; open it again to use it");
        assertThat(recorder.take()).isEmpty();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void whatIsOpenedWhileItClosesIsRefused() throws VfioException {
        List<Throwable> refusals = new ArrayList<>();
        List<Iommufd> opened = new ArrayList<>();
        IoctlBackend opensOnClose = new ForwardingBackend(process) {
            @Override
            public int close(int fd) {
                opened.forEach(iommufd -> refusals.add(catchThrowable(() -> iommufd.openDevice(OWNER))));
                return super.close(fd);
            }
        };
        Iommufd iommufd = Vfio.using(opensOnClose).openIommufd();
        VfioDevice device = iommufd.openDevice(PLAIN);
        opened.add(iommufd);
        iommufd.close();
        device.close();
        assertThat(refusals).hasSize(2)
                .allSatisfy(refusal -> assertThat(refusal).isInstanceOf(IllegalStateException.class));
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void itStaysUntilACallOnItsDeviceIsOver() throws VfioException, InterruptedException {
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        IoctlBackend gate = new ForwardingBackend(recorder) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                if (request == VFIO_DEVICE_FEATURE()) {
                    entered.countDown();
                    try {
                        goOn.await();
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                }
                return super.ioctl(fd, request, argument, pointees);
            }
        };
        Iommufd iommufd = Vfio.using(gate).openIommufd();
        VfioDevice device = iommufd.openDevice(PLAIN);
        recorder.take();
        FeatureRequest probe = FeatureRequest.of(FeatureId.DMA_BUF).probe().allocate(Arena.ofAuto());
        Thread call = Thread.ofPlatform().start(() -> device.executeRaw(probe));
        entered.await();
        Thread first = start(device);
        Thread second = start(iommufd);
        while (first.getState() != Thread.State.TIMED_WAITING || second.getState() != Thread.State.TIMED_WAITING) {
            assertThat(first.isAlive() && second.isAlive()).as("still waiting").isTrue();
            Thread.onSpinWait();
        }
        assertThat(recorder.take()).isEmpty();
        goOn.countDown();
        call.join();
        first.join();
        second.join();
        assertThat(recorder.take()).containsSubsequence("DEVICE_FEATURE on /dev/vfio/devices/vfio1",
                "close /dev/vfio/devices/vfio1", "close /dev/iommu");
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    private static Thread start(AutoCloseable closeable) {
        return Thread.ofPlatform().start(() -> {
            try {
                closeable.close();
            } catch (Exception e) {
                throw new AssertionError(e);
            }
        });
    }

    /** An address space without devices has all addresses, and pins nothing. */
    @Test
    void whatWasMappedBeforeCanKeepADeviceOut() throws VfioException {
        try (Arena arena = Arena.ofShared(); Iommufd iommufd = vfio.openIommufd()) {
            MemorySegment page = arena.allocate(4096, 4096);
            DmaMapping inTheWay = iommufd.map(0xfee0_0000L, page, DmaDirection.TO_DEVICE);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> iommufd.openDevice(PLAIN))
                    .matches(e -> e.is(Errno.EADDRINUSE)).withMessageContaining("open the device first");
            inTheWay.close();
            try (VfioDevice device = iommufd.openDevice(PLAIN)) {
                assertThat(device.info().isPci()).isTrue();
                assertThatIllegalArgumentException()
                        .isThrownBy(() -> iommufd.map(0xfee0_0000L, page, DmaDirection.TO_DEVICE))
                        .withMessageContaining("not within one of the ranges");
            }
        }
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void whatWasMappedBeforeIsLockedWithTheFirstDevice() throws VfioException {
        EmulatedProcess user = EmulatedKernel.builder(KernelProfile.LINUX_7_2.withCdev()).lockedMemoryLimit(4 * 4096)
                .pciFunction(PLAIN.toString(), function -> function.group(5)).build().newProcess().withoutIpcLock();
        try (Iommufd iommufd = Vfio.using(user).openIommufd()) {
            DmaMapping large = iommufd.allocate(5 * 4096, DmaDirection.BIDIRECTIONAL);
            assertThat(large.isMapped()).isTrue();
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> iommufd.openDevice(PLAIN))
                    .matches(e -> e.is(Errno.ENOMEM)).withMessageContaining("RLIMIT_MEMLOCK is 16384 bytes");
            large.unmap();
            iommufd.openDevice(PLAIN).close();
        }
        assertThat(user.openDescriptors()).isEqualTo(3);
    }

    @Test
    void anErrorOfOneCloseDoesNotKeepTheOthersFromBeingClosed() throws VfioException {
        // Three are closed: both devices, and the iommufd.
        for (int failing = 1; failing <= 3; failing++) {
            FaultInjectingBackend failingClose = new FaultInjectingBackend(process);
            failingClose.inject(Fault.on(SystemCall.CLOSE).nth(failing).fails(Errno.EIO));
            Iommufd iommufd = Vfio.using(failingClose).openIommufd();
            iommufd.openDevice(OWNER);
            iommufd.openDevice(PLAIN);
            assertThatExceptionOfType(VfioException.class).isThrownBy(iommufd::close)
                    .withMessageMatching("close [^:]+(:[^ ]+)?: EIO \\(input/output error\\)");
            assertThat(process.openDescriptors()).isEqualTo(3);
        }
    }

    /** What fails afterwards has been done all the same. Without ENOENT and EINVAL, which are answers of readlink(2). */
    @ParameterizedTest
    @MethodSource("cdevKernels")
    void nothingIsLeftOpenWhicheverCallFails(KernelProfile profile) {
        for (Errno errno : List.of(Errno.EIO, Errno.EMFILE, Errno.EPERM, Errno.EBUSY, Errno.EACCES)) {
            assertThat(failEach(profile, call -> call.fails(errno))).as("calls that can fail").isGreaterThan(30);
        }
        assertThat(failEach(profile, call -> call.failsAfterwards(Errno.EIO))).isGreaterThan(30);
    }

    /** Fails the first call, then the second and so on until a run goes through clean; how many there were. */
    private static int failEach(KernelProfile profile, Function<Fault.Place, Fault> fault) {
        for (int n = 1;; n++) {
            EmulatedProcess fresh = machine(profile);
            FaultInjectingBackend failing = new FaultInjectingBackend(fresh);
            failing.inject(fault.apply(Fault.onAnyCall().nth(n)));
            Throwable failed = catchThrowable(() -> useEverything(failing));
            if (failing.injected() == 0) {
                assertThat(failed).isNull();
                return n - 1;
            }
            // A descriptor that was opened and not told of is lost to any program.
            assertThat(fresh.openFiles().values()).as("left open when call %d fails: %s", n, failed)
                    .allMatch(file -> failed instanceof VfioException e && e.operation().startsWith("open "))
                    .hasSizeLessThan(2);
            if (failed != null) {
                assertThat(failed).as("call %d", n).isInstanceOf(VfioException.class);
                assertThat(failed.getMessage()).doesNotContain("\n");
            }
        }
    }

    private static void useEverything(IoctlBackend backend) throws VfioException {
        Vfio anew = Vfio.using(backend);
        VfToken token = VfToken.random();
        try (Iommufd iommufd = anew.openIommufd(); VfioDevice owner = iommufd.openDevice(OWNER)) {
            owner.vfToken().orElseThrow(() -> new VfioException("no token", null, null)).set(token);
            anew.pciDevice(OWNER).setSriovNumVfs(1);
            boolean tokens = backend.toString().contains("7.2");
            try (VfioDevice user = tokens ? iommufd.openDevice(VIRTUAL, token) : iommufd.openDevice(VIRTUAL);
                    VfioDevice mediated = iommufd.openMediatedDevice(MTTY)) {
                assertThat(user.probeAll()).hasSize(13);
                assertThat(mediated.probe(FeatureId.MIGRATION).feature()).isEqualTo(FeatureId.MIGRATION);
            }
        }
    }

    @Test
    void theTokenIsBesideTheArgumentOnly() throws VfioException {
        VfToken token = VfToken.random();
        List<byte[]> given = new ArrayList<>();
        IoctlBackend looking = new ForwardingBackend(process) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                if (request == VFIO_DEVICE_BIND_IOMMUFD()) {
                    given.add(pointees[0].toArray(ValueLayout.JAVA_BYTE));
                    assertThat(pointees).hasSize(1);
                }
                return super.ioctl(fd, request, argument, pointees);
            }
        };
        try (Iommufd iommufd = Vfio.using(looking).openIommufd(); VfioDevice owner = iommufd.openDevice(OWNER, token)) {
            assertThat(owner.vfToken()).isPresent();
        }
        assertThat(given).containsExactly(token.toBytes());
    }

    // Refusals

    @Test
    void aTokenHasToMatchWhenTheDeviceIsBound() throws VfioException {
        VfToken token = VfToken.random();
        try (Iommufd iommufd = vfio.openIommufd(); VfioDevice owner = iommufd.openDevice(OWNER, token)) {
            vfio.pciDevice(OWNER).setSriovNumVfs(1);
            assertRefused(iommufd, VIRTUAL, Errno.EACCES, "VFIO_DEVICE_BIND_IOMMUFD 0000:01:00.1: EACCES (permission"
                    + " denied). The function needs the VF token of its physical function 0000:01:00.0, which its owner"
                    + " sets: open it with that token");
            assertRefused(iommufd, VIRTUAL, VfToken.random(), Errno.EACCES, "VFIO_DEVICE_BIND_IOMMUFD 0000:01:00.1:"
                    + " EACCES (permission denied). The VF token is not that of its physical function 0000:01:00.0: ask its"
                    + " owner for the right one");
            try (VfioDevice user = iommufd.openDevice(VIRTUAL, token)) {
                assertThat(user.vfToken()).isEmpty();
                assertRefused(iommufd, VIRTUAL, token, Errno.EINVAL, "VFIO_DEVICE_BIND_IOMMUFD 0000:01:00.1: EINVAL"
                        + " (invalid argument). The device is bound already: 'fuser -v /dev/vfio/devices/*' shows who has"
                        + " it");
            }
            assertRefused(iommufd, PLAIN, token, Errno.EINVAL, "VFIO_DEVICE_BIND_IOMMUFD 0000:02:00.0: EINVAL (invalid"
                    + " argument). The function takes no VF token: it is no SR-IOV function with its physical function on"
                    + " vfio-pci. Open it without one");
            assertThat(owner.vfToken()).isPresent();
            assertThat(process.openFiles()).hasSize(2);
        }
    }

    @Test
    void aKernelThatTakesNoTokenIsToldApartFromAWrongToken() throws VfioException {
        Vfio old = Vfio.using(machine(KernelProfile.LINUX_6_12.withCdev()));
        try (Iommufd iommufd = old.openIommufd(); VfioDevice owner = iommufd.openDevice(OWNER)) {
            owner.vfToken().orElseThrow().set(VfToken.random());
            old.pciDevice(OWNER).setSriovNumVfs(1);
            assertRefused(iommufd, VIRTUAL, VfToken.random(), Errno.EINVAL, "VFIO_DEVICE_BIND_IOMMUFD 0000:01:00.1:"
                    + " EINVAL (invalid argument). This kernel takes no VF token when a device is bound to an iommufd, nor"
                    + " does it ask for one (Linux 7.2 does): open the function through a container (Vfio.openContainer)");
            // The rule is not there at all.
            iommufd.openDevice(VIRTUAL).close();
        }
    }

    @ParameterizedTest
    @MethodSource("cdevKernels")
    void whatKeepsADeviceFromBeingBoundIsTold(KernelProfile profile) throws VfioException {
        EmulatedProcess all = machine(profile);
        Vfio here = Vfio.using(all);
        try (Iommufd iommufd = here.openIommufd()) {
            assertRefused(iommufd, NOWHERE, Errno.ENODEV, "open 0000:0f:00.0: ENODEV (no such device). There is no PCI"
                    + " function at this address; 'lspci -D' lists those there are");
            assertRefused(iommufd, ON_HOST_DRIVER, Errno.ENODEV, "open 0000:03:00.0: ENODEV (no such device)."
                    + " 0000:03:00.0 is bound to nvme, not to vfio-pci. As root: echo vfio-pci >"
                    + " /sys/bus/pci/devices/0000:03:00.0/driver_override; echo 0000:03:00.0 >"
                    + " /sys/bus/pci/devices/0000:03:00.0/driver/unbind; echo 0000:03:00.0 > /sys/bus/pci/drivers_probe");
            assertRefused(iommufd, BESIDE_HOST_DRIVER, Errno.EPERM, "VFIO_DEVICE_BIND_IOMMUFD 0000:04:00.0: EPERM"
                    + " (operation not permitted). A host driver or another iommufd has a device of the group: bind every"
                    + " function in /sys/kernel/iommu_groups/7/devices to vfio-pci or to no driver, and open them through"
                    + " one iommufd. Or the platform can't isolate interrupts, and if that is acceptable: echo 1 >"
                    + " /sys/module/iommufd/parameters/allow_unsafe_interrupts");
            try (VfioContainer container = here.openContainer(); VfioDevice device = container.openDevice(PLAIN)) {
                assertRefused(iommufd, PLAIN, Errno.EBUSY, "VFIO_DEVICE_BIND_IOMMUFD 0000:02:00.0: EBUSY (device or"
                        + " resource busy). The file of the device's group is open, and a device is used either through its"
                        + " group or by itself: 'fuser -v /dev/vfio/5' shows who has it");
                assertThat(device.probeAll()).hasSize(13);
            }
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(
                            () -> iommufd.openMediatedDevice(UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1009")))
                    .matches(e -> e.is(Errno.ENODEV)).withMessageContaining("There is no mediated device of this name");
            assertThat(all.openFiles().values()).containsExactly("iommufd");
        }
        assertThat(all.openFiles()).isEmpty();
    }

    @Test
    void whatTheKernelLacksIsTold() throws VfioException {
        EmulatedProcess stock = machine(KernelProfile.LINUX_7_2);
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> Vfio.using(stock).openIommufd())
                .withMessage("open /dev/iommu: ENOENT (no such file or directory). This kernel has no iommufd"
                        + " (CONFIG_IOMMUFD), or its module is not loaded: 'modprobe iommufd', or use a container"
                        + " (Vfio.openContainer), which every kernel has");
        EmulatedProcess withoutCdevs = machine(KernelProfile.LINUX_7_2.withIommufd());
        try (Iommufd iommufd = Vfio.using(withoutCdevs).openIommufd()) {
            assertRefused(iommufd, PLAIN, Errno.ENOENT,
                    "open /dev/vfio/devices/vfio1: ENOENT (no such file or directory)."
                            + " On this kernel devices have no files of their own (CONFIG_VFIO_DEVICE_CDEV): use a container"
                            + " (Vfio.openContainer)");
        }
        FaultInjectingBackend withoutFile = new FaultInjectingBackend(process);
        withoutFile.inject(Fault.onPath("/dev/vfio/devices/vfio1").fails(Errno.ENOENT));
        try (Iommufd iommufd = Vfio.using(withoutFile).openIommufd()) {
            assertRefused(iommufd, PLAIN, Errno.ENOENT,
                    "open /dev/vfio/devices/vfio1: ENOENT (no such file or directory)."
                            + " The device's file is not here: hand it to the container this runs in ('docker run --device"
                            + " /dev/vfio/devices/vfio1' for one)");
        }
    }

    @Test
    void whoMayNotOpenItIsTold() throws VfioException {
        EmulatedProcess unprivileged = process.kernel().newUnprivilegedProcess();
        Vfio theirs = Vfio.using(unprivileged);
        assertThatExceptionOfType(VfioException.class).isThrownBy(theirs::openIommufd)
                .withMessage("open /dev/iommu: EACCES (permission denied). This user may not open it: 'chown $USER"
                        + " /dev/iommu' as root gives it to you")
                .matches(e -> e.is(Errno.EACCES));
        assertThat(theirs.iommuChoice())
                .isEqualTo(new IommuChoice(IommuChoice.Kind.CONTAINER, "open /dev/iommu: EACCES (permission denied)"));
        FaultInjectingBackend withoutRight = new FaultInjectingBackend(process);
        withoutRight.inject(Fault.onPath("/dev/vfio/devices/vfio1").fails(Errno.EACCES));
        try (Iommufd iommufd = Vfio.using(withoutRight).openIommufd()) {
            assertRefused(iommufd, PLAIN, Errno.EACCES, "open /dev/vfio/devices/vfio1: EACCES (permission denied). This"
                    + " user may not open the device: 'chown $USER /dev/vfio/devices/vfio1' as root gives it to you");
        }
    }

    @Test
    void theChoiceLeavesNothingOpen() throws VfioException {
        assertThat(vfio.iommuChoice().kind()).isEqualTo(IommuChoice.Kind.IOMMUFD);
        assertThat(process.openFiles()).isEmpty();
        int raw = process.open("/dev/vfio/devices", Fcntl.O_RDWR);
        assertThat(raw).isEqualTo(-Errno.EISDIR.code());
    }
}
