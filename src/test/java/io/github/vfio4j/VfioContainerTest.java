package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.SystemCall;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.uapi.vfio_h;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The limit on time is only there so that a deadlock fails instead of hanging. */
@Timeout(value = 2, unit = TimeUnit.MINUTES)
class VfioContainerTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final PciAddress PLAIN = PciAddress.parse("0000:02:00.0");
    private static final PciAddress NEIGHBOUR = PciAddress.parse("0000:02:00.1");

    private final EmulatedProcess process = machine(KernelProfile.LINUX_7_2);
    private final RecordingBackend recorder = new RecordingBackend(process);
    private final Vfio vfio = Vfio.using(recorder);

    private static EmulatedProcess machine(KernelProfile profile) {
        return EmulatedKernel.builder(profile).pciFunction(OWNER.toString(), function -> function.group(4).sriov(2))
                .pciFunction(PLAIN.toString(), function -> function.group(5))
                .pciFunction(NEIGHBOUR.toString(), function -> function.group(5)).build().newProcess();
    }

    private List<String> closes() {
        return recorder.take().stream().filter(call -> call.startsWith("close")).toList();
    }

    @Test
    void openingMakesNoCallThatItDoesNotNeed() throws VfioException {
        try (VfioContainer container = vfio.openContainer(); VfioDevice device = container.openDevice(PLAIN)) {
            assertThat(device).hasToString("device 0000:02:00.0");
            assertThat(recorder.take()).containsExactly("open /dev/vfio/vfio", "GET_API_VERSION on /dev/vfio/vfio",
                    "readlink /sys/bus/pci/devices/0000:02:00.0/iommu_group", "open /dev/vfio/5",
                    "GET_STATUS on /dev/vfio/5", "SET_CONTAINER on /dev/vfio/5", "CHECK_EXTENSION on /dev/vfio/vfio",
                    "SET_IOMMU on /dev/vfio/vfio", "GET_DEVICE_FD on /dev/vfio/5");
            container.openDevice(NEIGHBOUR).close();
            assertThat(recorder.take()).containsExactly("readlink /sys/bus/pci/devices/0000:02:00.1/iommu_group",
                    "GET_DEVICE_FD on /dev/vfio/5", "close 0000:02:00.1");
        }
    }

    @Test
    void closingTheContainerClosesDevicesThenGroupsThenTheContainer() throws VfioException {
        VfioContainer container = vfio.openContainer();
        VfioDevice owner = container.openDevice(OWNER);
        VfioDevice plain = container.openDevice(PLAIN);
        VfioDevice neighbour = container.openDevice(NEIGHBOUR);
        assertThat(container).hasToString("container of groups [4, 5]");
        recorder.take();
        container.close();
        assertThat(closes()).containsExactly("close 0000:01:00.0", "close /dev/vfio/4", "close 0000:02:00.0",
                "close 0000:02:00.1", "close /dev/vfio/5", "close /dev/vfio/vfio");
        for (VfioDevice device : List.of(owner, plain, neighbour)) {
            assertThatIllegalStateException().isThrownBy(() -> device.probe(FeatureId.PCI_VF_TOKEN))
                    .withMessage(device + " is closed; open it again to use it");
            device.close();
        }
        container.close();
        assertThat(recorder.take()).isEmpty();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aGroupThatWasOpenedForADeviceIsClosedWithItsLastOne() throws VfioException {
        try (VfioContainer container = vfio.openContainer()) {
            VfioDevice plain = container.openDevice(PLAIN);
            VfioDevice neighbour = container.openDevice(NEIGHBOUR);
            recorder.take();
            plain.close();
            plain.close();
            assertThat(closes()).containsExactly("close 0000:02:00.0");
            neighbour.close();
            assertThat(closes()).containsExactly("close 0000:02:00.1", "close /dev/vfio/5");
            assertThat(container).hasToString("container of groups []");
            container.openDevice(PLAIN).close();
            assertThat(closes()).containsExactly("close 0000:02:00.0", "close /dev/vfio/5");
        }
    }

    @Test
    void aGroupThatWasOpenedByNumberStaysOpenWithoutDevices() throws VfioException {
        VfioContainer container = vfio.openContainer();
        VfioGroup group = container.openGroup(5);
        assertThat(group.number()).isEqualTo(5);
        container.openDevice(PLAIN).close();
        group.openDevice(NEIGHBOUR).close();
        assertThat(closes()).containsExactly("close 0000:02:00.0", "close 0000:02:00.1");
        container.close();
        assertThat(closes()).containsExactly("close /dev/vfio/5", "close /dev/vfio/vfio");
    }

    @Test
    void askingForAGroupThatADeviceBroughtKeepsItOpen() throws VfioException {
        VfioContainer container = vfio.openContainer();
        VfioDevice device = container.openDevice(PLAIN);
        VfioGroup group = container.openGroup(5);
        assertThat(container.openGroup(5)).isSameAs(group);
        device.close();
        assertThat(closes()).containsExactly("close 0000:02:00.0");
        container.close();
        assertThat(closes()).containsExactly("close /dev/vfio/5", "close /dev/vfio/vfio");
    }

    @Test
    void closingAGroupClosesItsDevicesAndLeavesTheContainer() throws VfioException {
        try (VfioContainer container = vfio.openContainer()) {
            VfioGroup group = container.openGroup(5);
            VfioDevice device = group.openDevice(PLAIN);
            recorder.take();
            group.close();
            group.close();
            assertThat(closes()).containsExactly("close 0000:02:00.0", "close /dev/vfio/5");
            assertThatIllegalStateException().isThrownBy(() -> device.probe(FeatureId.DMA_BUF));
            assertThatIllegalStateException().isThrownBy(() -> group.openDevice(PLAIN))
                    .withMessage("group 5 is closed; open it again to use it");
            try (VfioDevice again = container.openDevice(PLAIN)) {
                assertThat(again.probeAll()).hasSize(13);
            }
        }
    }

    @Test
    void aRefusedDeviceTakesAlongOnlyTheGroupThatWasOpenedForIt() throws VfioException {
        PciAddress virtualFunction = vfio.pciDevice(OWNER).virtualFunction(0).orElse(PciAddress.parse("0000:01:00.1"));
        try (VfioContainer container = vfio.openContainer(); VfioDevice owner = container.openDevice(OWNER)) {
            vfio.pciDevice(OWNER).setSriovNumVfs(1);
            int before = process.openDescriptors();
            recorder.take();
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openDevice(virtualFunction));
            assertThat(process.openDescriptors()).isEqualTo(before);
            assertThat(closes()).hasSize(1);
            try (VfioDevice plain = container.openDevice(PLAIN)) {
                assertThatExceptionOfType(VfioException.class)
                        .isThrownBy(() -> container.openDevice(NEIGHBOUR, VfToken.random()));
                assertThat(plain.probeAll()).as("of the same group, and still open").hasSize(13);
            }
            assertThat(owner.probeAll()).hasSize(13);
            vfio.pciDevice(OWNER).setSriovNumVfs(0);
        }
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aDeviceOfAnotherGroupIsRefusedWithTheRightGroup() throws VfioException {
        try (VfioContainer container = vfio.openContainer(); VfioGroup group = container.openGroup(5)) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> group.openDevice(OWNER))
                    .withMessage("VFIO_GROUP_GET_DEVICE_FD 0000:01:00.0: ENODEV (no such device)."
                            + " 0000:01:00.0 is not in group 5 but in group 4: open it through that one");
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> group.openDevice(PciAddress.parse("0000:09:00.0")))
                    .withMessageContaining("There is no PCI function at this address");
        }
    }

    @Test
    void aClosedContainerOpensNothing() throws VfioException {
        VfioContainer container = vfio.openContainer();
        container.close();
        recorder.take();
        assertThatIllegalStateException().isThrownBy(() -> container.openDevice(PLAIN))
                .withMessage("container is closed; open it again to use it");
        assertThatIllegalStateException().isThrownBy(() -> container.openGroup(5))
                .withMessage("container is closed; open it again to use it");
        assertThatIllegalStateException().isThrownBy(() -> container.supports(1));
        assertThat(recorder.take()).isEmpty();
    }

    @Test
    void whatIsOpenedWhileTheContainerClosesIsRefused() throws VfioException {
        List<Throwable> refusals = new ArrayList<>();
        List<VfioContainer> containers = new ArrayList<>();
        IoctlBackend opensOnClose = new ForwardingBackend(process) {
            @Override
            public int close(int fd) {
                containers.forEach(container -> refusals.add(catchThrowable(() -> container.openDevice(OWNER))));
                return super.close(fd);
            }
        };
        VfioContainer container = Vfio.using(opensOnClose).openContainer();
        VfioDevice device = container.openDevice(PLAIN);
        containers.add(container);
        container.close();
        device.close();
        assertThat(refusals).hasSize(3)
                .allSatisfy(refusal -> assertThat(refusal).isInstanceOf(IllegalStateException.class));
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void theGroupStaysUntilACallOnItsDeviceIsOver() throws VfioException, InterruptedException {
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch goOn = new CountDownLatch(1);
        RecordingBackend recording = new RecordingBackend(process);
        IoctlBackend gate = new ForwardingBackend(recording) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                if (request == 0x3b75) {
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
        VfioContainer container = Vfio.using(gate).openContainer();
        VfioDevice device = container.openDevice(PLAIN);
        recording.take();
        Thread call = Thread.ofPlatform().start(() -> device.probe(FeatureId.DMA_BUF));
        entered.await();
        Thread first = start(device);
        Thread second = start(container);
        while (first.getState() != Thread.State.TIMED_WAITING || second.getState() != Thread.State.TIMED_WAITING) {
            assertThat(first.isAlive() && second.isAlive()).as("still waiting").isTrue();
            Thread.onSpinWait();
        }
        assertThat(recording.take()).isEmpty();
        goOn.countDown();
        call.join();
        first.join();
        second.join();
        assertThat(recording.take()).containsSubsequence("DEVICE_FEATURE on 0000:02:00.0", "close 0000:02:00.0",
                "close /dev/vfio/5", "close /dev/vfio/vfio");
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

    @Test
    void anErrorOfOneCloseDoesNotKeepTheOthersFromBeingClosed() throws VfioException {
        // Five are closed: device, group, device, group, container.
        for (int failing = 1; failing <= 5; failing++) {
            FaultInjectingBackend failingClose = new FaultInjectingBackend(process);
            failingClose.inject(Fault.on(SystemCall.CLOSE).nth(failing).fails(Errno.EIO));
            VfioContainer container = Vfio.using(failingClose).openContainer();
            VfioDevice first = container.openDevice(OWNER);
            VfioDevice second = container.openDevice(PLAIN);
            assertThatExceptionOfType(VfioException.class).isThrownBy(container::close)
                    .withMessageMatching("close [^:]+(:[^ ]+)?: EIO \\(input/output error\\)");
            assertThat(process.openDescriptors()).isEqualTo(3);
            first.close();
            second.close();
            container.close();
        }
    }

    @Test
    void allErrorsOfAClosingAreReported() throws VfioException {
        FaultInjectingBackend failingClose = new FaultInjectingBackend(process);
        failingClose.inject(Fault.on(SystemCall.CLOSE).from(1).fails(Errno.EIO));
        VfioContainer container = Vfio.using(failingClose).openContainer();
        VfioDevice device = container.openDevice(PLAIN);
        assertThatExceptionOfType(VfioException.class).isThrownBy(container::close)
                .withMessage("close device 0000:02:00.0: EIO (input/output error)")
                .satisfies(e -> assertThat(e.getSuppressed()).extracting(Throwable::getMessage).containsExactly(
                        "close group 5: EIO (input/output error)", "close container: EIO (input/output error)"));
        device.close();
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    static Stream<KernelProfile> profiles() {
        return KernelProfile.all().stream();
    }

    @ParameterizedTest
    @MethodSource("profiles")
    void whicheverCallFailsNothingIsLeftOpen(KernelProfile profile) {
        for (Errno errno : List.of(Errno.EIO, Errno.EMFILE, Errno.ENOENT, Errno.EPERM, Errno.EBUSY, Errno.EINVAL)) {
            assertThat(failEach(profile, errno)).as("calls that can fail").isGreaterThan(30);
        }
    }

    /** Fails the first call, then the second and so on until a run goes through clean; how many there were. */
    private static int failEach(KernelProfile profile, Errno errno) {
        for (int n = 1;; n++) {
            EmulatedProcess fresh = machine(profile);
            FaultInjectingBackend failing = new FaultInjectingBackend(fresh);
            failing.inject(Fault.onAnyCall().nth(n).fails(errno));
            Throwable failed = catchThrowable(() -> useEverything(failing));
            assertThat(fresh.openDescriptors()).as("descriptors left open when call %d fails: %s", n, failed)
                    .isEqualTo(3);
            if (failing.injected() == 0) {
                assertThat(failed).isNull();
                return n - 1;
            }
            if (failed != null) {
                assertThat(failed).as("call %d", n).isInstanceOf(VfioException.class);
                assertThat(failed.getMessage()).doesNotContain("\n");
            }
        }
    }

    private static void useEverything(IoctlBackend backend) throws VfioException {
        VfToken token = VfToken.random();
        Vfio vfio = Vfio.using(backend);
        try (VfioContainer container = vfio.openContainer(); VfioDevice owner = container.openDevice(OWNER)) {
            owner.vfToken().orElseThrow(() -> new VfioException("no token", null, null)).set(token);
            vfio.pciDevice(OWNER).setSriovNumVfs(1);
            PciAddress virtualFunction = vfio.pciDevice(OWNER).virtualFunction(0)
                    .orElseThrow(() -> new VfioException("no virtual function", null, null));
            try (VfioDevice user = container.openDevice(virtualFunction, token);
                    VfioGroup group = container.openGroup(5);
                    VfioDevice plain = group.openDevice(PLAIN)) {
                assertThat(user.probeAll()).hasSize(13);
                assertThat(plain.probe(FeatureId.DMA_BUF).feature()).isEqualTo(FeatureId.DMA_BUF);
            }
        }
    }

    @Test
    void anExceptionOfTheBackendLeavesNothingOpenEither() {
        for (int n = 1;; n++) {
            int failing = n;
            EmulatedProcess fresh = machine(KernelProfile.LINUX_7_2);
            int[] ioctls = {0};
            IoctlBackend throwing = new ForwardingBackend(fresh) {
                @Override
                public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                    if (++ioctls[0] == failing) {
                        throw new NotModelledException("this call");
                    }
                    return super.ioctl(fd, request, argument, pointees);
                }
            };
            Throwable failed = catchThrowable(() -> useEverything(throwing));
            assertThat(fresh.openDescriptors()).as("descriptors left open when ioctl %d throws", n).isEqualTo(3);
            if (ioctls[0] < failing) {
                assertThat(failed).isNull();
                assertThat(n).isGreaterThan(10);
                return;
            }
            assertThat(failed).isInstanceOf(NotModelledException.class);
        }
    }

    @Test
    void whenDescriptorsRunOutNothingIsLeftOpen() {
        for (int limit = 3; limit < 8; limit++) {
            EmulatedProcess small = EmulatedKernel.builder(KernelProfile.LINUX_6_12).descriptorLimit(limit)
                    .pciFunction(OWNER.toString(), function -> function.sriov(1)).build().newProcess();
            Throwable failed = catchThrowable(() -> {
                try (VfioContainer container = Vfio.using(small).openContainer();
                        VfioDevice device = container.openDevice(OWNER)) {
                    assertThat(device.probeAll()).hasSize(13);
                }
            });
            assertThat(small.openDescriptors()).isEqualTo(3);
            if (limit < 6) {
                assertThat(failed).isInstanceOf(VfioException.class)
                        .hasMessageContaining("EMFILE (too many open files)").hasMessageContaining("ulimit -n");
            } else {
                assertThat(failed).isNull();
            }
        }
    }

    /** VFIO_IOMMU_DIRTY_PAGES is EACCES on version 1, before anything else is looked at (semantics §E.5). */
    @Test
    void theTypeOfTheIommuIsChosen() throws VfioException {
        List<Integer> answers = new ArrayList<>();
        for (IommuType type : IommuType.values()) {
            IoctlBackend asking = new ForwardingBackend(process) {
                @Override
                public int close(int fd) {
                    if (process.openFiles().getOrDefault(fd, "").startsWith("device")) {
                        answers.add(process.ioctl(3, 0x3b75, MemorySegment.NULL));
                    }
                    return super.close(fd);
                }
            };
            try (VfioContainer container = Vfio.using(asking).openContainer(type)) {
                container.openDevice(PLAIN).close();
            }
        }
        assertThat(answers).containsExactly(-Errno.EACCES.code(), -Errno.EFAULT.code());
    }

    @Test
    void extensionsAreAsked() throws VfioException {
        try (VfioContainer container = vfio.openContainer()) {
            assertThat(container.supports(3)).isTrue();
            assertThat(container.supports(6)).isFalse();
            assertThat(container.supports(-1)).isFalse();
        }
    }

    @Test
    void theIommuComesAgainAfterTheLastGroupHasGone() throws VfioException {
        try (VfioContainer container = vfio.openContainer()) {
            container.openDevice(PLAIN).close();
            recorder.take();
            container.openDevice(OWNER).close();
            assertThat(recorder.take()).contains("SET_IOMMU on /dev/vfio/vfio");
        }
    }

    @Test
    void aGroupOpensItsDevicesWithATokenToo() throws VfioException {
        VfToken token = VfToken.random();
        try (VfioContainer container = vfio.openContainer();
                VfioGroup owners = container.openGroup(4);
                VfioGroup others = container.openGroup(5)) {
            try (VfioDevice owner = owners.openDevice(OWNER, token)) {
                assertThat(owner).hasToString("device " + OWNER);
            }
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> others.openDevice(PLAIN, token))
                    .matches(e -> e.is(Errno.EINVAL)).withMessageNotContaining(token.toText());
        }
    }

    @Test
    void theBetterTypeOfIommuIsChosenWhereThereAreBoth() throws VfioException {
        List<Long> types = new ArrayList<>();
        IoctlBackend asking = new ForwardingBackend(process) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                if (request == vfio_h.VFIO_SET_IOMMU()) {
                    types.add(argument.address());
                }
                return super.ioctl(fd, request, argument, pointees);
            }
        };
        try (VfioContainer container = Vfio.using(asking).openContainer()) {
            container.openDevice(PLAIN).close();
        }
        assertThat(types).containsExactly((long) vfio_h.VFIO_TYPE1v2_IOMMU());
    }

    /** A group can become unusable between the question and the attempt. */
    @Test
    void aGroupThatIsRefusedByTheContainerIsSaidNotToBeViable() throws VfioException {
        IoctlBackend refusing = new ForwardingBackend(process) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                return request == vfio_h.VFIO_GROUP_SET_CONTAINER()
                        ? -Errno.EPERM.code()
                        : super.ioctl(fd, request, argument, pointees);
            }
        };
        try (VfioContainer container = Vfio.using(refusing).openContainer()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openGroup(5))
                    .matches(e -> e.is(Errno.EPERM)).withMessageContaining("not viable")
                    .withMessageContaining("/sys/kernel/iommu_groups/5/devices");
        }
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    @Test
    void aGroupThatADeviceBroughtIsHandedOut() throws VfioException {
        try (VfioContainer container = vfio.openContainer()) {
            container.openDevice(PLAIN);
            VfioGroup group = container.openGroup(5);
            assertThat(group.number()).isEqualTo(5);
            assertThat(group).hasToString("group 5");
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> group.openDevice("~"))
                    .as("a name like another").matches(e -> e.is(Errno.ENODEV));
            assertThatIllegalArgumentException().isThrownBy(() -> group.openDevice("\u007f"));
            assertThatIllegalArgumentException().isThrownBy(() -> group.openDevice(PLAIN + " "));
        }
    }
}
