package io.github.vfio4j.feature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.VfioGroup;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.emulation.device.ResumeStream;
import io.github.vfio4j.emulation.device.SaveStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Features that no sample device has, on modelled ones. */
class FeaturesOfModelsTest {

    private static final UUID NAME = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    /** A device that logs pages of at least 64 KiB, one session at a time. */
    private static final class LoggingDevice implements DeviceModel, DmaLoggingModel {

        private static final long PAGE = 0x10000;
        private final List<Long> written = new ArrayList<>();
        private boolean started;

        @Override
        public DmaLoggingModel dmaLogging() {
            return this;
        }

        synchronized void write(long iova) {
            written.add(iova & -PAGE);
        }

        @Override
        public long start(List<Range> ranges, long pageSize) throws DeviceFailure {
            if (started) {
                throw new DeviceFailure(Errno.EINVAL);
            }
            started = true;
            return Math.max(pageSize, PAGE);
        }

        @Override
        public void stop() {
            started = false;
        }

        @Override
        public void report(long iova, long length, DirtyRanges dirty) {
            written.forEach(page -> dirty.add(page, PAGE));
            written.clear();
        }
    }

    static List<KernelProfile> kernelsThatReport() {
        return List.of(KernelProfile.LINUX_6_1, KernelProfile.LINUX_6_12.withIommufdDriver(),
                KernelProfile.LINUX_7_2.withIommufdDriver());
    }

    @ParameterizedTest
    @MethodSource("kernelsThatReport")
    void whatTheDeviceHasWrittenToIsReportedOnce(KernelProfile profile) throws VfioException {
        LoggingDevice model = new LoggingDevice();
        var process = EmulatedKernel.builder(profile).mediatedDevice(NAME, () -> model).build().newProcess();
        IovaRange memory = new IovaRange(0x1_0000_0000L, 1L << 30);
        try (VfioContainer container = Vfio.using(process).openContainer();
                VfioDevice device = container.openMediatedDevice(NAME);
                Arena arena = Arena.ofConfined()) {
            DmaLoggingFeature logging = device.dmaLogging().orElseThrow();
            try (DmaLoggingSession session = logging.start(List.of(memory), 4096)) {
                assertThat(session.pageSize()).isEqualTo(LoggingDevice.PAGE);
                assertThatExceptionOfType(VfioException.class).isThrownBy(() -> logging.start(List.of(memory), 4096))
                        .matches(e -> e.is(Errno.EINVAL));
                for (long iova : new long[]{0x1_0000_0000L, 0x1_0001_2345L, 0x1_0300_0000L, 0x1_3fff_ffffL}) {
                    model.write(iova);
                }
                DirtyBitmap dirty = DirtyBitmap.allocate(memory, session.pageSize(), arena);
                session.report(dirty);
                List<IovaRange> ranges = new ArrayList<>();
                dirty.forEachDirtyRange((iova, length) -> ranges.add(new IovaRange(iova, length)));
                assertThat(ranges).containsExactly(new IovaRange(0x1_0000_0000L, 0x20000),
                        new IovaRange(0x1_0300_0000L, 0x10000), new IovaRange(0x1_3fff_0000L, 0x10000));
                dirty.clear();
                session.report(dirty);
                assertThat(dirty.dirtyPages()).isZero();
            }
            logging.start(List.of(memory), 4096).close();
        }
    }

    @Test
    void aCdxDeviceIsMadeBusMaster() throws VfioException {
        List<Boolean> calls = new ArrayList<>();
        var process = EmulatedKernel.builder(KernelProfile.LINUX_7_2).cdxDevice("cdx-00:00", () -> calls::add).build()
                .newProcess();
        try (VfioContainer container = Vfio.using(process).openContainer();
                VfioGroup group = container.openGroup(0);
                VfioDevice device = group.openDevice("cdx-00:00")) {
            BusMasterFeature busMaster = device.busMaster().orElseThrow();
            assertThat(calls).as("at the opening").containsExactly(false);
            busMaster.set();
            busMaster.clear();
            assertThat(calls).containsExactly(false, true, false);
            assertThat(device.migration()).isEmpty();
        }
    }

    /** A device in pre-copy that has just begun anew with its initial bytes. */
    private static final class RestartedDevice implements DeviceModel, MigrationModel, SaveStream {

        @Override
        public MigrationModel migration() {
            return this;
        }

        @Override
        public boolean hasPreCopy() {
            return true;
        }

        @Override
        public SaveStream save() {
            return this;
        }

        @Override
        public ResumeStream resume() throws DeviceFailure {
            throw new DeviceFailure(Errno.EIO);
        }

        @Override
        public long stopCopySize() {
            return 1L << 33;
        }

        @Override
        public long read(MemorySegment buffer) {
            return 0;
        }

        @Override
        public Remaining remaining() {
            return new Remaining(1L << 32, 5, true);
        }

        @Override
        public void close() {
            // Both the device and its stream may end at any time.
        }
    }

    @ParameterizedTest
    @CsvSource({"6.1, false, false", "6.12, true, false", "7.2, true, true"})
    void whatAKernelTellsOfAMigrationDependsOnItsVersion(String kernel, boolean tellsSize, boolean secondVersion)
            throws IOException {
        var process = EmulatedKernel.builder(KernelProfile.of(kernel)).mediatedDevice(NAME, RestartedDevice::new)
                .build().newProcess();
        try (VfioContainer container = Vfio.using(process).openContainer();
                VfioDevice device = container.openMediatedDevice(NAME)) {
            MigrationFeature migration = device.migration().orElseThrow();
            assertThat(migration.dataSize()).isEqualTo(tellsSize ? OptionalLong.of(1L << 33) : OptionalLong.empty());
            if (kernel.equals("6.1")) {
                assertThat(migration.optInToPrecopyInfoV2()).isFalse();
                return; // Linux 6.1 has no pre-copy
            }
            try (MigrationData data = migration.setState(MigrationState.PRE_COPY).orElseThrow()) {
                assertThat(data.precopyInfo()).isEqualTo(new PrecopyInfo(1L << 32, 5, false));
                assertThat(migration.optInToPrecopyInfoV2()).isEqualTo(secondVersion);
                assertThat(data.precopyInfo()).isEqualTo(new PrecopyInfo(1L << 32, 5, secondVersion));
            }
        }
    }
}
