package io.github.vfio4j.emulation;

import static io.github.vfio4j.emulation.ModelledFunction.GET;
import static io.github.vfio4j.emulation.ModelledFunction.PROBE;
import static io.github.vfio4j.emulation.ModelledFunction.SET;
import static io.github.vfio4j.emulation.Program.PF;
import static io.github.vfio4j.emulation.Program.PLAIN;
import static io.github.vfio4j.emulation.Program.VF;
import static io.github.vfio4j.emulation.Program.answer;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.device.FeatureModel;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.feature.FeatureId;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Which features a device with a model has on which kernel, those it brings along, and its opening (semantics §A, §B.7). */
class ModelFeatureTest {

    private static final UUID MDEV = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    /** Everything there is. */
    private static final class Everything implements DeviceModel {

        @Override
        public MigrationModel migration() {
            return new ScriptedModel(7);
        }

        @Override
        public DmaLoggingModel dmaLogging() {
            return new DmaLoggingModel() {
                @Override
                public long start(List<Range> ranges, long pageSize) {
                    return pageSize;
                }

                @Override
                public void stop() {
                    // Nothing to see.
                }

                @Override
                public void report(long iova, long length, DirtyRanges dirty) {
                    // Nothing to see.
                }
            };
        }

        @Override
        public Map<FeatureId, FeatureModel> features() {
            return Map.of(FeatureId.of(13), FeatureModel.writeOnly(0, data -> {
            }), FeatureId.of(0xffff), FeatureModel.writeOnly(0, data -> {
            }));
        }
    }

    private static Stream<Arguments> probes() {
        // feature | variant driver: 5.7 | 6.1 | 6.12 | 7.2
        return Tables.byKernel("""
                0     | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                1     | ENOTTY | 0      | 0      | 0
                2     | ENOTTY | 0      | 0      | 0
                3     | ENOTTY | 0      | 0      | 0
                4     | ENOTTY | 0      | 0      | 0
                5     | ENOTTY | 0      | 0      | 0
                6     | ENOTTY | 0      | 0      | 0
                7     | ENOTTY | 0      | 0      | 0
                8     | ENOTTY | 0      | 0      | 0
                9     | ENOTTY | ENOTTY | 0      | 0
                10    | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                11    | ENOTTY | ENOTTY | ENOTTY | EOPNOTSUPP
                12    | ENOTTY | ENOTTY | ENOTTY | 0
                13    | ENOTTY | 0      | 0      | 0
                14    | ENOTTY | ENOTTY | ENOTTY | ENOTTY
                65535 | ENOTTY | 0      | 0      | 0""");
    }

    @ParameterizedTest(name = "{0}: feature {1} is {2}")
    @MethodSource("probes")
    void theFeaturesOfAVariantDriver(KernelProfile kernel, String feature, String answer) {
        try (ModelledFunction device = new ModelledFunction(kernel, new Everything())) {
            assertThat(device.send(PROBE | Integer.parseInt(feature), 0)).isEqualTo(answer);
        }
    }

    @ParameterizedTest(name = "{0}: feature {1}")
    @MethodSource("probes")
    void aMediatedDeviceHasThoseWithoutPci(KernelProfile kernel, String feature, String ofVariantDriver) {
        Program program = Program.on(EmulatedKernel.builder(kernel).mediatedDevice(MDEV, Everything::new));
        int device = mediatedDevice(program);
        int index = Integer.parseInt(feature);
        boolean vfioPci = index == 3 || index == 4 || index == 5 || index == 11;
        assertThat(answer(program.feature(device, PROBE | index, 8))).isEqualTo(vfioPci ? "ENOTTY" : ofVariantDriver);
        assertThat(answer(program.ioctl(device, 0x3b75)))
                .isEqualTo(kernel == KernelProfile.LINUX_5_7 ? "ENOTTY" : "EFAULT");
        program.close(device);
    }

    private static int mediatedDevice(Program program) {
        String link = program.link("/sys/bus/mdev/devices/" + MDEV + "/iommu_group");
        int group = Program.success(program.open("/dev/vfio" + link.substring(link.lastIndexOf('/'))));
        int container = program.container();
        Program.success(program.setContainer(group, container));
        Program.success(program.setIommu(container, Program.TYPE1V2));
        program.close(container);
        assertThat(answer(program.deviceFd(group, MDEV + " "))).as("its name is the whole text").isEqualTo("ENODEV");
        int device = Program.success(program.deviceFd(group, MDEV.toString()));
        program.close(group);
        return device;
    }

    @Test
    void aDeviceThatCanDoNothingHasWhatEveryDriverHas() {
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, new DeviceModel() {
        })) {
            assertThat(device.send(PROBE | 1, 0)).isEqualTo("ENOTTY");
            assertThat(device.send(PROBE | 6, 0)).isEqualTo("ENOTTY");
            assertThat(device.send(PROBE | 12, 0)).isEqualTo("EINVAL");
            assertThat(device.reset()).isEqualTo("0");
        }
    }

    @Test
    void withoutDmaBufInTheKernelFeature11IsUnknown() {
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2.withoutDmaBuf(),
                new Everything())) {
            assertThat(device.send(PROBE | 11, 0)).isEqualTo("ENOTTY");
        }
    }

    /** Notes the data it gets and fills in its own. */
    private static final class Register {

        private int value = 7;
        private long size;

        private void get(MemorySegment data) {
            size = data.byteSize();
            data.set(JAVA_INT_UNALIGNED, 0, value);
        }

        private void set(MemorySegment data) throws DeviceFailure {
            size = data.byteSize();
            int wanted = data.get(JAVA_INT_UNALIGNED, 0);
            if (wanted < 0) {
                throw new DeviceFailure(Errno.ERANGE);
            }
            value = wanted;
        }
    }

    private static DeviceModel with(int index, FeatureModel feature) {
        return new DeviceModel() {
            @Override
            public Map<FeatureId, FeatureModel> features() {
                return Map.of(FeatureId.of(index), feature);
            }
        };
    }

    private static Stream<Arguments> operations() {
        // supported | P | PG | PS | PGS | none | GET | GET of too little | SET | SET of too little
        return Tables.rows("""
                SET    | 0 | EINVAL | 0      | EINVAL | EINVAL | EINVAL | EINVAL | 0      | EINVAL
                GET    | 0 | 0      | EINVAL | EINVAL | EINVAL | 0      | EINVAL | EINVAL | EINVAL
                GETSET | 0 | 0      | 0      | 0      | EINVAL | 0      | EINVAL | 0      | EINVAL""")
                .map(row -> Arguments.of(row.getFirst(), row.subList(1, row.size())));
    }

    @ParameterizedTest
    @MethodSource("operations")
    void theKernelChecksOperationsAndSize(String supported, List<String> answers) {
        Register register = new Register();
        FeatureModel feature = switch (supported) {
            case "SET" -> FeatureModel.writeOnly(4, register::set);
            case "GET" -> FeatureModel.readOnly(4, register::get);
            default -> FeatureModel.readWrite(4, register::get, register::set);
        };
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_6_1, with(500, feature))) {
            List<String> actual = new ArrayList<>();
            for (int operation : new int[]{PROBE, PROBE | GET, PROBE | SET, PROBE | GET | SET, 0}) {
                actual.add(device.send(500 | operation, 0));
            }
            for (int operation : new int[]{GET, SET}) {
                actual.add(device.send(500 | operation, 4));
                actual.add(device.send(500 | operation, 3));
            }
            assertThat(actual).isEqualTo(answers);
        }
    }

    @Test
    void theModelWorksOnTheCallersMemory() {
        Register register = new Register();
        DeviceModel model = with(0x1234, FeatureModel.readWrite(4, register::get, register::set));
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            MemorySegment request = device.request(0x1234 | GET, 20);
            assertThat(device.send(request)).isEqualTo("0");
            assertThat(request.get(JAVA_INT_UNALIGNED, 8)).isEqualTo(7);
            assertThat(register.size).isEqualTo(20);

            request = device.request(0x1234 | SET, 20);
            request.set(JAVA_INT_UNALIGNED, 8, 99);
            assertThat(device.send(request.asSlice(0, 12))).as("claimed, but not mapped").isEqualTo("0");
            assertThat(register.size).isEqualTo(4);
            assertThat(register.value).isEqualTo(99);
            assertThat(device.send(request.asSlice(0, 11))).isEqualTo("EFAULT");
            request.set(JAVA_INT_UNALIGNED, 0, 16);
            assertThat(device.send(request)).isEqualTo("0");
            assertThat(register.size).as("mapped, but not claimed").isEqualTo(8);

            request.set(JAVA_INT_UNALIGNED, 8, -1);
            assertThat(device.send(request)).isEqualTo("ERANGE");
            assertThat(register.value).isEqualTo(99);
        }
    }

    @Test
    void theModelsFeatureCountsBeforeThatOfVfioPci() {
        DeviceModel model = with(3, FeatureModel.readOnly(0, data -> {
        }));
        try (ModelledFunction device = new ModelledFunction(KernelProfile.LINUX_7_2, model)) {
            assertThat(device.send(3 | SET, 0)).isEqualTo("EINVAL");
            assertThat(device.send(3 | GET, 0)).isEqualTo("0");
            assertThat(device.send(5 | SET, 0)).isEqualTo("0");
        }
    }

    @ParameterizedTest
    @CsvSource({"7.2, 12", "7.2, 1", "6.12, 9"})
    void aFeatureOfTheCoreIsNotForModels(String kernel, int index) {
        DeviceModel model = with(index, FeatureModel.writeOnly(0, data -> {
        }));
        EmulatedKernel.Builder machine = EmulatedKernel.builder(KernelProfile.of(kernel)).mediatedDevice(MDEV,
                () -> model);
        assertThatIllegalArgumentException().isThrownBy(machine::build).withMessageContaining("Linux " + kernel)
                .withMessageContaining("begin at 13");
    }

    @Test
    void whatCannotBeIsRefusedAtOnce() {
        assertThatIllegalArgumentException().isThrownBy(() -> new FeatureModel(0, null, null));
        assertThatIllegalArgumentException().isThrownBy(() -> FeatureModel.readOnly(-1, data -> {
        }));
        assertThatIllegalArgumentException().isThrownBy(() -> new DeviceFailure(new Errno(0)));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> new PciFunctionSpec().variantDriver("vfio-pci", Everything::new))
                .withMessageContaining("name");
        assertThatIllegalArgumentException().isThrownBy(() -> DeviceFailure.fatal(new Errno(4096)));
    }

    @Test
    void aDeviceThatDoesNotOpenLeavesNothingBehind() {
        for (KernelProfile kernel : KernelProfile.all()) {
            List<String> calls = new ArrayList<>();
            DeviceModel model = new DeviceModel() {
                @Override
                public void open() throws DeviceFailure {
                    calls.add("open");
                    if (calls.size() == 1) {
                        throw new DeviceFailure(Errno.EAGAIN);
                    }
                }

                @Override
                public void close() {
                    calls.add("close");
                }
            };
            Program program = Program.on(EmulatedKernel.builder(kernel).pciFunction(PLAIN,
                    function -> function.variantDriver("model-vfio-pci", () -> model)));
            int group = program.readyGroup(PLAIN);
            int open = program.process().openDescriptors();
            assertThat(answer(program.deviceFd(group, PLAIN))).isEqualTo("EAGAIN");
            assertThat(program.process().openDescriptors()).isEqualTo(open);
            program.close(Program.success(program.deviceFd(group, PLAIN)));
            assertThat(calls).containsExactly("open", "open", "close");
            program.close(group);
            program.close(program.group(PLAIN));
        }
    }

    @Test
    void aDefectOfTheModelLeavesNothingBehind() {
        DeviceModel model = new DeviceModel() {
            private int openings;

            @Override
            public void open() {
                if (++openings == 1) {
                    throw new IllegalStateException("a defect");
                }
            }
        };
        Program program = Program.on(EmulatedKernel.builder(KernelProfile.LINUX_7_2).pciFunction(PLAIN,
                function -> function.variantDriver("model-vfio-pci", () -> model)));
        int group = program.readyGroup(PLAIN);
        int open = program.process().openDescriptors();
        assertThatIllegalStateException().isThrownBy(() -> program.deviceFd(group, PLAIN)).withMessage("a defect");
        assertThat(program.process().openDescriptors()).isEqualTo(open);
        program.close(Program.success(program.deviceFd(group, PLAIN)));
        program.close(group);
        program.close(program.group(PLAIN));
    }

    @Test
    void onlyTheFirstOpeningAndTheLastClosingReachTheModel() {
        List<String> calls = new ArrayList<>();
        DeviceModel model = new DeviceModel() {
            @Override
            public void open() {
                calls.add("open");
            }

            @Override
            public void close() {
                calls.add("close");
            }
        };
        Program program = Program.on(EmulatedKernel.builder(KernelProfile.LINUX_7_2).pciFunction(PLAIN,
                function -> function.variantDriver("model-vfio-pci", () -> model)));
        int group = program.readyGroup(PLAIN);
        int first = Program.success(program.deviceFd(group, PLAIN));
        int second = Program.success(program.deviceFd(group, PLAIN));
        program.close(first);
        assertThat(calls).containsExactly("open");
        program.close(second);
        assertThat(calls).containsExactly("open", "close");
    }

    @Test
    void virtualFunctionsGetTheDriverAndADeviceEach() {
        List<DeviceModel> made = new ArrayList<>();
        EmulatedKernel.Builder machine = EmulatedKernel.builder(KernelProfile.LINUX_7_2).pciFunction(PF,
                function -> function.sriov(2).variantDriver("model-vfio-pci", () -> {
                    made.add(new ScriptedModel(1));
                    return made.getLast();
                }));
        Program program = Program.on(machine);
        assertThat(made).hasSize(1);
        program.createVirtualFunctions(2);
        assertThat(made).hasSize(3).doesNotHaveDuplicates();
        assertThat(program.link("/sys/bus/pci/devices/" + VF + "/driver")).endsWith("/model-vfio-pci");

        // The token rules are those of vfio-pci.
        int group = program.readyGroup(VF);
        assertThat(answer(program.deviceFd(group, VF))).isEqualTo("EACCES");
        int pf = program.device(PF);
        assertThat(answer(program.setToken(pf, Program.TOKEN))).isEqualTo("0");
        int vf = Program.success(program.deviceFd(group, VF + " vf_token=" + Program.TOKEN));
        assertThat(answer(program.feature(vf, PROBE | 1, 8))).isEqualTo("0");
        assertThat(answer(program.feature(vf, PROBE, 8))).isEqualTo("ENOTTY");

        Program.on(machine);
        assertThat(made).as("another kernel has devices of its own").hasSize(4);
    }
}
