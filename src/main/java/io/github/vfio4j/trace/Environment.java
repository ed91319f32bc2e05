package io.github.vfio4j.trace;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.nio.file.Path;
import java.util.List;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * The machine on which the calls of a transcript were made: a kernel and the devices it has. Its JSON is the first line of
 * a transcript. Immutable and safe for use by many threads.
 *
 * <p>
 * Besides what the format says, it knows these keys, each with what it is without the key: {@code iommuAddressBits} (39), the
 * width of the DMA addresses that the machine's IOMMU translates; in a PCI device's {@code sriov},
 * {@code numVfs} (0), the virtual functions that are there from the start, {@code offset} (1) and {@code stride} (1), which
 * say where they are; in a PCI device, {@code reset}, {@code express} and {@code intx} (all true), {@code rom} (none), its
 * size, {@code msi} (none), the number of vectors, and {@code msix} (none), with {@code vectors} and {@code tableBar}; a
 * {@code driver} of null says that none is bound. A machine like it can be {@linkplain #boot emulated}.
 */
public final class Environment {

    private static final int VERSION = 1;
    private static final int USUAL_IOMMU_ADDRESS_BITS = 39;

    private final String json;
    private final KernelProfile profile;
    private final List<EnvironmentDevice> devices;
    private final int iommuAddressBits;
    private final boolean iommufd;
    private final boolean cdev;
    private final boolean iommufdDriver;
    private final boolean dmaBuf;

    private Environment(String json, Json object) throws TranscriptException {
        this.json = json;
        Json version = object.get("transcript");
        if (version.number(0, Long.MAX_VALUE) != VERSION) {
            throw version.error("only version " + VERSION + " of the format is understood");
        }
        Json kernel = object.get("kernel");
        profile = profile(kernel);
        Json release = object.find("release");
        if (release != null) {
            release.text();
        }
        Json options = object.find("options");
        iommufd = option(options, "iommufd", false);
        cdev = option(options, "cdev", false);
        iommufdDriver = option(options, "iommufdDriver", false);
        dmaBuf = option(options, "dmaBuf", true);
        Json bits = object.find("iommuAddressBits");
        iommuAddressBits = bits == null ? USUAL_IOMMU_ADDRESS_BITS : bits.integer(33, 57);
        devices = EnvironmentDevice.all(object, profile);
        if (cdev) {
            checkCdevs(object);
        }
    }

    private static KernelProfile profile(Json kernel) throws TranscriptException {
        try {
            return KernelProfile.of(kernel.text());
        } catch (IllegalArgumentException e) {
            throw kernel.error(String.valueOf(e.getMessage()));
        }
    }

    private static boolean option(@Nullable Json options, String name, boolean absent) throws TranscriptException {
        Json option = options == null ? null : options.find(name);
        return option == null ? absent : option.bool();
    }

    /** The kernel counts devices as they come; those that are there from the start must have been counted alike. */
    private void checkCdevs(Json object) throws TranscriptException {
        Json list = object.find("devices");
        for (Json device : list == null ? List.<Json>of() : list.items()) {
            Json path = device.find("cdev");
            if (path != null && device.find("virtualFunctionOf") == null) {
                String bus = device.get("kind").text().equals("pci") ? "pci" : "mdev";
                String number = path.text().substring(path.text().lastIndexOf('/') + 1);
                String attribute = "/sys/bus/" + bus + "/devices/" + device.get("name").text() + "/vfio-dev/" + number
                        + "/dev";
                try (EmulatedProcess process = boot().newProcess()) {
                    if (process.open(attribute, Fcntl.O_RDONLY) < 0) {
                        throw path
                                .error("devices are counted from /dev/vfio/devices/vfio0 on in the order in which they"
                                        + " stand here, PCI functions before mediated devices; this one has another number");
                    }
                }
            }
        }
    }

    /**
     * Reads the first line of a transcript.
     *
     * @param json
     *            one line of JSON
     * @return the environment
     * @throws TranscriptException
     *             if it cannot be understood
     */
    public static Environment parse(String json) throws TranscriptException {
        return new Environment(json.strip(), Json.object(1, json));
    }

    /**
     * The machine this runs on, as its sysfs shows it. How its kernel was built cannot be seen there. It is
     * assumed that it has DMA-bufs, and IOMMUFD_DRIVER if there is /dev/iommu, which the drivers of the usual IOMMUs ask for.
     *
     * @return an environment with every device that has an IOMMU group
     * @throws java.io.UncheckedIOException
     *             if sysfs can't be read or understood
     */
    public static Environment ofThisMachine() {
        return MachineSurvey.of(Path.of("/"), System.getProperty("os.version"));
    }

    /**
     * The kernel.
     *
     * @return the profile of its version as it is usually built, without the environment's options
     */
    public KernelProfile kernel() {
        return profile;
    }

    /**
     * Boots an emulated machine like this one.
     *
     * @return a kernel whose clock is moved by hand
     */
    public EmulatedKernel boot() {
        return boot(profile);
    }

    /**
     * Boots an emulated machine with these devices and another kernel, built with the same options.
     *
     * @param kernel
     *            as it is usually built
     * @return a kernel whose clock is moved by hand
     */
    public EmulatedKernel boot(KernelProfile kernel) {
        return builder(kernel).build();
    }

    /**
     * Boots an emulated machine like this one, in which time passes by itself: to go side by side with a real one.
     *
     * @param nanoTime
     *            nanoseconds from any start, for example {@code System::nanoTime}
     * @return a kernel with that clock
     */
    public EmulatedKernel boot(LongSupplier nanoTime) {
        return builder(profile).clock(nanoTime).build();
    }

    private EmulatedKernel.Builder builder(KernelProfile kernel) {
        KernelProfile built = iommufdDriver ? kernel.withIommufdDriver() : kernel;
        built = cdev ? built.withCdev() : iommufd ? built.withIommufd() : built;
        EmulatedKernel.Builder builder = EmulatedKernel.builder(dmaBuf ? built : built.withoutDmaBuf())
                .iommuAddressBits(iommuAddressBits);
        devices.forEach(device -> device.addTo(builder));
        return builder;
    }

    /** The JSON, as it was read. */
    @Override
    public String toString() {
        return json;
    }
}
