package io.github.vfio4j.examples;

import static io.github.vfio4j.examples.GibibyteDevice.PAGES;
import static io.github.vfio4j.examples.GibibyteDevice.RECORD_SIZE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.migration.MigrationException;
import io.github.vfio4j.migration.MigrationException.Outcome;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.PrecopyInfo;
import io.github.vfio4j.migration.MigrationDriver;
import io.github.vfio4j.migration.MigrationListener;
import io.github.vfio4j.migration.MigrationOptions;
import io.github.vfio4j.migration.SaveSummary;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.Pipe;
import java.nio.channels.WritableByteChannel;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** How to migrate a device that works meanwhile: by the driver, through a pipe, from one kernel to another. */
class GibibyteMigrationTest {

    private static final PciAddress ADDRESS = PciAddress.parse("0000:01:00.0");
    private static final int DIRTIED = 100;
    private static final int DIRTIED_AT_LAST = 10;

    private static EmulatedProcess machine(KernelProfile profile, GibibyteDevice model) {
        return EmulatedKernel.builder(profile)
                .pciFunction(ADDRESS.toString(), function -> function.variantDriver("gibi-vfio-pci", () -> model))
                .build().newProcess();
    }

    /** The device works meanwhile: it writes to pages that have been sent, and to some just before it is stopped. */
    private record Working(GibibyteDevice device) implements MigrationListener {

        @Override
        public void transferred(long total) {
            if (total <= (long) DIRTIED << 20) {
                device.write(Math.max(1, (int) (total >> 20)));
            }
        }

        @Override
        public void roundEnded(int round, PrecopyInfo left) {
            for (int page = 0; left.remainingBytes() == 0 && page < DIRTIED_AT_LAST; page++) {
                device.write(page);
            }
        }
    }

    private static long restore(VfioDevice device, Pipe.SourceChannel channel) {
        try (channel) {
            MigrationDriver destination = MigrationDriver.of(device).orElseThrow();
            long bytes = destination.restore(channel);
            destination.start();
            return bytes;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void aWorkingDeviceMovesToAnotherKernel() throws Exception {
        GibibyteDevice source = new GibibyteDevice();
        GibibyteDevice target = new GibibyteDevice();
        Pipe pipe = Pipe.open();
        try (EmulatedProcess here = machine(KernelProfile.LINUX_6_12, source);
                EmulatedProcess there = machine(KernelProfile.LINUX_7_2, target)) {
            SaveSummary saved;
            long restored;
            try (VfioContainer from = Vfio.using(here).openContainer();
                    VfioContainer to = Vfio.using(there).openContainer();
                    VfioDevice device = from.openDevice(ADDRESS);
                    VfioDevice successor = to.openDevice(ADDRESS)) {
                CompletableFuture<Long> destination = CompletableFuture
                        .supplyAsync(() -> restore(successor, pipe.source()));
                saved = save(device, source, pipe.sink());
                restored = destination.get();
                target.write(7);
                source.reset();
                source.write(7);
            }
            assertThat(target.digest()).isEqualTo(source.digest()).isNotEqualTo(new GibibyteDevice().digest());
            assertThat(saved.precopyRounds()).isEqualTo(2);
            assertThat(saved.precopyBytes()).isEqualTo((long) (PAGES + DIRTIED) * RECORD_SIZE);
            assertThat(saved.bytes()).isEqualTo(saved.precopyBytes() + DIRTIED_AT_LAST * RECORD_SIZE)
                    .isEqualTo(restored);
            assertThat(here.openDescriptors()).isEqualTo(3);
            assertThat(there.openDescriptors()).isEqualTo(3);
        }
    }

    /** A device like that, of which a step fails once: for good, or so that only a reset helps. */
    private static final class Failing extends GibibyteDevice {

        private final MigrationState from;
        private final MigrationState to;
        private @Nullable DeviceFailure failure;

        Failing(MigrationState from, MigrationState to, DeviceFailure failure) {
            this.from = from;
            this.to = to;
            this.failure = failure;
        }

        @Override
        public void step(MigrationState before, MigrationState after) throws DeviceFailure {
            DeviceFailure now = failure;
            if (now != null && before == from && after == to) {
                failure = null;
                throw now;
            }
            super.step(before, after);
        }
    }

    @ParameterizedTest
    @CsvSource({"RUNNING, PRE_COPY, false", "RUNNING, PRE_COPY, true", "PRE_COPY, STOP_COPY, false",
            "PRE_COPY, STOP_COPY, true", "STOP_COPY, STOP, false", "STOP_COPY, STOP, true"})
    void aSourceOfWhichAStepFailsRunsOnOrIsReset(MigrationState from, MigrationState to, boolean fatal)
            throws Exception {
        GibibyteDevice source = new Failing(from, to,
                fatal ? DeviceFailure.fatal(Errno.EIO) : new DeviceFailure(Errno.EIO));
        try (EmulatedProcess here = machine(KernelProfile.LINUX_7_2, source)) {
            try (VfioContainer container = Vfio.using(here).openContainer();
                    VfioDevice device = container.openDevice(ADDRESS);
                    WritableByteChannel nowhere = Channels.newChannel(OutputStream.nullOutputStream())) {
                MigrationDriver driver = MigrationDriver.of(device).orElseThrow();
                assertThatExceptionOfType(MigrationException.class).isThrownBy(() -> driver.save(nowhere,
                        MigrationOptions.DEFAULT.withPrecopy(10, 0).withResetOnFailure(), MigrationListener.NONE))
                        .satisfies(e -> assertThat(e.outcome()).isEqualTo(fatal ? Outcome.RESET : Outcome.ROLLED_BACK));
                assertThat(device.migration().orElseThrow().state()).isEqualTo(MigrationState.RUNNING);
                // Which a stopped device does not do.
                source.write(1);
            }
            assertThat(here.openDescriptors()).isEqualTo(3);
        }
    }

    private static SaveSummary save(VfioDevice device, GibibyteDevice model, Pipe.SinkChannel channel)
            throws IOException, VfioException {
        try (channel) {
            return MigrationDriver.of(device).orElseThrow().save(channel, MigrationOptions.DEFAULT.withPrecopy(10, 0),
                    new Working(model));
        }
    }
}
