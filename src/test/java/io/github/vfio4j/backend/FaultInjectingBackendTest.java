package io.github.vfio4j.backend;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.feature.RegionRange;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.function.ToLongFunction;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Which calls go wrong, and what has become of what they were to do. */
class FaultInjectingBackendTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final String NULL = "/dev/null";
    private static final int MTTY_STREAM = 96;

    private final EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
            .pciFunction(OWNER.toString(), function -> function.sriov(1).memoryBar(0, 16384)).mtty(MTTY, 2).build()
            .newProcess();
    private final FaultInjectingBackend faults = new FaultInjectingBackend(process);
    private final Vfio vfio = Vfio.using(faults);

    @AfterEach
    void nothingIsLeftOpen() {
        assertThat(process.openDescriptors()).isEqualTo(3);
    }

    /** The errnos of so many calls in a row; 0 where one succeeds. */
    private List<Long> answers(int calls, ToLongFunction<IoctlBackend> call) {
        List<Long> answers = new ArrayList<>();
        for (int i = 0; i < calls; i++) {
            long result = call.applyAsLong(faults);
            answers.add(Math.min(result, 0));
        }
        return answers;
    }

    private static long openAndClose(IoctlBackend backend) {
        int fd = backend.open(NULL, Fcntl.O_RDWR);
        if (fd >= 0) {
            backend.close(fd);
        }
        return fd;
    }

    @Test
    void theFirstCallFailsOnce() {
        faults.inject(Fault.onPath(NULL).fails(Errno.ENOENT));
        assertThat(answers(3, FaultInjectingBackendTest::openAndClose)).containsExactly(-2L, 0L, 0L);
        assertThat(faults.injected()).isEqualTo(1);
    }

    @Test
    void theNthFailsOrAllFromThereOn() {
        faults.inject(Fault.on(SystemCall.OPEN).nth(2).fails(Errno.ENOENT));
        faults.inject(Fault.on(SystemCall.OPEN).from(4).fails(Errno.EIO));
        assertThat(answers(5, FaultInjectingBackendTest::openAndClose)).containsExactly(0L, -2L, 0L, -5L, -5L);
        assertThat(faults.injected()).isEqualTo(3);
    }

    @Test
    void ofTwoFaultsTheFirstHappensAndBothCount() {
        faults.inject(Fault.onPath(NULL).fails(Errno.ENOENT));
        faults.inject(Fault.onPath(NULL).from(1).fails(Errno.EIO));
        assertThat(answers(2, FaultInjectingBackendTest::openAndClose)).containsExactly(-2L, -5L);
    }

    @Test
    void callsAreCountedFromTheInjectionOnAndForgottenOnes() {
        assertThat(answers(1, FaultInjectingBackendTest::openAndClose)).containsExactly(0L);
        faults.inject(Fault.on(SystemCall.OPEN).nth(2).fails(Errno.EIO));
        assertThat(answers(2, FaultInjectingBackendTest::openAndClose)).containsExactly(0L, -5L);
        faults.inject(Fault.onAnyCall().from(1).fails(Errno.EIO));
        faults.clear();
        assertThat(answers(1, FaultInjectingBackendTest::openAndClose)).containsExactly(0L);
        assertThat(faults.injected()).isZero();
    }

    @Test
    void aCloseThatFailsClosesAllTheSame() {
        faults.inject(Fault.on(SystemCall.CLOSE).fails(Errno.EIO));
        int fd = faults.open(NULL, Fcntl.O_RDWR);
        assertThat(faults.close(fd)).isEqualTo(-5);
        assertThat(process.close(fd)).isEqualTo(-9);
    }

    @Test
    void aCallThatFailsByItselfKeepsItsErrno() {
        faults.inject(Fault.onAnyCall().from(1).failsAfterwards(Errno.EIO));
        assertThat(faults.open("/nowhere", Fcntl.O_RDWR)).isEqualTo(-2);
        assertThat(faults.mmap(Arena.global(), 4096, 1, 1, 77, 0).address()).isEqualTo(-9);
    }

    /** Every call that makes a descriptor, and some that do not. */
    @ParameterizedTest
    @EnumSource(names = {"OPEN", "EVENTFD", "WRITE", "READ"})
    void whatACallHasMadeBeforeItFailsIsClosedAgain(SystemCall call) throws VfioException {
        faults.inject(Fault.on(call).failsAfterwards(Errno.EIO));
        assertThatExceptionOfType(VfioException.class).isThrownBy(() -> {
            try (VfioContainer container = vfio.openContainer();
                    VfioDevice owner = container.openDevice(OWNER);
                    var eventfd = vfio.openEventFd()) {
                assertThat(owner.probe(FeatureId.PCI_VF_TOKEN).feature()).isEqualTo(FeatureId.PCI_VF_TOKEN);
                vfio.pciDevice(OWNER).setSriovNumVfs(1);
                assertThat(vfio.pciDevice(OWNER).sriovNumVfs()).isEqualTo(1);
                assertThat(eventfd.read()).isZero();
            }
        }).matches(e -> e.is(Errno.EIO));
        int virtualFunctions = Vfio.using(process).pciDevice(OWNER).sriovNumVfs();
        assertThat(virtualFunctions).as("a write that fails afterwards has written")
                .isEqualTo(call == SystemCall.WRITE || call == SystemCall.READ ? 1 : 0);
    }

    /** A refused opening of a physical function changes its token: semantics §D.4. */
    @ParameterizedTest
    @EnumSource(names = {"IOCTL", "OPEN"})
    void anIoctlFailsBeforeOrAfterItIsCarriedOut(SystemCall when) throws VfioException {
        boolean afterwards = when == SystemCall.IOCTL;
        VfToken token = VfToken.random();
        Fault.Place opening = Fault.onRequest(0x3b6a);
        faults.inject(afterwards ? opening.failsAfterwards(Errno.EMFILE) : opening.fails(Errno.EMFILE));
        try (VfioContainer container = vfio.openContainer()) {
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openDevice(OWNER, token))
                    .matches(e -> e.is(Errno.EMFILE));
            vfio.pciDevice(OWNER).setSriovNumVfs(1);
            PciAddress virtual = vfio.pciDevice(OWNER).virtualFunction(0).orElseThrow();
            if (afterwards) {
                container.openDevice(virtual, token).close();
            } else {
                assertThatExceptionOfType(VfioException.class).isThrownBy(() -> container.openDevice(virtual, token))
                        .matches(e -> e.is(Errno.EACCES));
            }
        }
    }

    @Test
    void descriptorsThatFeaturesMakeAreClosedAgain() throws VfioException {
        try (VfioContainer container = vfio.openContainer();
                VfioDevice owner = container.openDevice(OWNER);
                VfioDevice mtty = container.openMediatedDevice(MTTY)) {
            var migration = mtty.migration().orElseThrow();
            var dmaBuf = owner.dmaBuf().orElseThrow();
            int open = process.openDescriptors();
            faults.inject(Fault.onFeature(FeatureId.DMA_BUF.index()).failsAfterwards(Errno.EFAULT));
            faults.inject(Fault.onFeature(FeatureId.MIG_DEVICE_STATE.index()).failsAfterwards(Errno.EFAULT));
            List<RegionRange> ranges = List.of(new RegionRange(0, 4096));
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> dmaBuf.export(0, ranges))
                    .matches(e -> e.is(Errno.EFAULT));
            assertThatExceptionOfType(VfioException.class)
                    .isThrownBy(() -> migration.setState(MigrationState.STOP_COPY)).matches(e -> e.is(Errno.EFAULT));
            assertThat(process.openDescriptors()).isEqualTo(open);
            assertThat(migration.state()).as("it was carried out").isEqualTo(MigrationState.STOP_COPY);
        }
    }

    @Test
    void readsAndWritesAreCut() throws IOException {
        try (Arena arena = Arena.ofConfined();
                VfioContainer container = vfio.openContainer();
                VfioDevice mtty = container.openMediatedDevice(MTTY)) {
            faults.inject(Fault.onAnyCall().nth(2).isCutTo(5));
            faults.inject(Fault.on(SystemCall.READ).nth(3).isCutTo(0));
            MemorySegment buffer = arena.allocate(40);
            try (var data = mtty.migration().orElseThrow().setState(MigrationState.STOP_COPY).orElseThrow()) {
                assertThat(data.read(buffer)).isEqualTo(40);
                assertThat(data.read(buffer)).isEqualTo(5);
                assertThat(data.read(buffer)).as("the end").isLessThan(1);
                assertThat(data.read(buffer)).isEqualTo(40);
                assertThat(data.read(buffer)).isEqualTo(MTTY_STREAM - 85);
            }
            int numVfs = process.open("/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs", Fcntl.O_RDWR);
            faults.inject(Fault.on(SystemCall.PREAD).isCutTo(1));
            assertThat(faults.pread(numVfs, buffer, 0)).isEqualTo(1);
            assertThat(buffer.get(ValueLayout.JAVA_BYTE, 0)).isEqualTo((byte) '0');
            assertThat(process.close(numVfs)).isZero();
        }
        assertThat(faults.injected()).isEqualTo(3);
    }

    @Test
    void nonsenseIsRefusedWhenItIsSaid() {
        assertThatIllegalArgumentException().isThrownBy(() -> Fault.onAnyCall().nth(0))
                .withMessageContaining("from 1 on");
        assertThatIllegalArgumentException().isThrownBy(() -> Fault.onAnyCall().isCutTo(-1))
                .withMessageContaining("not of -1");
        assertThatIllegalArgumentException().isThrownBy(() -> Fault.onFeature(65536))
                .withMessageContaining("not 65536");
    }

    @Test
    void aFaultSaysWhatItIs() {
        assertThat(Fault.on(SystemCall.READ).nth(3).fails(Errno.EIO))
                .hasToString("[READ] number 3 fails: EIO (input/output error)");
        assertThat(Fault.onFeature(2).from(1).failsAfterwards(Errno.EIO))
                .hasToString("feature 2 from number 1 on is carried out and fails: EIO (input/output error)");
        assertThat(faults).hasToString("emulated Linux 7.2");
    }
}
