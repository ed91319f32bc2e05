package io.github.vfio4j.examples;

import static io.github.vfio4j.examples.GibibyteDevice.PAGES;
import static io.github.vfio4j.examples.GibibyteDevice.RECORD_SIZE;
import static io.github.vfio4j.feature.MigrationState.ERROR;
import static io.github.vfio4j.feature.MigrationState.PRE_COPY;
import static io.github.vfio4j.feature.MigrationState.RESUMING;
import static io.github.vfio4j.feature.MigrationState.RUNNING;
import static io.github.vfio4j.feature.MigrationState.STOP;
import static io.github.vfio4j.feature.MigrationState.STOP_COPY;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.MigrationState;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** A program under test that migrates a device, and a {@linkplain GibibyteDevice device} to test it with. */
class GibibyteDeviceTest {

    private static final PciAddress ADDRESS = PciAddress.parse("0000:01:00.0");
    private static final int CHUNK = 1 << 20;
    private static final int GET_PRECOPY_INFO = 0x3b79;

    private final Arena arena = Arena.ofConfined();
    private final MemorySegment buffer = arena.allocate(CHUNK);

    /** A process that has the device open, on a kernel of its own. */
    private final class Machine implements AutoCloseable {

        private final EmulatedProcess process;
        private final VfioContainer container;
        private final VfioDevice device;

        Machine(KernelProfile kernel, GibibyteDevice model) throws VfioException {
            process = EmulatedKernel.builder(kernel)
                    .pciFunction(ADDRESS.toString(), function -> function.variantDriver("gibi-vfio-pci", () -> model))
                    .build().newProcess();
            container = Vfio.using(process).openContainer();
            device = container.openDevice(ADDRESS);
        }

        /** Goes to a state: the data descriptor if that brings one, −1 otherwise. */
        int go(MigrationState state) throws VfioException {
            FeatureRequest request = FeatureRequest.of(FeatureId.MIG_DEVICE_STATE).set().allocate(arena);
            request.payload().set(JAVA_INT, 0, state.value());
            device.execute(request);
            return request.payload().get(JAVA_INT, 4);
        }

        MigrationState state() throws VfioException {
            FeatureRequest request = FeatureRequest.of(FeatureId.MIG_DEVICE_STATE).get().allocate(arena);
            device.execute(request);
            return MigrationState.of(request.payload().get(JAVA_INT, 0)).orElseThrow();
        }

        /** How much there is left to send before the device has to stop. */
        long left(int fd) {
            MemorySegment info = arena.allocate(24, 8);
            info.set(JAVA_INT, 0, 24);
            assertThat(process.ioctl(fd, GET_PRECOPY_INFO, info)).isZero();
            return info.get(JAVA_LONG, 8) + info.get(JAVA_LONG, 16);
        }

        @Override
        public void close() throws VfioException {
            device.close();
            container.close();
            process.close();
        }
    }

    @AfterEach
    void freeMemory() {
        arena.close();
    }

    /** Moves one buffer full: how much that was, 0 at the end, or −errno of the read. */
    private long move(Machine from, int save, Machine to, int restore) {
        long read = from.process.read(save, buffer);
        if (read > 0) {
            assertThat(to.process.write(restore, buffer.asSlice(0, read))).isEqualTo(read);
        }
        return read;
    }

    @Test
    void aRunningDeviceMovesToAnotherKernel() throws VfioException {
        GibibyteDevice source = new GibibyteDevice();
        GibibyteDevice target = new GibibyteDevice();
        for (int page = 0; page < PAGES; page += 1000) {
            source.write(page);
        }
        try (Machine here = new Machine(KernelProfile.LINUX_6_12, source);
                Machine there = new Machine(KernelProfile.LINUX_7_2, target)) {
            int save = here.go(PRE_COPY);
            int restore = there.go(RESUMING);
            assertThat(here.left(save)).isEqualTo((long) PAGES * RECORD_SIZE);

            // The device goes on working meanwhile: in the first 100 rounds it writes to a page that has been sent.
            long moved = 0;
            long read;
            while ((read = move(here, save, there, restore)) > 0) {
                moved += read;
                if (moved <= 100L * CHUNK) {
                    source.write((int) (moved / CHUNK));
                }
            }
            assertThat(read).isEqualTo(-Errno.ENOMSG.code());
            assertThat(here.left(save)).isZero();
            for (int page = 10; page < 20; page++) {
                source.write(page);
            }
            assertThat(here.left(save)).isEqualTo(10 * RECORD_SIZE);

            // Little is left: now it stops.
            assertThat(here.go(STOP_COPY)).isEqualTo(-1);
            long last = move(here, save, there, restore);
            assertThat(last).isEqualTo(10 * RECORD_SIZE);
            assertThat(move(here, save, there, restore)).isZero();

            // 1 GiB, the pages that were sent once more, and the number of each.
            long again = 100 + 10;
            assertThat(moved + last).isEqualTo((1L << 30) + again * 4096 + (PAGES + again) * 8);

            assertThat(there.go(RUNNING)).isEqualTo(-1);
            assertThat(here.go(STOP)).isEqualTo(-1);
            assertThat(target.digest()).isEqualTo(source.digest()).isNotEqualTo(new GibibyteDevice().digest());
            target.write(7);
            here.process.close(save);
            there.process.close(restore);
        }
    }

    @Test
    void aRestoreOfHalfADeviceIsRefused() throws VfioException {
        try (Machine here = new Machine(KernelProfile.LINUX_7_2, new GibibyteDevice());
                Machine there = new Machine(KernelProfile.LINUX_7_2, new GibibyteDevice())) {
            move(here, here.go(STOP_COPY), there, there.go(RESUMING));
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> there.go(RUNNING))
                    .satisfies(refused -> assertThat(refused.errno()).contains(Errno.EINVAL));
            assertThat(there.state()).isEqualTo(RESUMING);
        }
    }

    @Test
    void aDamagedStreamLeavesTheDeviceInError() throws VfioException {
        try (Machine there = new Machine(KernelProfile.LINUX_7_2, new GibibyteDevice())) {
            int restore = there.go(RESUMING);
            assertThat(there.process.write(restore, buffer)).isEqualTo(-Errno.EIO.code());
            assertThat(there.state()).isEqualTo(ERROR);
            assertThat(there.process.write(restore, buffer)).isEqualTo(-Errno.ENODEV.code());
        }
    }

    /** A failure that happens once, at a place of the test's choosing: ordinary code in the model. */
    @Test
    void aDeviceThatFailsToStopGoesOnAndCanBeAskedAgain() throws VfioException {
        GibibyteDevice stubborn = new GibibyteDevice() {
            private int attempts;

            @Override
            public void step(MigrationState from, MigrationState to) throws DeviceFailure {
                if (to == STOP_COPY && ++attempts == 1) {
                    throw new DeviceFailure(Errno.EIO);
                }
                super.step(from, to);
            }
        };
        try (Machine here = new Machine(KernelProfile.LINUX_7_2, stubborn)) {
            int save = here.go(PRE_COPY);
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> here.go(STOP_COPY))
                    .satisfies(refused -> assertThat(refused.errno()).contains(Errno.EIO));
            assertThat(here.state()).isEqualTo(PRE_COPY);
            stubborn.write(1);
            assertThat(here.process.read(save, buffer)).isEqualTo(CHUNK);
            assertThat(here.go(STOP_COPY)).isEqualTo(-1);
        }
    }
}
