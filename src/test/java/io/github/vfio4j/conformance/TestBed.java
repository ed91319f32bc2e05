package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.conformance.Subject.Kind;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.TranscriptException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A kernel, and the devices on it that {@link FeatureConformance} is to examine. Immutable; what is opened is opened by the
 * suite.
 *
 * <pre>{@code
 * TestBed.ofThisMachine().device(PciAddress.parse("0000:01:00.0")).excluding(FeatureId.LOW_POWER_ENTRY);
 * TestBed.on("my driver's model", kernel::newProcess).device(PciAddress.parse("0000:01:00.0"));
 * }</pre>
 */
public final class TestBed {

    private static final String MTTY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
    private static final String MTTY_2 = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002";
    private static final String MDPY = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1003";
    private static final String PF = "0000:01:00.0";
    private static final String PLAIN = "0000:02:00.0";
    private static final String VF = "0000:03:00.1";

    /** How a device is opened in a container of its own; more than once, where that can be. */
    interface Opening {
        VfioDevice open(VfioContainer container) throws VfioException;
    }

    /**
     * A device to examine.
     *
     * @param name
     *            its PCI address or UUID
     * @param kind
     *            what the specification describes it as; or null, then the device itself is asked what it has
     */
    record Device(String name, Opening opening, @Nullable Kind kind) {
        @Override
        public String toString() {
            return name;
        }
    }

    private final String name;
    private final Supplier<? extends IoctlBackend> kernel;
    private final Environment environment;
    private final List<Device> devices;
    private final Set<Integer> excluded;

    private TestBed(String name, Supplier<? extends IoctlBackend> kernel, Environment environment, List<Device> devices,
            Set<Integer> excluded) {
        this.name = name;
        this.kernel = kernel;
        this.environment = environment;
        this.devices = List.copyOf(devices);
        this.excluded = Set.copyOf(excluded);
    }

    /**
     * The kernel of this machine.
     *
     * @return a test bed without devices
     */
    public static TestBed ofThisMachine() {
        return new TestBed("this machine", NativeBackend::create, Environment.ofThisMachine(), List.of(), Set.of());
    }

    /**
     * Any kernel.
     *
     * @param name
     *            what it is called in reports
     * @param kernel
     *            gives a backend for each opening, for example {@code kernel::newProcess} of an emulated one
     * @return a test bed without devices
     */
    public static TestBed on(String name, Supplier<? extends IoctlBackend> kernel) {
        return new TestBed(name, kernel, environment("{\"transcript\":1,\"kernel\":\"7.2\",\"devices\":[]}"), List.of(),
                Set.of());
    }

    /**
     * The machine that transcripts of failures are to name, so that they can be replayed on an emulated one like it. Without it
     * they name a 7.2 without devices.
     *
     * @param machine
     *            its description
     * @return the same test bed with it
     */
    public TestBed recordedAs(Environment machine) {
        return new TestBed(name, kernel, machine, devices, excluded);
    }

    /**
     * One more device.
     *
     * @param address
     *            a PCI function bound to vfio-pci or a variant of it
     * @return the same test bed with it
     */
    public TestBed device(PciAddress address) {
        return with(new Device(address.toString(), container -> container.openDevice(address), null));
    }

    /**
     * One more device.
     *
     * @param uuid
     *            a mediated device
     * @return the same test bed with it
     */
    public TestBed device(UUID uuid) {
        return with(new Device(uuid.toString(), container -> container.openMediatedDevice(uuid), null));
    }

    /**
     * Features whose operations are not to be carried out, only probed and asked wrongly.
     *
     * @param features
     *            which
     * @return the same test bed without them
     */
    public TestBed excluding(FeatureId... features) {
        Set<Integer> all = Stream.concat(excluded.stream(), Arrays.stream(features).map(FeatureId::index))
                .collect(Collectors.toSet());
        return new TestBed(name, kernel, environment, devices, all);
    }

    private TestBed with(Device device) {
        List<Device> all = new ArrayList<>(devices);
        all.add(device);
        return new TestBed(name, kernel, environment, all, excluded);
    }

    /** The same one behind something else, for example a kernel with a mistake in it. */
    TestBed behind(UnaryOperator<IoctlBackend> front) {
        return new TestBed(name, () -> front.apply(kernel.get()), environment, devices, excluded);
    }

    private static Environment environment(String json) {
        try {
            return Environment.parse(json);
        } catch (TranscriptException e) {
            throw new IllegalArgumentException(e);
        }
    }

    /** An emulated machine with a device of each kind. The virtual function's owner is a host driver's. */
    static TestBed emulated(KernelProfile profile) {
        Environment machine = environment("""
                {"transcript":1,"kernel":"%s","options":{"iommufdDriver":true},"devices":[\
                {"kind":"pci","name":"%s","group":4,"driver":"vfio-pci","sriov":{"totalVfs":2},\
                "bars":[{"index":0,"size":16384,"kind":"memory"}]},\
                {"kind":"pci","name":"%s","group":5,"driver":"vfio-pci",\
                "bars":[{"index":0,"size":1048576,"kind":"memory"}]},\
                {"kind":"pci","name":"0000:03:00.0","group":6,"driver":"nvme","sriov":{"totalVfs":1,"numVfs":1},\
                "bars":[{"index":0,"size":16384,"kind":"memory"}]},\
                {"kind":"pci","name":"%s","group":7,"driver":"vfio-pci","virtualFunctionOf":"0000:03:00.0"},\
                {"kind":"mtty","name":"%s","group":9,"ports":1},{"kind":"mtty","name":"%s","group":10,"ports":2},\
                {"kind":"mdpy","name":"%s","group":11}]}""".formatted(profile.version(), PF, PLAIN, VF, MTTY, MTTY_2,
                MDPY));
        return new TestBed("emulated " + profile.version(), () -> machine.boot().newProcess(), machine, List.of(),
                Set.of()).with(function(PF, Kind.PHYSICAL_FUNCTION)).with(function(PLAIN, Kind.PLAIN_FUNCTION))
                .with(function(VF, Kind.VIRTUAL_FUNCTION)).with(mediated(MTTY, Kind.MTTY))
                .with(mediated(MTTY_2, Kind.MTTY)).with(mediated(MDPY, Kind.MDPY));
    }

    private static Device function(String name, Kind kind) {
        PciAddress address = PciAddress.parse(name);
        return new Device(name, container -> container.openDevice(address), kind);
    }

    private static Device mediated(String name, Kind kind) {
        UUID uuid = UUID.fromString(name);
        return new Device(name, container -> container.openMediatedDevice(uuid), kind);
    }

    IoctlBackend newBackend() {
        return kernel.get();
    }

    Environment environment() {
        return environment;
    }

    List<Device> devices() {
        return devices;
    }

    /** Whether the operations of a feature are not to be carried out. */
    boolean excludes(int feature) {
        return excluded.contains(feature);
    }

    /** The kernel's version as the environment has it, for example {@code 6.12}. */
    String kernelVersion() {
        return environment.kernel().version();
    }

    /** What it is called in reports. */
    @Override
    public String toString() {
        return name;
    }
}
