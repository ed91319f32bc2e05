package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.cli.explain.Explanation;
import io.github.vfio4j.cli.explain.Operations;
import io.github.vfio4j.conformance.Subject.Kind;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.DmaLoggingModel;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.emulation.device.ResumeStream;
import io.github.vfio4j.emulation.device.SaveStream;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.MigrationState;
import io.github.vfio4j.trace.Environment;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Test;

/**
 * Whatever a kernel refuses can be explained, and what is explained can be refused: {@code vfio4j explain} and the kernels,
 * real and emulated, say the same.
 */
class ExplainedRefusalsTest {

    private static final String PF = "0000:01:00.0";
    private static final String PLAIN = "0000:02:00.0";
    private static final String VARIANT = "0000:03:00.0";
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");
    private static final UUID MDPY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1003");

    private static final int[] INDICES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0xffff};
    private static final int[] ARGSZ = {0, 7, 8, 9, 12, 16, 23, 24, 32, 40, 64, -1};
    private static final int[] UNKNOWN_FLAGS = {0, 1 << 19};

    /**
     * Nothing; too many ranges to log; a report beyond the last address; a DMA-buf beyond it; the last state there is, bus
     * mastering as it is not.
     */
    private static final long[][] DATA = {{}, {4096, 300}, {-4096, 8192, 4096}, {0, 1L << 32, -4096, 4096}, {7}};
    private static final int OPERATIONS = 8;
    private static final int PROBE = 4;

    /** A line of a transcript: a feature request to a device that was refused; its flags, and its result. */
    private static final Pattern REFUSAL = Pattern.compile("\"fd\":\"device[0-9]+\",\"request\":\"0x3b75\",\"arg\":"
            + "\"[0-9a-f]{8}([0-9a-f]{8})[0-9a-f]*\".*\"result\":(-[0-9]+)");

    /** What a kernel answered: a version, a feature, operations (GET 1, SET 2, PROBE 4), and an error. */
    private record Refusal(String kernel, int feature, int operations, Errno errno) implements Comparable<Refusal> {

        static Refusal of(KernelProfile kernel, int flags, int result) {
            return new Refusal(kernel.version(), flags & 0xffff, flags >>> 16 & 7, Errno.ofResult(result));
        }

        Operations asked() {
            return new Operations((operations & PROBE) != 0, (operations & 1) != 0, (operations & 2) != 0);
        }

        private Explanation explanation() {
            return Explanation.of(errno, FeatureId.of(feature), asked());
        }

        /** Whether there is a cause on this kernel; one that may be anything counts only where the driver may say anything. */
        boolean isExplained(boolean byModel) {
            return explanation().causes().stream().filter(cause -> byModel || !cause.isOfDriver())
                    .anyMatch(this::isHere);
        }

        private boolean isHere(Explanation.Cause cause) {
            return cause.kernels().contains(KernelProfile.of(kernel));
        }

        /** How many the kernel itself has. */
        long causes() {
            return explanation().causes().stream().filter(cause -> !cause.isOfDriver()).filter(this::isHere).count();
        }

        @Override
        public int compareTo(Refusal other) {
            return toString().compareTo(other.toString());
        }
    }

    private final Set<Refusal> seen = new TreeSet<>();
    private final Set<Refusal> unexplained = new TreeSet<>();

    private void note(Refusal refusal, boolean byModel) {
        if (seen.add(refusal) && !refusal.isExplained(byModel)) {
            unexplained.add(refusal);
        }
    }

    /** Looks at what devices answer. */
    private final class Listener extends ForwardingBackend {

        private final EmulatedProcess process;
        private final boolean byModel;

        Listener(EmulatedProcess process, boolean byModel) {
            super(process);
            this.process = process;
            this.byModel = byModel;
        }

        @Override
        public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            boolean device = process.openFiles().getOrDefault(fd, "").startsWith("device ");
            int flags = argument.byteSize() < 8 ? 0 : argument.get(ValueLayout.JAVA_INT_UNALIGNED, 4);
            int result = super.ioctl(fd, request, argument, pointees);
            if (device && (int) request == VFIO_DEVICE_FEATURE() && result < 0 && argument.byteSize() >= 8) {
                note(Refusal.of(process.kernel().profile(), flags, result), byModel);
            }
            return result;
        }
    }

    /** A device that can do everything, and fails everything that it is asked for. */
    private static final class FailingModel implements DeviceModel, MigrationModel, DmaLoggingModel {

        @Override
        public MigrationModel migration() {
            return this;
        }

        @Override
        public DmaLoggingModel dmaLogging() {
            return this;
        }

        private static DeviceFailure failure() {
            return new DeviceFailure(Errno.EBUSY);
        }

        @Override
        public void step(MigrationState from, MigrationState to) throws DeviceFailure {
            throw failure();
        }

        @Override
        public void check() throws DeviceFailure {
            throw failure();
        }

        @Override
        public SaveStream save() throws DeviceFailure {
            throw failure();
        }

        @Override
        public ResumeStream resume() throws DeviceFailure {
            throw failure();
        }

        @Override
        public long stopCopySize() throws DeviceFailure {
            throw failure();
        }

        @Override
        public long start(List<Range> ranges, long pageSize) throws DeviceFailure {
            throw failure();
        }

        @Override
        public void stop() throws DeviceFailure {
            throw failure();
        }

        @Override
        public void report(long iova, long length, DirtyRanges dirty) throws DeviceFailure {
            throw failure();
        }
    }

    /** The kernels, and what else they may have been built with or without. */
    private static List<KernelProfile> kernels() {
        return KernelProfile.all().stream()
                .flatMap(kernel -> Stream.of(kernel, kernel.withIommufdDriver(), kernel.withoutDmaBuf())).toList();
    }

    private void sweep(VfioDevice device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(64);
            MemorySegment header = argument.asSlice(0, 8);
            for (int index : INDICES) {
                for (int operations = 0; operations < OPERATIONS; operations++) {
                    for (int unknown : UNKNOWN_FLAGS) {
                        for (int argsz : ARGSZ) {
                            int flags = index | operations << 16 | unknown;
                            device.executeRaw(FeatureRequest.raw(fill(header, argsz, flags, DATA[0])));
                            for (long[] data : DATA) {
                                device.executeRaw(FeatureRequest.raw(fill(argument, argsz, flags, data)));
                            }
                        }
                    }
                }
            }
        }
    }

    private static MemorySegment fill(MemorySegment argument, int argsz, int flags, long[] data) {
        argument.fill((byte) 0).set(ValueLayout.JAVA_INT, 0, argsz);
        argument.set(ValueLayout.JAVA_INT, 4, flags);
        for (int i = 0; i < data.length; i++) {
            argument.setAtIndex(ValueLayout.JAVA_LONG, i + 1, data[i]);
        }
        return argument;
    }

    private void sweepEmulatedKernels() throws VfioException {
        for (KernelProfile kernel : kernels()) {
            EmulatedKernel machine = EmulatedKernel.builder(kernel)
                    .pciFunction(PF, function -> function.sriov(2).memoryBar(0, 16384))
                    .pciFunction(PLAIN, function -> function.memoryBar(0, 4096))
                    .pciFunction(VARIANT, function -> function.variantDriver("model-vfio-pci", FailingModel::new))
                    .mtty(MTTY, 1).mdpy(MDPY).build();
            for (String function : List.of(PF, PLAIN, VARIANT)) {
                Vfio vfio = Vfio.using(new Listener(machine.newProcess(), function.equals(VARIANT)));
                try (VfioContainer container = vfio.openContainer();
                        VfioDevice device = container.openDevice(PciAddress.parse(function))) {
                    sweep(device);
                }
            }
            for (UUID name : List.of(MTTY, MDPY)) {
                try (VfioContainer container = Vfio.using(new Listener(machine.newProcess(), false)).openContainer();
                        VfioDevice device = container.openMediatedDevice(name)) {
                    sweep(device);
                }
            }
            sweepCdxDevice(kernel);
        }
    }

    /** Whose bus controller can't switch bus mastering, or fails. */
    private void sweepCdxDevice(KernelProfile kernel) throws VfioException {
        boolean[] opened = {false};
        EmulatedKernel machine = EmulatedKernel.builder(kernel).cdxDevice("cdx-00:00", () -> enabled -> {
            if (opened[0]) {
                throw new DeviceFailure(Errno.EOPNOTSUPP);
            }
        }).build();
        try (VfioContainer container = Vfio.using(new Listener(machine.newProcess(), false)).openContainer();
                VfioDevice device = container.openGroup(0).openDevice("cdx-00:00")) {
            opened[0] = true;
            sweep(device);
            opened[0] = false;
        }
    }

    /** The random programs of the kernel lane, whose calls are mostly right. */
    private void runPrograms() throws IOException {
        for (KernelProfile kernel : KernelProfile.all()) {
            for (boolean iommufdDriver : new boolean[]{false, true}) {
                Environment environment = Environment.parse("{\"transcript\":1,\"kernel\":\"" + kernel.version()
                        + "\",\"options\":{\"iommufdDriver\":" + iommufdDriver
                        + "},\"devices\":[{\"kind\":\"pci\",\"name\":\"" + PF
                        + "\",\"group\":4,\"sriov\":{\"totalVfs\":2},\"bars\":[{\"index\":0,\"size\":16384,\"kind\":\"memory\"}]},"
                        + "{\"kind\":\"pci\",\"name\":\"" + PLAIN
                        + "\",\"group\":5,\"bars\":[{\"index\":0,\"size\":1048576,\"kind\":\"memory\"}]},"
                        + "{\"kind\":\"mtty\",\"name\":\"" + MTTY
                        + "\",\"group\":9,\"ports\":1},{\"kind\":\"mdpy\",\"name\":\"" + MDPY + "\",\"group\":11}]}");
                List<Subject> machine = List.of(new Subject(Kind.PHYSICAL_FUNCTION, PF),
                        new Subject(Kind.VIRTUAL_FUNCTION, PF, 0), new Subject(Kind.PLAIN_FUNCTION, PLAIN),
                        new Subject(Kind.MTTY, MTTY.toString(), 1), new Subject(Kind.MDPY, MDPY.toString()));
                assertThat(new DifferentialPrograms(environment, environment.boot().newProcess(), environment.boot(),
                        process -> new Listener(process, false), machine, new PrintWriter(Writer.nullWriter()))
                        .run(5_000, 20260101)).isZero();
            }
        }
    }

    @Test
    void whateverAnEmulatedKernelRefusesIsExplained() throws IOException {
        sweepEmulatedKernels();
        runPrograms();
        assertThat(unexplained).isEmpty();
        assertThat(seen).hasSizeGreaterThan(500);
        // For want of memory and descriptors, and of devices with DMA logging on 6.1 but for one that fails all of it.
        assertThat(neverSeen()).containsExactlyInAnyOrder("6.1 SET of MIG_DEVICE_STATE EMFILE",
                "6.12 SET of MIG_DEVICE_STATE EMFILE", "7.2 SET of MIG_DEVICE_STATE EMFILE",
                "6.1 SET of DMA_LOGGING_START ENOMEM", "6.12 SET of DMA_LOGGING_START ENOMEM",
                "7.2 SET of DMA_LOGGING_START ENOMEM", "6.1 SET of DMA_LOGGING_START EOVERFLOW",
                "6.1 GET of DMA_LOGGING_REPORT ENOMEM", "6.12 GET of DMA_LOGGING_REPORT ENOMEM",
                "7.2 GET of DMA_LOGGING_REPORT ENOMEM", "7.2 GET of DMA_BUF EMFILE");
    }

    /** What can be explained, but was not seen; of the header's memory and of a device that is not woken nothing was. */
    private List<String> neverSeen() {
        List<String> neverSeen = new ArrayList<>();
        for (KernelProfile kernel : KernelProfile.all()) {
            for (FeatureId feature : FeatureId.known()) {
                for (int operations = 0; operations < OPERATIONS; operations++) {
                    for (int code = 1; code <= Errno.EOPNOTSUPP.code(); code++) {
                        Refusal refusal = new Refusal(kernel.version(), feature.index(), operations, new Errno(code));
                        if (!refusal.errno().equals(Errno.EIO)
                                && refusal.causes() > (refusal.errno().equals(Errno.EFAULT) ? 1 : 0)
                                && !seen.contains(refusal)) {
                            neverSeen.add(kernel.version() + " " + refusal.asked() + " of " + feature + " "
                                    + refusal.errno().name());
                        }
                    }
                }
            }
        }
        return neverSeen;
    }

    /** What real kernels answered to the sweep of headers. */
    @Test
    void whateverARealKernelHasRefusedIsExplained() {
        int refused = 0;
        for (KernelProfile kernel : List.of(KernelProfile.LINUX_6_1, KernelProfile.LINUX_6_12,
                KernelProfile.LINUX_7_2)) {
            for (KernelFact fact : KernelFact.load(kernel.version())) {
                if (fact.result() < 0) {
                    refused++;
                    note(Refusal.of(kernel, fact.flags(), (int) fact.result()), false);
                }
            }
        }
        assertThat(refused).isGreaterThan(10_000);
        assertThat(unexplained).isEmpty();
    }

    /** What real kernels answered to the programs of the kernel lane. */
    @Test
    void whatRealKernelsWereRecordedToRefuseIsExplained() throws IOException {
        int refused = 0;
        for (String kernel : List.of("6.1", "6.12", "7.2", "full-7.2")) {
            Path file = Path.of("src/test/resources/transcripts/kernels/linux-" + kernel + "-programs.jsonl.gz");
            try (BufferedReader lines = new BufferedReader(
                    new InputStreamReader(new GZIPInputStream(Files.newInputStream(file)), StandardCharsets.UTF_8))) {
                for (Matcher refusal : lines.lines().map(REFUSAL::matcher).filter(Matcher::find).toList()) {
                    refused++;
                    note(Refusal.of(KernelProfile.of(kernel.replace("full-", "")),
                            Integer.reverseBytes(Integer.parseUnsignedInt(refusal.group(1), 16)),
                            Integer.parseInt(refusal.group(2))), false);
                }
            }
        }
        assertThat(refused).isGreaterThan(50_000);
        assertThat(unexplained).isEmpty();
    }
}
