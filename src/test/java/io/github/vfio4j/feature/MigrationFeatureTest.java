package io.github.vfio4j.feature;

import static io.github.vfio4j.feature.MigrationState.ERROR;
import static io.github.vfio4j.feature.MigrationState.PRE_COPY;
import static io.github.vfio4j.feature.MigrationState.PRE_COPY_P2P;
import static io.github.vfio4j.feature.MigrationState.RESUMING;
import static io.github.vfio4j.feature.MigrationState.RUNNING;
import static io.github.vfio4j.feature.MigrationState.RUNNING_P2P;
import static io.github.vfio4j.feature.MigrationState.STOP;
import static io.github.vfio4j.feature.MigrationState.STOP_COPY;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.uapi.vfio_h;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NonReadableChannelException;
import java.nio.channels.NonWritableChannelException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Migration through the public API: mtty on the kernels on which it migrates (semantics §B.8), and others that can't. */
class MigrationFeatureTest {

    /** The header that mtty's streams begin with, without the number of ports (semantics §B.8). */
    private static final String MAGIC_AND_VERSION = "4e2c3e8c89099d7e" + "01000000" + "00000000";

    /** A fresh port: all zero but the FIFO's size at 33. */
    private static final String FRESH_PORT = "00".repeat(33) + "10" + "0000";

    private static byte[] freshStream(int ports) {
        return HexFormat.of()
                .parseHex(MAGIC_AND_VERSION + "0" + ports + "000000" + "00000000" + FRESH_PORT.repeat(ports));
    }

    @Nested
    @ParameterizedClass(name = "{0}")
    @MethodSource("io.github.vfio4j.feature.MigrationFeatureTest#migratingKernels")
    class OfMtty {

        @Parameter
        @SuppressWarnings("NullAway.Init") // JUnit injects it
        private KernelProfile profile;

        private MigrationFeature migration(MttyMachine machine) throws VfioException {
            return machine.device().migration().orElseThrow();
        }

        @Test
        void tellsWhatItIsCapableOf() throws VfioException {
            try (MttyMachine machine = new MttyMachine(profile, 1)) {
                MigrationFeature migration = migration(machine);
                assertThat(migration.flags()).isEqualTo(7);
                assertThat(migration.states()).isEqualTo(EnumSet.complementOf(EnumSet.of(ERROR)));
                assertThat(migration.state()).isEqualTo(RUNNING);
                assertThat(migration.dataSize()).hasValue(60);
                assertThat(migration.optInToPrecopyInfoV2()).isEqualTo(profile == KernelProfile.LINUX_7_2);
            }
        }

        /** Row RUNNING of the table of outcomes in semantics §B.8, and GET afterwards. */
        @ParameterizedTest
        @EnumSource(names = "ERROR", mode = EnumSource.Mode.EXCLUDE)
        void goesToAStateAndHandsTheDataDescriptorOver(MigrationState state) throws VfioException {
            Set<MigrationState> withData = EnumSet.of(STOP_COPY, RESUMING, PRE_COPY, PRE_COPY_P2P);
            try (MttyMachine machine = new MttyMachine(profile, 1)) {
                MigrationFeature migration = migration(machine);
                var data = migration.setState(state);
                assertThat(data.isPresent()).isEqualTo(withData.contains(state));
                assertThat(migration.state()).isEqualTo(state);
                if (data.isPresent()) {
                    assertThat(machine.leaked()).isEqualTo(1);
                    data.get().close();
                    data.get().close();
                    assertThat(data.get().isOpen()).isFalse();
                }
                assertThat(migration.setState(state)).as("there already").isEmpty();
            }
        }

        /** Native memory, and arrays of which one is larger than what is copied at once. */
        @ParameterizedTest
        @ValueSource(ints = {1, 2})
        void theStreamIsThatOfMttyByteForByte(int ports) throws IOException {
            byte[] expected = freshStream(ports);
            List<ByteBuffer> targets = List.of(ByteBuffer.allocate(7), ByteBuffer.allocate(1 << 20),
                    ByteBuffer.allocateDirect(7), ByteBuffer.allocateDirect(1 << 20),
                    ByteBuffer.allocate(100).position(40).slice());
            for (ByteBuffer target : targets) {
                try (MttyMachine machine = new MttyMachine(profile, ports);
                        MigrationData data = migration(machine).setState(STOP_COPY).orElseThrow()) {
                    assertThat(readAll(data, target)).containsExactly(expected);
                }
            }
        }

        private byte[] readAll(MigrationData data, ByteBuffer target) throws IOException {
            var stream = new java.io.ByteArrayOutputStream();
            target.clear();
            while (data.read(target) >= 0) {
                target.flip();
                byte[] part = new byte[target.remaining()];
                target.get(part);
                stream.writeBytes(part);
                target.clear();
            }
            return stream.toByteArray();
        }

        @Test
        void aStreamIsReadInSegments() throws IOException {
            try (MttyMachine machine = new MttyMachine(profile, 1); Arena arena = Arena.ofConfined()) {
                MigrationFeature migration = migration(machine);
                try (MigrationData data = migration.setState(PRE_COPY).orElseThrow()) {
                    MemorySegment memory = arena.allocate(100);
                    assertThat(data.precopyInfo()).isEqualTo(new PrecopyInfo(24, 0, false));
                    assertThat(data.read(memory.asSlice(0, 10))).isEqualTo(10);
                    assertThat(data.precopyInfo()).isEqualTo(new PrecopyInfo(14, 0, false));
                    assertThat(data.read(MemorySegment.ofArray(new byte[5]))).isEqualTo(5);
                    assertThat(data.read(memory)).isEqualTo(9);
                    assertThat(data.read(memory)).as("an end, though a temporary one").isEqualTo(MigrationData.END);
                    assertThat(migration.setState(STOP_COPY)).as("the same descriptor goes on").isEmpty();
                    assertThat(data.read(memory)).isEqualTo(36);
                    assertThat(memory.get(ValueLayout.JAVA_BYTE, 33)).isEqualTo((byte) 16);
                    assertThat(data.read(memory)).isEqualTo(MigrationData.END);
                    assertThat(data.read(memory.asSlice(0, 0))).as("no room, no end").isZero();
                    assertThatExceptionOfType(VfioException.class).isThrownBy(data::precopyInfo)
                            .matches(e -> e.is(Errno.EINVAL)).withMessageContaining("PRE_COPY_P2P");
                }
            }
        }

        @Test
        void whatWasSavedIsRestored() throws IOException {
            byte[] stream = freshStream(2);
            stream[24 + 3] = 0x5a; // a register of the first port
            try (MttyMachine machine = new MttyMachine(profile, 2)) {
                MigrationFeature migration = migration(machine);
                try (MigrationData data = migration.setState(RESUMING).orElseThrow()) {
                    assertThat(data.write(ByteBuffer.wrap(stream, 0, 10))).isEqualTo(10);
                    ByteBuffer direct = ByteBuffer.allocateDirect(40).put(stream, 10, 40).flip();
                    assertThat(data.write(direct)).isEqualTo(40);
                    assertThat(direct.hasRemaining()).isFalse();
                    assertThatExceptionOfType(VfioException.class).isThrownBy(() -> migration.setState(STOP))
                            .matches(e -> e.is(Errno.EINVAL));
                    assertThat(migration.state()).as("incomplete").isEqualTo(RESUMING);
                    assertThat(data.write(MemorySegment.ofArray(stream).asSlice(50))).isEqualTo(46);
                    assertThat(data.write(ByteBuffer.allocate(0))).isZero();
                    migration.setState(STOP);
                }
                try (MigrationData data = migration.setState(STOP_COPY).orElseThrow()) {
                    assertThat(readAll(data, ByteBuffer.allocate(200))).containsExactly(stream);
                }
            }
        }

        @Test
        void dataOfAnotherKindAreRefused() throws IOException {
            try (MttyMachine machine = new MttyMachine(profile, 1);
                    MigrationData data = migration(machine).setState(RESUMING).orElseThrow()) {
                assertThatExceptionOfType(VfioException.class)
                        .isThrownBy(() -> data.write(ByteBuffer.wrap(freshStream(2)))).matches(e -> e.is(Errno.ENOMEM))
                        .withMessageContaining("does not take these data");
                assertThatExceptionOfType(VfioException.class).isThrownBy(() -> data.write(ByteBuffer.allocate(24)))
                        .matches(e -> e.is(Errno.EFAULT)).withMessageContaining("does not take these data");
                machine.device().reset();
                assertThat(migration(machine).state()).isEqualTo(RUNNING);
                assertThatExceptionOfType(VfioException.class).isThrownBy(() -> data.write(ByteBuffer.allocate(24)))
                        .matches(e -> e.is(Errno.ENODEV)).withMessageContaining("session is over");
            }
        }

        @Test
        void aDirectionIsKept() throws IOException {
            try (MttyMachine machine = new MttyMachine(profile, 1)) {
                MigrationFeature migration = migration(machine);
                MigrationData saving = migration.setState(STOP_COPY).orElseThrow();
                assertThatExceptionOfType(NonWritableChannelException.class)
                        .isThrownBy(() -> saving.write(ByteBuffer.allocate(1)));
                for (ByteBuffer target : List.of(ByteBuffer.allocate(8), ByteBuffer.allocateDirect(8))) {
                    assertThatIllegalArgumentException().isThrownBy(() -> saving.read(target.asReadOnlyBuffer()));
                }
                MigrationData restoring = migration.setState(RESUMING).orElseThrow();
                assertThatExceptionOfType(NonReadableChannelException.class)
                        .isThrownBy(() -> restoring.read(ByteBuffer.allocate(1)));
                assertThatExceptionOfType(VfioException.class).isThrownBy(restoring::precopyInfo)
                        .matches(e -> e.is(Errno.ENOTTY));
                saving.close();
                restoring.close();
                assertThatExceptionOfType(ClosedChannelException.class)
                        .isThrownBy(() -> saving.read(ByteBuffer.allocate(1)));
                assertThatExceptionOfType(ClosedChannelException.class)
                        .isThrownBy(() -> restoring.write(ByteBuffer.allocate(1)));
                assertThatExceptionOfType(ClosedChannelException.class).isThrownBy(saving::precopyInfo);
            }
        }

        @Test
        void aWayThatIsBlockedIsRefusedByTheKernel() throws VfioException {
            try (MttyMachine machine = new MttyMachine(profile, 1)) {
                MigrationFeature migration = migration(machine);
                migration.setState(STOP_COPY).orElseThrow().close();
                assertThatExceptionOfType(VfioException.class).isThrownBy(() -> migration.setState(PRE_COPY))
                        .matches(e -> e.is(Errno.EINVAL));
                assertThat(migration.state()).isEqualTo(STOP_COPY);
            }
        }
    }

    static List<KernelProfile> migratingKernels() {
        return List.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2);
    }

    /** Answers feature 1 with other flags, and reads of the data descriptor as told; counts the changes of state. */
    private static final class Front extends ForwardingBackend {

        private static final int SET_STATE = 2 | 1 << 17;
        private static final int GET_FLAGS = 1 | 1 << 16;

        private final int flags;
        private final Deque<Integer> reads = new ArrayDeque<>();
        private int changes;

        Front(IoctlBackend next, int flags) {
            super(next);
            this.flags = flags;
        }

        @Override
        public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            int result = super.ioctl(fd, request, argument, pointees);
            if (request == vfio_h.VFIO_DEVICE_FEATURE()) {
                int header = argument.get(ValueLayout.JAVA_INT, 4);
                if (header == GET_FLAGS) {
                    argument.set(ValueLayout.JAVA_LONG, 8, flags);
                }
                changes += header == SET_STATE ? 1 : 0;
            }
            return result;
        }

        @Override
        public long read(int fd, MemorySegment buffer) {
            return reads.isEmpty() ? super.read(fd, buffer) : reads.remove();
        }

        @Override
        public long write(int fd, MemorySegment buffer) {
            return reads.isEmpty() ? super.write(fd, buffer) : reads.remove();
        }
    }

    static Stream<Arguments> flags() {
        return Stream.of(Arguments.of(1, Set.of(STOP, RUNNING, STOP_COPY, RESUMING)),
                Arguments.of(3, Set.of(STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P)),
                Arguments.of(5, Set.of(STOP, RUNNING, STOP_COPY, RESUMING, PRE_COPY)),
                Arguments.of(0x107, Set.of(STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P)));
    }

    /** The flags a state needs are those of semantics §B.2.5. */
    @ParameterizedTest
    @MethodSource("flags")
    void aStateThatTheDeviceCanNotHaveIsRefusedBeforeAnyCall(int flags, Set<MigrationState> states)
            throws VfioException {
        Front[] front = new Front[1];
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 1,
                process -> front[0] = new Front(process, flags))) {
            MigrationFeature migration = machine.device().migration().orElseThrow();
            assertThat(migration.flags()).isEqualTo(flags);
            assertThat(migration.states()).isEqualTo(states);
            for (MigrationState state : EnumSet.complementOf(EnumSet.copyOf(states))) {
                assertThatIllegalArgumentException().isThrownBy(() -> migration.setState(state))
                        .withMessageContaining(state.name());
            }
            assertThat(front[0].changes).isZero();
        }
    }

    @Test
    void theTemporaryEndAndNothingYetAreNoErrors() throws IOException {
        Front[] front = new Front[1];
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 1,
                process -> front[0] = new Front(process, 7));
                MigrationData data = machine.device().migration().orElseThrow().setState(STOP_COPY).orElseThrow();
                Arena arena = Arena.ofConfined()) {
            MemorySegment memory = arena.allocate(8);
            int noMessage = -Errno.ENOMSG.code();
            int again = -Errno.EAGAIN.code();
            front[0].reads.addAll(List.of(noMessage, noMessage, again, again, -Errno.EIO.code()));
            assertThat(data.read(memory)).isEqualTo(MigrationData.TEMPORARY_END);
            assertThat(data.read(ByteBuffer.allocate(8))).isEqualTo(-1);
            assertThat(data.read(memory)).isZero();
            assertThat(data.read(ByteBuffer.allocate(8))).isZero();
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> data.read(memory))
                    .matches(e -> e.is(Errno.EIO)).withMessageContaining("read migration data");
            assertThat(data.read(memory)).isEqualTo(8);
        }
    }

    @Test
    void aDataDescriptorBeyondTheLimitIsRefusedAndTheDeviceTellsWhereItIs() throws VfioException {
        var kernel = EmulatedKernel.builder(KernelProfile.LINUX_7_2).mtty(MttyMachine.NAME, 1).descriptorLimit(6)
                .build();
        try (VfioContainer container = Vfio.using(kernel.newProcess()).openContainer();
                VfioDevice device = container.openMediatedDevice(MttyMachine.NAME)) {
            MigrationFeature migration = device.migration().orElseThrow();
            assertThatExceptionOfType(VfioException.class).isThrownBy(() -> migration.setState(STOP_COPY))
                    .matches(e -> e.is(Errno.EMFILE)).withMessageContaining("ulimit");
            assertThat(migration.state()).isEqualTo(STOP_COPY);
            migration.setState(RUNNING);
        }
    }

    static List<KernelProfile> kernels() {
        return KernelProfile.all();
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void aDeviceWithoutMigrationSaysSo(KernelProfile profile) throws VfioException {
        var process = EmulatedKernel.builder(profile)
                .pciFunction("0000:01:00.0", function -> function.sriov(1).memoryBar(0, 16384))
                .mtty(MttyMachine.NAME, 1).build().newProcess();
        try (VfioContainer container = Vfio.using(process).openContainer();
                VfioDevice function = container.openDevice(PciAddress.parse("0000:01:00.0"));
                VfioDevice mtty = container.openMediatedDevice(MttyMachine.NAME)) {
            boolean migrates = migratingKernels().contains(profile);
            assertThat(function.migration()).isEmpty();
            assertThat(function.dmaLogging()).isEmpty();
            assertThat(function.busMaster()).isEmpty();
            assertThat(function.dmaBuf().isPresent()).isEqualTo(profile == KernelProfile.LINUX_7_2);
            assertThat(function.lowPower().isPresent()).isEqualTo(profile != KernelProfile.LINUX_5_7);
            assertThat(mtty.migration().isPresent()).isEqualTo(migrates);
            assertThat(mtty.dmaLogging().isPresent()).isEqualTo(migrates);
            assertThat(mtty.lowPower()).isEmpty();
            assertThat(mtty.dmaBuf()).isEmpty();
            assertThat(mtty.busMaster()).isEmpty();
        }
    }

    @Test
    void aDataDescriptorMayHaveAnyNumber() throws IOException {
        var process = EmulatedKernel.builder(KernelProfile.LINUX_7_2).mtty(MttyMachine.NAME, 1).build().newProcess();
        try (VfioContainer container = Vfio.using(process).openContainer();
                VfioDevice device = container.openMediatedDevice(MttyMachine.NAME)) {
            assertThat(process.close(0)).as("standard input").isZero();
            try (MigrationData data = device.migration().orElseThrow().setState(STOP_COPY).orElseThrow()) {
                assertThat(data.isOpen()).isTrue();
                assertThat(data.read(ByteBuffer.allocate(100))).isEqualTo(60);
            }
        }
    }

    @Test
    void aReadAndAWriteTellHowMuchTheyMoved() throws IOException {
        Front[] front = new Front[1];
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 1,
                process -> front[0] = new Front(process, 7))) {
            MigrationFeature migration = machine.device().migration().orElseThrow();
            try (MigrationData saving = migration.setState(STOP_COPY).orElseThrow()) {
                ByteBuffer target = ByteBuffer.allocate(100).position(1);
                assertThat(saving.read(target)).isEqualTo(60);
                assertThat(target.position()).isEqualTo(61);
            }
            try (MigrationData restoring = migration.setState(RESUMING).orElseThrow()) {
                front[0].reads.add(0);
                assertThat(restoring.write(ByteBuffer.allocate(24))).as("the device took nothing").isZero();
            }
        }
    }

    @Test
    void aStateThatIsNotKnownIsNoState() throws VfioException {
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 1,
                process -> new ForwardingBackend(process) {
                    @Override
                    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                        int result = super.ioctl(fd, request, argument, pointees);
                        if (request == vfio_h.VFIO_DEVICE_FEATURE()
                                && argument.get(ValueLayout.JAVA_INT, 4) == (2 | 1 << 16)) {
                            argument.set(ValueLayout.JAVA_INT, 8, 8);
                        }
                        return result;
                    }
                })) {
            MigrationFeature migration = machine.device().migration().orElseThrow();
            assertThatExceptionOfType(VfioException.class).isThrownBy(migration::state)
                    .withMessageContaining("GET MIG_DEVICE_STATE").withMessageContaining("state 8");
        }
    }

    @Test
    void itsTextIsWhoseItIsAndItsStates() throws VfioException {
        try (MttyMachine machine = new MttyMachine(KernelProfile.LINUX_7_2, 1)) {
            assertThat(machine.device().migration().orElseThrow()).hasToString("migration of device " + MttyMachine.NAME
                    + " [STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P]");
        }
    }
}
