package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.ModelledFunction.GET;
import static io.github.vfio4j.emulation.ModelledFunction.SET;
import static io.github.vfio4j.emulation.ScriptedModel.STATES;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.emulation.device.ResumeStream;
import io.github.vfio4j.emulation.device.SaveStream;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The migration of a device with a model, through the ioctls (semantics §B.2, §C). */
class ModelMigrationTest {

    private static final List<KernelProfile> WITH_PRE_COPY = List.of(KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2);

    /**
     * What a change of state executes. S STOP, R RUNNING, C STOP_COPY, E RESUMING, P RUNNING_P2P, A PRE_COPY, B PRE_COPY_P2P;
     * {@code .} nothing, {@code -} blocked.
     */
    private static final String STOP_COPY_WALKS = """
            from S   R    C    E
            S    .   R    C    E
            R    S   .    SC   SE
            C    S   SR   .    SE
            E    S   SR   SC   .
            """;

    private static final String P2P_WALKS = """
            from S   R    C    E    P
            S    .   PR   C    E    P
            R    PS  .    PSC  PSE  P
            C    S   SPR  .    SE   SP
            E    S   SPR  SC   .    SP
            P    S   R    SC   SE   .
            """;

    private static final String PRE_COPY_WALKS = """
            from S   R    C    E    A
            S    .   R    C    E    RA
            R    S   .    SC   SE   A
            C    S   SR   .    SE   -
            E    S   SR   SC   .    SRA
            A    RS  R    C    RSE  .
            """;

    private static final String ALL_WALKS = """
            from S   R    C    E    P    A    B
            S    .   PR   C    E    P    PRA  PB
            R    PS  .    PSC  PSE  P    A    PB
            C    S   SPR  .    SE   SP   -    -
            E    S   SPR  SC   .    SP   SPRA SPB
            P    S   R    SC   SE   .    RA   B
            A    RPS R    BC   RPSE RP   .    B
            B    PS  PR   C    PSE  P    A    .
            """;

    private static int number(char state) {
        return STATES.indexOf(state);
    }

    private static Stream<Arguments> walks() {
        List<Arguments> walks = new ArrayList<>();
        add(walks, List.of(KernelProfile.LINUX_6_1, KernelProfile.LINUX_7_2), 1, STOP_COPY_WALKS);
        add(walks, List.of(KernelProfile.LINUX_6_1, KernelProfile.LINUX_7_2), 3, P2P_WALKS);
        add(walks, WITH_PRE_COPY, 5, PRE_COPY_WALKS);
        add(walks, WITH_PRE_COPY, 7, ALL_WALKS);
        return walks.stream();
    }

    private static void add(List<Arguments> walks, List<KernelProfile> kernels, int flags, String table) {
        List<List<String>> rows = table.lines().map(row -> List.of(row.split(" +"))).toList();
        for (KernelProfile kernel : kernels) {
            for (List<String> row : rows.subList(1, rows.size())) {
                for (int to = 1; to < row.size(); to++) {
                    walks.add(Arguments.of(kernel, flags, row.getFirst().charAt(0), rows.getFirst().get(to).charAt(0),
                            row.get(to)));
                }
            }
        }
    }

    @ParameterizedTest(name = "{0}, flags {1}: from {2} to {3} by {4}")
    @MethodSource("walks")
    void everyChangeOfStateTakesTheStepsOfTheTable(KernelProfile kernel, int flags, char from, char to, String walk) {
        ScriptedModel model = new ScriptedModel(flags);
        try (ModelledFunction device = new ModelledFunction(kernel, model)) {
            assertThat(device.set(number(from))).isIn("0", "fd");
            model.takeLog();
            boolean blocked = walk.equals("-");
            assertThat(device.set(number(to))).isEqualTo(blocked ? "EINVAL" : bringsDescriptor(from, to) ? "fd" : "0");
            assertThat(model.takeLog()).isEqualTo(walk.replaceAll("[.-]", ""));
            assertThat(device.state()).isEqualTo(number(blocked ? from : to));
        }
    }

    /** A transfer begins; it goes on from one saving state to another. */
    private static boolean bringsDescriptor(char from, char to) {
        return from != to && (to == 'E' || ("CAB".indexOf(to) >= 0 && "CAB".indexOf(from) < 0));
    }

    @ParameterizedTest
    // flags, size of the data, bytes of it that are mapped | answer
    @CsvSource({"0x40002, 0, 0, 0", "0x70002, 0, 0, 0", "0x10002, 7, 8, EINVAL", "0x20002, 7, 8, EINVAL",
            "0x10002, 7, 0, EINVAL", "0x10002, 8, 7, EFAULT", "0x20002, 8, 7, EFAULT", "0x20002, 8, 0, EFAULT",
            "2, 8, 8, EINVAL"})
    void theStateIsCheckedBeforeTheDevice(String flags, int dataSize, int mapped, String answer) {
        ScriptedModel model = new ScriptedModel(7);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            MemorySegment request = device.memory(8L + mapped);
            request.set(JAVA_INT, 0, 8 + dataSize);
            request.set(JAVA_INT, 4, Integer.decode(flags));
            assertThat(device.send(request)).isEqualTo(answer);
            assertThat(model.takeLog()).isEmpty();
        }
    }

    @Test
    void theDataDescriptorCanBeTheFirst() {
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, new ScriptedModel(1))) {
            device.program().close(0);
            MemorySegment request = device.request(2 | SET, 8);
            request.set(JAVA_INT, 8, number('C'));
            request.set(JAVA_INT, 12, 1234);
            assertThat(device.send(request)).isEqualTo("0");
            assertThat(request.get(JAVA_INT, 12)).isZero();
        }
    }

    private static Stream<Arguments> stepsOfWalks() {
        return walks().map(Arguments::get).filter(walk -> walk[0] == KernelProfile.LINUX_7_2)
                .flatMap(walk -> ((String) walk[4]).chars().filter(step -> ".-".indexOf(step) < 0)
                        .mapToObj(step -> Arguments.of(walk[1], walk[2], walk[3], walk[4], (char) step)));
    }

    @ParameterizedTest(name = "flags {0}: from {1} to {2} by {3}, where {4} fails")
    @MethodSource("stepsOfWalks")
    void theStepsBeforeAFailedOneStayDone(int flags, char from, char to, String walk, char failing) {
        ScriptedModel model = new ScriptedModel(flags);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            device.set(number(from));
            model.takeLog();
            model.failing(Character.toString(failing), Errno.EIO);
            assertThat(device.set(number(to))).isEqualTo("EIO");
            String done = walk.substring(0, walk.indexOf(failing));
            assertThat(model.takeLog()).isEqualTo(done);
            assertThat(device.state()).isEqualTo(number(done.isEmpty() ? from : done.charAt(done.length() - 1)));
            model.failNoMore();
            assertThat(device.set(number(to))).isEqualTo(bringsDescriptor(from, to) ? "fd" : "0");
        }
    }

    @ParameterizedTest
    @CsvSource({"1, '0 5 6 7 8 -1'", "3, '0 6 7 8'", "5, '0 5 7 8'", "7, '0 8 -2147483648'"})
    void statesTheDeviceDoesNotHaveAreRefused(int flags, String states) {
        ScriptedModel model = new ScriptedModel(flags);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            for (String state : states.split(" ", -1)) {
                assertThat(device.set(Integer.parseInt(state))).as(state).isEqualTo("EINVAL");
            }
            assertThat(model.takeLog()).isEmpty();
            assertThat(device.state()).isEqualTo(2);
        }
    }

    @ParameterizedTest
    @CsvSource({"6.1, 7, 3", "6.1, 5, 1", "6.12, 7, 7", "7.2, 5, 5", "7.2, 1, 1"})
    void feature1TellsWhatTheKernelKnowsOf(String kernel, int flags, long told) {
        try (ModelledFunction device = new ModelledFunction(KernelProfile.of(kernel), new ScriptedModel(flags))) {
            MemorySegment request = device.request(1 | GET, 8);
            assertThat(device.send(request)).isEqualTo("0");
            assertThat(request.get(JAVA_LONG, 8)).isEqualTo(told);
            assertThat(device.set(number('A'))).isEqualTo((told & 4) != 0 ? "fd" : "EINVAL");
        }
    }

    @ParameterizedTest
    @CsvSource({"6.1, ENOTTY, ENOTTY", "6.12, 0, EAGAIN", "7.2, 0, EAGAIN"})
    void feature9IsTheModels(String kernel, String answer, String failure) {
        ScriptedModel model = new ScriptedModel(1);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.of(kernel), model)) {
            MemorySegment request = device.request(9 | GET, 8);
            assertThat(device.send(request)).isEqualTo(answer);
            assertThat(request.get(JAVA_LONG, 8)).isEqualTo(answer.equals("0") ? 0x1_0000_0001L : 0);
            model.failing("size", Errno.EAGAIN);
            assertThat(device.send(request)).isEqualTo(failure);
            assertThat(device.send(request.asSlice(0, 15))).isEqualTo(failure);
            model.failNoMore();
            assertThat(device.send(request.asSlice(0, 15))).isEqualTo(answer.equals("0") ? "EFAULT" : "ENOTTY");
        }
    }

    @ParameterizedTest
    @CsvSource({"save, A, R", "save, C, S", "resume, E, S"})
    void aTransferThatDoesNotBeginIsAStepThatFailed(String failing, char to, char state) {
        ScriptedModel model = new ScriptedModel(5).failing(failing, Errno.ENOMEM);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            assertThat(device.set(number(to))).isEqualTo("ENOMEM");
            assertThat(device.state()).isEqualTo(number(state));
            model.failNoMore();
            assertThat(device.set(number(to))).isEqualTo("fd");
        }
    }

    @Test
    void aRestoreThatIsNotAcceptedCanBeContinued() {
        ScriptedModel model = new ScriptedModel(1).failing("finish", Errno.EINVAL);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            device.set(number('E'));
            assertThat(device.write(device.dataFd(), 5)).isEqualTo("5");
            assertThat(device.set(number('R'))).isEqualTo("EINVAL");
            assertThat(device.state()).isEqualTo(number('E'));
            assertThat(device.write(device.dataFd(), 5)).as("as much as it takes").isEqualTo("3");
            model.failNoMore();
            assertThat(device.set(number('R'))).isEqualTo("0");
            assertThat(device.write(device.dataFd(), 5)).isEqualTo("ENODEV");
            assertThat(requireNonNull(model.stream).closings).isEqualTo(1);
        }
    }

    @Test
    void aDescriptorThatDoesNotFitTheTableLeavesTheStateChanged() {
        ScriptedModel model = new ScriptedModel(5);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            device.program().useUpDescriptors();
            int inUse = device.program().process().openDescriptors();
            assertThat(device.set(number('A'))).isEqualTo("EMFILE");
            assertThat(device.state()).isEqualTo(number('A'));
            device.program().close(inUse - 1);
            // The transfer is under way, though nobody can reach it.
            assertThat(device.set(number('C'))).isEqualTo("0");
            assertThat(requireNonNull(model.stream).closings).isZero();
            assertThat(device.set(number('S'))).isEqualTo("0");
            assertThat(requireNonNull(model.stream).closings).isEqualTo(1);
            assertThat(device.program().process().openDescriptors()).isEqualTo(inUse - 1);
        }
    }

    /** How a transfer can end. */
    enum End {
        STATE_CHANGE, RESET, CLOSING, FATAL_FAILURE
    }

    @ParameterizedTest
    @EnumSource
    void aTransferThatHasEndedIsEnodevInEitherDirection(End end) {
        for (char state : new char[]{'C', 'A', 'E'}) {
            ScriptedModel model = new ScriptedModel(7);
            try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
                device.set(number(state));
                int fd = device.dataFd();
                switch (end) {
                    case STATE_CHANGE -> assertThat(device.set(number('P'))).isEqualTo("0");
                    case RESET -> assertThat(device.reset()).isEqualTo("0");
                    case CLOSING -> device.reopen();
                    case FATAL_FAILURE -> {
                        model.failing("check", DeviceFailure.fatal(Errno.EIO));
                        assertThat(device.state()).isZero();
                    }
                }
                assertThat(state == 'E' ? device.write(fd, 1) : device.read(fd, 1)).isEqualTo("ENODEV");
                assertThat(requireNonNull(model.stream).closings).isEqualTo(1);
                device.program().close(fd);
                if (end == End.RESET || end == End.CLOSING) {
                    assertThat(device.state()).isEqualTo(number('R'));
                }
            }
            assertThat(requireNonNull(model.stream).closings).isEqualTo(1);
        }
    }

    @Test
    void dataDescriptorsGoOneWayAndHaveNoPosition() {
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, new ScriptedModel(1))) {
            device.set(number('C'));
            int save = device.dataFd();
            assertThat(device.write(save, 1)).isEqualTo("EBADF");
            assertThat(Program.answer(device.program().process().pread(save, device.memory(1), 0))).isEqualTo("ESPIPE");
            assertThat(device.read(save, 3)).isEqualTo("3");
            assertThat(device.read(save, 30)).isEqualTo("5");
            assertThat(device.read(save, 30)).isEqualTo("0");
            device.set(number('E'));
            int restore = device.dataFd();
            assertThat(device.read(restore, 1)).isEqualTo("EBADF");
            assertThat(Program.answer(device.program().process().pwrite(restore, device.memory(1), 0)))
                    .isEqualTo("ESPIPE");
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"EAGAIN", "EIO", "ENODEV"})
    void whatAStreamFailsWithIsTheAnswer(String name) throws ReflectiveOperationException {
        Errno errno = (Errno) Errno.class.getField(name).get(null);
        ScriptedModel model = new ScriptedModel(5).failing("read", errno).failing("write", errno);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            device.set(number('A'));
            assertThat(device.read(device.dataFd(), 1)).isEqualTo(name);
            device.set(number('E'));
            assertThat(device.write(device.dataFd(), 1)).isEqualTo(name);
            assertThat(device.state()).isEqualTo(number('E'));
        }
    }

    @ParameterizedTest
    @CsvSource({"S, R", "read, A", "write, E", "finish, E", "save, R", "resume, R", "size, R"})
    void onlyResetAndReopeningLeadOutOfError(String failing, char state) {
        for (boolean reset : new boolean[]{true, false}) {
            ScriptedModel model = new ScriptedModel(7);
            try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
                device.set(number(state));
                model.failing(failing, DeviceFailure.fatal(Errno.EIO));
                String answer = switch (failing) {
                    case "read" -> device.read(device.dataFd(), 1);
                    case "write" -> device.write(device.dataFd(), 1);
                    case "resume" -> device.set(number('E'));
                    case "size" -> device.send(9 | GET, 8);
                    case "save" -> device.set(number('C'));
                    default -> device.set(number('S'));
                };
                assertThat(answer).isEqualTo("EIO");
                model.failNoMore();
                assertThat(device.state()).isZero();
                for (char to : "SRCEPAB".toCharArray()) {
                    assertThat(device.set(number(to))).isEqualTo("EINVAL");
                }
                assertThat(device.set(0)).as("the present state is not looked at").isEqualTo("0");
                model.failing("reset", Errno.EIO);
                assertThat(device.reset()).isEqualTo("EIO");
                assertThat(device.state()).isZero();
                model.failNoMore();
                if (reset) {
                    assertThat(device.reset()).isEqualTo("0");
                } else {
                    device.reopen();
                }
                assertThat(device.state()).isEqualTo(number('R'));
                assertThat(device.set(number('C'))).isEqualTo("fd");
            }
        }
    }

    @Test
    void aDeviceThatCannotTellItsStateFailsTheRequest() {
        ScriptedModel model = new ScriptedModel(1).failing("check", Errno.EBUSY);
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            MemorySegment request = device.request(2 | GET, 8);
            request.set(JAVA_INT, 12, 1234);
            assertThat(device.send(request)).isEqualTo("EBUSY");
            assertThat(request.get(JAVA_INT, 12)).as("nothing is written").isEqualTo(1234);
            assertThat(device.set(number('S'))).isEqualTo("EBUSY");
            model.failNoMore();
            assertThat(device.state()).isEqualTo(number('R'));
        }
    }

    private static List<KernelProfile> kernelsWithPreCopy() {
        return WITH_PRE_COPY;
    }

    @ParameterizedTest
    @MethodSource("kernelsWithPreCopy")
    void preCopyInformationIsCheckedInOrder(KernelProfile kernel) {
        ScriptedModel model = new ScriptedModel(7);
        try (ModelledFunction device = new ModelledFunction(kernel, model)) {
            device.set(number('A'));
            int fd = device.dataFd();
            MemorySegment info = device.memory(24);
            info.set(JAVA_INT, 0, 23);
            assertThat(Program.answer(device.program().process().ioctl(fd, 0x3b75, info))).isEqualTo("ENOTTY");
            assertThat(device.precopyInfo(fd, info.asSlice(0, 23))).isEqualTo("EFAULT");
            assertThat(device.precopyInfo(fd, info)).isEqualTo("EINVAL");
            info.set(JAVA_INT, 0, -1);
            assertThat(device.precopyInfo(fd, info)).isEqualTo("0");
            device.set(number('B'));
            assertThat(device.precopyInfo(fd, info)).isEqualTo("0");
            model.failing("remaining", Errno.EIO);
            assertThat(device.precopyInfo(fd, info)).isEqualTo("EIO");
            // Another transfer: the state is right, but the descriptor's own has ended.
            device.set(number('R'));
            assertThat(device.precopyInfo(fd, info)).isEqualTo("EINVAL");
            device.set(number('A'));
            assertThat(device.precopyInfo(fd, info)).isEqualTo("ENODEV");
            device.set(number('C'));
            assertThat(device.precopyInfo(device.dataFd(), info)).isEqualTo("EINVAL");
        }
    }

    @ParameterizedTest
    @MethodSource("kernelsWithPreCopy")
    void preCopyInformationHasFlagsForThoseWhoOptedIn(KernelProfile kernel) {
        try (ModelledFunction device = new ModelledFunction(kernel, new ScriptedModel(5))) {
            boolean version2 = kernel == KernelProfile.LINUX_7_2;
            device.set(number('A'));
            assertThat(device.read(device.dataFd(), 5)).isEqualTo("5");
            assertThat(flagsOfPrecopyInfo(device)).isEqualTo(0xdead);
            assertThat(device.send(12 | SET, 0)).isEqualTo(version2 ? "0" : "ENOTTY");
            assertThat(flagsOfPrecopyInfo(device)).isEqualTo(version2 ? 1 : 0xdead);
            assertThat(device.reset()).isEqualTo("0");
            device.set(number('A'));
            device.read(device.dataFd(), 5);
            assertThat(flagsOfPrecopyInfo(device)).as("a reset is no closing").isEqualTo(version2 ? 1 : 0xdead);
            device.reopen();
            device.set(number('A'));
            device.read(device.dataFd(), 5);
            assertThat(flagsOfPrecopyInfo(device)).isEqualTo(0xdead);
        }
    }

    private static int flagsOfPrecopyInfo(ModelledFunction device) {
        MemorySegment info = device.memory(24);
        info.set(JAVA_INT, 0, 24);
        info.set(JAVA_INT, 4, 0xdead);
        assertThat(device.precopyInfo(device.dataFd(), info)).isEqualTo("0");
        assertThat(info.get(JAVA_INT, 0)).isEqualTo(24);
        assertThat(info.get(JAVA_LONG, 8)).isEqualTo(3);
        assertThat(info.get(JAVA_LONG, 16)).isEqualTo(0x2_0000_0002L);
        return info.get(JAVA_INT, 4);
    }

    @Test
    void withoutPreCopyThereIsNoInformation() {
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, new ScriptedModel(3))) {
            device.set(number('C'));
            assertThat(device.precopyInfo(device.dataFd(), device.memory(24))).isEqualTo("ENOTTY");
            assertThat(device.send(12 | SET, 0)).isEqualTo("EINVAL");
        }
    }

    /** A device whose save has nothing to give, and whose reader waits for that to change. */
    private static final class WaitingModel implements DeviceModel, MigrationModel {

        private boolean someoneWaits;
        private boolean closed;

        @Override
        public MigrationModel migration() {
            return this;
        }

        @Override
        public SaveStream save() {
            return new SaveStream() {
                @Override
                public long read(MemorySegment buffer) throws DeviceFailure {
                    someoneWaits = true;
                    WaitingModel.this.notifyAll();
                    waitUntilClosed();
                    return 1;
                }

                @Override
                public void close() {
                    closed = true;
                    WaitingModel.this.notifyAll();
                }
            };
        }

        private synchronized void waitUntilClosed() throws DeviceFailure {
            while (!closed) {
                try {
                    wait();
                } catch (InterruptedException e) {
                    throw new DeviceFailure(Errno.EINTR);
                }
            }
        }

        synchronized void awaitReader() throws InterruptedException {
            while (!someoneWaits) {
                wait();
            }
        }

        @Override
        public ResumeStream resume() throws DeviceFailure {
            throw new DeviceFailure(Errno.EOPNOTSUPP);
        }

        @Override
        public long stopCopySize() {
            return 1;
        }
    }

    @Test
    void aReaderThatWaitsHoldsNobodyUpAndIsWokenByTheEnd() throws Exception {
        WaitingModel model = new WaitingModel();
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            device.set(number('C'));
            int fd = device.dataFd();
            CompletableFuture<String> reader = CompletableFuture.supplyAsync(() -> device.read(fd, 1));
            model.awaitReader();
            assertThat(device.state()).isEqualTo(number('C'));
            assertThat(device.set(number('S'))).isEqualTo("0");
            assertThat(reader.get()).as("whatever the model returned").isEqualTo("ENODEV");
        }
    }

    @Test
    void aStreamThatMovesMoreThanThereIsIsADefectOfTheModel() {
        ScriptedModel model = new ScriptedModel(1) {
            @Override
            public SaveStream save() {
                return buffer -> buffer.byteSize() + 1;
            }
        };
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            device.set(number('C'));
            assertThatIllegalStateException().isThrownBy(() -> device.read(device.dataFd(), 4))
                    .withMessageContaining("5 bytes of 4");
            assertThat(device.state()).isEqualTo(number('C'));
        }
    }

    /** Without it, pre-copy would be asked for something that nobody knows. */
    @Test
    void aDeviceWithPreCopyHasToSayHowMuchIsLeft() {
        SaveStream silent = buffer -> 0;
        assertThatExceptionOfType(UnsupportedOperationException.class).isThrownBy(silent::remaining)
                .withMessageContaining("needs the method remaining()");
    }
}
