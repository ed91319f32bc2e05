package io.github.vfio4j.conformance;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.conformance.report.RunDescription;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.trace.Environment;
import java.util.List;
import java.util.Set;
import java.util.UUID;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A device that a run of the kit asks: of this machine, or of an emulated one that is booted for each opening. */
public final class DeviceUnderTest {

    /** As the JDK's parser takes many a text that is no UUID. */
    private static final Pattern UUID_TEXT = Pattern.compile("\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}");

    private final String name;
    private final boolean emulated;
    private final Environment environment;
    private final Supplier<? extends IoctlBackend> process;
    private final Set<FeatureId> excluded;

    private DeviceUnderTest(String name, boolean emulated, Environment environment,
            Supplier<? extends IoctlBackend> process, Set<FeatureId> excluded) {
        this.name = name;
        this.emulated = emulated;
        this.environment = environment;
        this.process = process;
        this.excluded = Set.copyOf(excluded);
    }

    /** A device of the machine behind a backend. */
    static DeviceUnderTest of(String name, IoctlBackend kernel, Environment environment, Set<FeatureId> excluded) {
        return new DeviceUnderTest(name, false, environment, () -> kernel, excluded);
    }

    /** A device of an emulated machine. */
    static DeviceUnderTest emulated(String name, Environment environment, Set<FeatureId> excluded) {
        return new DeviceUnderTest(name, true, environment, () -> environment.boot().newProcess(), excluded);
    }

    /** An open device. */
    public static final class Opened implements AutoCloseable {

        private final VfioContainer container;
        private final VfioDevice device;

        private Opened(VfioContainer container, VfioDevice device) {
            this.container = container;
            this.device = device;
        }

        /**
         * The device.
         *
         * @return closed with this
         */
        public VfioDevice device() {
            return device;
        }

        /** Closes the device, its group and its container. */
        @Override
        public void close() throws VfioException {
            container.close();
        }
    }

    /**
     * Its name.
     *
     * @return a PCI address, or the UUID of a mediated device
     */
    public String name() {
        return name;
    }

    /**
     * The kernel it is on.
     *
     * @return for people, for example {@code Linux 6.12 (emulated)}
     */
    public String kernel() {
        return "Linux "
                + (emulated ? environment.kernel().version() + " (emulated)" : System.getProperty("os.version"));
    }

    /**
     * Whether a feature is to be left as it is: it may be probed and read, but not set.
     *
     * @param feature
     *            its index
     * @return true if the person who started the run has excluded it
     */
    public boolean excludes(int feature) {
        return excluded.contains(FeatureId.of(feature));
    }

    boolean isEmulated() {
        return emulated;
    }

    boolean isMediated() {
        return isUuid(name);
    }

    static boolean isUuid(String name) {
        return UUID_TEXT.matcher(name).matches();
    }

    /**
     * Opens it as a first opening finds it; what it does is {@linkplain Recorder recorded}.
     *
     * @return the open device
     * @throws VfioException
     *             if it cannot be opened, with what to do about it
     */
    public Opened open() throws VfioException {
        Vfio vfio = Vfio.using(Recorder.current().wrap(process.get(), environment));
        VfioContainer container = vfio.openContainer();
        try {
            VfioDevice device = isMediated()
                    ? container.openMediatedDevice(UUID.fromString(name))
                    : container.openDevice(PciAddress.parse(name));
            return new Opened(container, device);
        } catch (VfioException | RuntimeException e) {
            container.close();
            throw e;
        }
    }

    /** Whether virtual functions of it are there, which are somebody's. */
    int virtualFunctions() {
        if (isMediated()) {
            return 0;
        }
        try {
            return Vfio.using(process.get()).pciDevice(PciAddress.parse(name)).sriovNumVfs();
        } catch (VfioException e) {
            // No SR-IOV.
            return 0;
        }
    }

    /** The driver it is bound to; null if there is none, or if the device is not on the PCI bus. */
    @Nullable
    String driver() {
        return isMediated() ? null : Vfio.using(process.get()).pciDevice(PciAddress.parse(name)).driver().orElse(null);
    }

    RunDescription.Device description() {
        List<String> names = excluded.stream().sorted((a, b) -> Integer.compare(a.index(), b.index()))
                .map(FeatureId::name).toList();
        return new RunDescription.Device(name, kernel(),
                emulated ? environment.kernel().toString() : System.getProperty("os.version"), driver(), names);
    }

    @Override
    public String toString() {
        return name + " on " + kernel();
    }
}
