package io.github.vfio4j.bench;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.VfTokenFeature;
import io.github.vfio4j.migration.MigrationDriver;
import java.io.IOException;
import java.io.OutputStream;
import java.lang.foreign.Arena;
import java.nio.channels.Channels;
import java.nio.channels.WritableByteChannel;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Threads;
import org.openjdk.jmh.infra.ThreadParams;

/** The emulated kernel, through the same public objects as the real one. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class EmulationBenchmark {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final PciAddress USER = PciAddress.parse("0000:01:00.1");
    private static final UUID MTTY = UUID.fromString("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001");

    /** One machine for all threads, with an SR-IOV device, a mediated one, and plain ones for the threads. */
    @State(Scope.Benchmark)
    public static class Machine {

        private EmulatedProcess process;
        private VfioContainer container;
        private VfioDevice owner;
        private VfioDevice mtty;
        private VfToken token;

        /** Boots it. */
        @Setup
        public void boot() throws IOException {
            process = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                    .pciFunction(OWNER.toString(), function -> function.sriov(1).virtualFunctions(1, "vfio-pci"))
                    .pciFunction("0000:02:00.0", function -> function.driver("vfio-pci"))
                    .pciFunction("0000:03:00.0", function -> function.driver("vfio-pci")).mtty(MTTY, 1).build()
                    .newProcess();
            container = Vfio.using(process).openContainer();
            owner = container.openDevice(OWNER);
            mtty = container.openMediatedDevice(MTTY);
            token = VfToken.random();
            VfTokenFeature.of(owner).orElseThrow().set(token);
        }

        /** Ends it. */
        @TearDown
        public void end() throws IOException {
            container.close();
            process.close();
        }

        VfioDevice open(int number) throws IOException {
            return container.openDevice(PciAddress.parse("0000:0" + (2 + number) + ":00.0"));
        }
    }

    /** Requests on devices that all threads use. */
    @State(Scope.Thread)
    public static class Requests {

        private final Arena arena = Arena.ofConfined();
        private FeatureRequest probe;
        private FeatureRequest get;
        private FeatureRequest set;
        private WritableByteChannel sink;
        private MigrationDriver driver;

        /** Lays them out. */
        @Setup
        public void layOut(Machine machine) throws IOException {
            probe = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).probe().set().payloadSize(16).allocate(arena);
            get = FeatureRequest.of(FeatureId.MIG_DEVICE_STATE).get().allocate(arena);
            set = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).set().payload(VfTokenFeature.CODEC, machine.token)
                    .allocate(arena);
            sink = Channels.newChannel(OutputStream.nullOutputStream());
            driver = MigrationDriver.of(machine.mtty).orElseThrow();
        }

        /** Frees them. */
        @TearDown
        public void free() {
            arena.close();
        }
    }

    /** A device of the thread's own. */
    @State(Scope.Thread)
    public static class OwnDevice {

        private VfioDevice device;

        /** Opens it. */
        @Setup
        public void open(Machine machine, ThreadParams thread) throws IOException {
            device = machine.open(thread.getThreadIndex());
        }
    }

    /** PROBE. */
    @Benchmark
    public int probe(Machine machine, Requests requests) {
        return machine.owner.executeRaw(requests.probe);
    }

    /** GET. */
    @Benchmark
    public int get(Machine machine, Requests requests) {
        return machine.mtty.executeRaw(requests.get);
    }

    /** SET. */
    @Benchmark
    public int set(Machine machine, Requests requests) {
        return machine.owner.executeRaw(requests.set);
    }

    /** A virtual function opened with its token, and closed. */
    @Benchmark
    public void tokenOpen(Machine machine) throws IOException {
        machine.container.openDevice(USER, machine.token).close();
    }

    /** A migration out, to its end and back to work. */
    @Benchmark
    public long migrationStream(Requests requests) throws IOException {
        long bytes = requests.driver.save(requests.sink).bytes();
        requests.driver.start();
        return bytes;
    }

    /** PROBE by two threads on one device. */
    @Benchmark
    @Threads(2)
    public int probeOneDeviceTwoThreads(Machine machine, Requests requests) {
        return machine.owner.executeRaw(requests.probe);
    }

    /** PROBE by one thread on a device of its own. */
    @Benchmark
    public int probeOwnDeviceOneThread(OwnDevice own, Requests requests) {
        return own.device.executeRaw(requests.probe);
    }

    /** PROBE by two threads, each on a device of its own. */
    @Benchmark
    @Threads(2)
    public int probeOwnDeviceTwoThreads(OwnDevice own, Requests requests) {
        return own.device.executeRaw(requests.probe);
    }
}
