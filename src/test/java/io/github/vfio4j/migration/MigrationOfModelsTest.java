package io.github.vfio4j.migration;

import static io.github.vfio4j.feature.MigrationState.ERROR;
import static io.github.vfio4j.feature.MigrationState.RESUMING;
import static io.github.vfio4j.feature.MigrationState.RUNNING;
import static io.github.vfio4j.feature.MigrationState.STOP;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.migration.MigrationException.Outcome;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.channels.Channels;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** From one emulated kernel to another, with devices that fail at each of their steps. */
@ParameterizedClass(name = "{0}")
@MethodSource("profiles")
@SuppressWarnings("NullAway.Init") // JUnit injects it
class MigrationOfModelsTest {

    private static final UUID NAME = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final MigrationOptions PRECOPY = MigrationOptions.DEFAULT.withPrecopy(5, 0);

    @Parameter
    private KernelProfile profile;

    static List<KernelProfile> profiles() {
        return List.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2);
    }

    /** A kernel with one device, which is open. */
    private static final class Machine implements AutoCloseable {

        private final EmulatedProcess process;
        private final VfioContainer container;
        private final VfioDevice device;
        private final MigrationDriver driver;

        Machine(KernelProfile profile, DeviceModel model) throws VfioException {
            process = EmulatedKernel.builder(profile).mediatedDevice(NAME, () -> model).build().newProcess();
            container = Vfio.using(process).openContainer();
            device = container.openMediatedDevice(NAME);
            driver = MigrationDriver.of(device).orElseThrow();
        }

        MigrationState state() throws VfioException {
            return driver.feature().state();
        }

        @Override
        public void close() throws VfioException {
            assertThat(process.openDescriptors()).as("descriptors left open").isEqualTo(3 + 3);
            container.close();
            assertThat(process.openDescriptors()).isEqualTo(3);
        }
    }

    private static byte[] random(long seed) {
        byte[] bytes = new byte[FailingDevice.SIZE];
        new java.util.Random(seed).nextBytes(bytes);
        return bytes;
    }

    private static void migrate(Machine source, Machine destination) throws IOException {
        ByteArrayOutputStream stream = new ByteArrayOutputStream();
        source.driver.save(Channels.newChannel(stream), PRECOPY, MigrationListener.NONE);
        destination.driver.restore(Channels.newChannel(new ByteArrayInputStream(stream.toByteArray())));
        destination.driver.start();
    }

    /** A device that does not fail, to learn where one may. */
    private Set<String> places(boolean ofSource) throws IOException {
        FailingDevice source = new FailingDevice();
        FailingDevice destination = new FailingDevice();
        source.setContents(random(1));
        try (Machine here = new Machine(profile, source);
                Machine there = new Machine(KernelProfile.LINUX_7_2, destination)) {
            migrate(here, there);
            assertThat(here.state()).isEqualTo(STOP);
            assertThat(there.state()).isEqualTo(RUNNING);
            assertThat(destination.contents()).containsExactly(random(1));
            return ofSource ? source.places : destination.places;
        }
    }

    /** A failure to go on, once, at each place; and one of which the device does not recover by itself. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aSourceThatFailsRunsOnOrSaysThatItMustBeReset(boolean fatal) throws IOException {
        Set<String> places = places(true);
        assertThat(places).contains("RUNNING to PRE_COPY", "save", "remaining", "read", "PRE_COPY to PRE_COPY_P2P",
                "PRE_COPY_P2P to STOP_COPY", "read stopped", "STOP_COPY to STOP");
        for (String place : places) {
            FailingDevice source = new FailingDevice();
            FailingDevice destination = new FailingDevice();
            source.setContents(random(2));
            try (Machine here = new Machine(profile, source);
                    Machine there = new Machine(KernelProfile.LINUX_7_2, destination)) {
                source.failAt(place, fatal ? DeviceFailure.fatal(Errno.EIO) : new DeviceFailure(Errno.EIO));
                MigrationException failure = failureOf(here, there);
                assertThat(source.isArmed()).as(place).isFalse();
                assertThat(failure.getCause()).as(place).isInstanceOf(VfioException.class)
                        .matches(e -> ((VfioException) e).is(Errno.EIO));
                assertThat(failure.outcome()).as(place).isEqualTo(fatal ? Outcome.NEEDS_RESET : Outcome.ROLLED_BACK);
                assertThat(here.state()).as(place).isEqualTo(fatal ? ERROR : RUNNING);
                assertThat(failure.state()).as(place).contains(here.state());
                if (fatal) {
                    here.device.reset();
                }
                source.setContents(random(3));
                migrate(here, there);
                assertThat(destination.contents()).as("again after %s", place).containsExactly(random(3));
            }
        }
    }

    private static MigrationException failureOf(Machine source, Machine destination) {
        try {
            migrate(source, destination);
        } catch (MigrationException e) {
            return e;
        } catch (IOException e) {
            throw new AssertionError(e);
        }
        throw new AssertionError("the migration has succeeded");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aDestinationThatFailsIsResetAndTheSourceRunsOn(boolean fatal) throws IOException {
        Set<String> places = places(false);
        // To start is not part of the restore.
        places.removeAll(Set.of("STOP to RUNNING_P2P", "RUNNING_P2P to RUNNING"));
        assertThat(places).contains("RUNNING_P2P to STOP", "resume", "write", "finish");
        for (String place : places) {
            FailingDevice source = new FailingDevice();
            FailingDevice destination = new FailingDevice();
            source.setContents(random(4));
            destination.setContents(random(5));
            try (Machine here = new Machine(profile, source);
                    Machine there = new Machine(KernelProfile.LINUX_7_2, destination)) {
                destination.failAt(place, fatal ? DeviceFailure.fatal(Errno.EIO) : new DeviceFailure(Errno.EIO));
                MigrationException failure = failureOf(here, there);
                assertThat(failure.getCause()).as(place).matches(e -> ((VfioException) e).is(Errno.EIO));
                assertThat(failure.state()).as(place).contains(there.state());
                assertThat(there.state()).as(place).isIn(fatal ? Set.of(ERROR) : Set.of(RUNNING, RESUMING));
                assertThat(failure.outcome()).as(place)
                        .isEqualTo(there.state() == RUNNING ? Outcome.ROLLED_BACK : Outcome.NEEDS_RESET);
                here.driver.start();
                assertThat(here.state()).isEqualTo(RUNNING);
                there.device.reset();
                migrate(here, there);
                assertThat(destination.contents()).as("again after %s", place).containsExactly(random(4));
            }
        }
    }

    /** What there is no more of, for once. */
    @ParameterizedTest
    @ValueSource(strings = {"read", "read stopped", "write"})
    void aDeviceThatIsNotReadyIsWaitedFor(String place) throws IOException {
        FailingDevice source = new FailingDevice();
        FailingDevice destination = new FailingDevice();
        source.setContents(random(6));
        (place.equals("write") ? destination : source).failAt(place, new DeviceFailure(Errno.EAGAIN));
        try (Machine here = new Machine(profile, source);
                Machine there = new Machine(KernelProfile.LINUX_7_2, destination)) {
            migrate(here, there);
            assertThat(destination.contents()).containsExactly(random(6));
            assertThat(source.isArmed() || destination.isArmed()).isFalse();
        }
    }

    @Test
    void aStreamThatIsCutShortOrTooLongIsRefusedByTheDestination() throws IOException {
        for (int length : List.of(0, 1, FailingDevice.SIZE - 1, FailingDevice.SIZE + 1)) {
            FailingDevice destination = new FailingDevice();
            destination.setContents(random(7));
            try (Machine there = new Machine(profile, destination)) {
                byte[] stream = Arrays.copyOf(random(8), length);
                MigrationException failure = org.assertj.core.api.Assertions.catchThrowableOfType(
                        MigrationException.class,
                        () -> there.driver.restore(Channels.newChannel(new ByteArrayInputStream(stream)),
                                MigrationOptions.DEFAULT.withResetOnFailure(), MigrationListener.NONE));
                assertThat(failure.getCause()).matches(e -> ((VfioException) e).is(Errno.EINVAL));
                assertThat(failure.outcome()).isEqualTo(Outcome.RESET);
                assertThat(there.state()).isEqualTo(RUNNING);
                assertThat(destination.contents()).containsExactly(random(7));
            }
        }
    }
}
