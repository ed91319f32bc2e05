package io.github.vfio4j.conformance;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.PciDevice;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureSupport;
import io.github.vfio4j.feature.FeatureSupport.Supported;
import io.github.vfio4j.feature.VfTokenFeature;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What a run will do to a device, found by probing. To find it, the device is opened, so that one that cannot be had is
 * refused before anything is done to any.
 */
record Plan(TestBed bed, TestBed.Device device, @Nullable String driver, List<FeatureId> features,
        List<Change> changes) {

    /** What an operation means for the device. */
    record Change(FeatureId feature, FeatureOperation operation, String what) {
    }

    /** Anything else is a mediated device. */
    private static final Pattern PCI_ADDRESS = Pattern.compile("[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]");

    /** What changes a device or what is done with it; other operations only ask (vfio.h). */
    private static final List<Change> CHANGES = List.of(set(FeatureId.PCI_VF_TOKEN,
            "its VF token is overwritten with random ones, the last of which nobody knows: users of virtual functions"
                    + " need another one then"),
            set(FeatureId.MIG_DEVICE_STATE,
                    "it is walked through the migration states: it is stopped, its data are saved"
                            + " and overwritten"),
            set(FeatureId.LOW_POWER_ENTRY, "it is put into low power"),
            set(FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP, "it is put into low power, and woken by access"),
            set(FeatureId.LOW_POWER_EXIT, "it is taken out of low power"),
            set(FeatureId.DMA_LOGGING_START, "it logs its DMA writes, which takes memory and speed"),
            set(FeatureId.DMA_LOGGING_STOP, "it stops to log its DMA writes"),
            get(FeatureId.DMA_LOGGING_REPORT, "the log of its DMA writes is read and cleared"),
            set(FeatureId.BUS_MASTER, "its DMA is switched off and on"),
            get(FeatureId.DMA_BUF, "its memory is exported as DMA-bufs, which are closed again"),
            set(FeatureId.MIG_PRECOPY_INFOV2, "its pre-copy information takes another form until it is closed"));

    private static Change set(FeatureId feature, String what) {
        return new Change(feature, FeatureOperation.SET, what);
    }

    private static Change get(FeatureId feature, String what) {
        return new Change(feature, FeatureOperation.GET, what);
    }

    /**
     * Looks at a device.
     *
     * @throws VfioException
     *             if it cannot be had: it is in use, not bound to a VFIO driver, not this user's
     */
    static Plan of(TestBed bed, TestBed.Device device) throws VfioException {
        Vfio vfio = Vfio.using(bed.newBackend());
        Optional<PciDevice> function = PCI_ADDRESS.matcher(device.name()).matches()
                ? Optional.of(vfio.pciDevice(PciAddress.parse(device.name())))
                : Optional.empty();
        if (function.isPresent()) {
            refuseVirtualFunctions(function.get());
        }
        List<FeatureSupport> answers;
        String driver;
        try (VfioContainer container = vfio.openContainer()) {
            answers = device.opening().open(container).probeAll();
            driver = function.isPresent() ? function.get().driver().orElse(null) : null;
        }
        List<FeatureId> features = new ArrayList<>();
        List<Change> changes = new ArrayList<>();
        for (FeatureSupport answer : answers) {
            if (answer instanceof Supported) {
                features.add(answer.feature());
                CHANGES.stream().filter(
                        change -> change.feature().equals(answer.feature()) && answer.supports(change.operation()))
                        .forEach(changes::add);
            }
        }
        return new Plan(bed, device, driver, List.copyOf(features), List.copyOf(changes));
    }

    /** Before it is opened, as that resets it. */
    private static void refuseVirtualFunctions(PciDevice function) throws VfioException {
        if (function.virtualFunction(0).isPresent()) {
            int count = function.sriovNumVfs();
            throw new VfioException("use " + function, Errno.EBUSY, "It has "
                    + (count == 1 ? "a virtual function, whose user" : count + " virtual functions, whose users")
                    + " would lose the device with the first reset and the VF token with the first one set here. As root:"
                    + " echo 0 > /sys/bus/pci/devices/" + function + "/sriov_numvfs");
        }
    }

    /** Whether a run sets its VF token. */
    boolean setsToken() {
        return !bed.excludes(FeatureId.PCI_VF_TOKEN.index())
                && changes.stream().anyMatch(change -> change.feature().equals(FeatureId.PCI_VF_TOKEN));
    }

    /** Sets a VF token that nobody knows: those of a run come from its seed, which stands in the reports. */
    void forgetToken() throws VfioException {
        try (VfioContainer container = Vfio.using(bed.newBackend()).openContainer();
                VfioDevice open = device.opening().open(container)) {
            VfTokenFeature feature = open.vfToken().orElse(null);
            if (feature != null) {
                feature.set(VfToken.random());
            }
        }
    }

    /** What is said before. */
    List<String> describe() {
        List<String> lines = new ArrayList<>();
        lines.add("Device " + device + ", " + bed + (driver == null ? "" : ", driver " + driver));
        lines.add("  features: " + (features.isEmpty()
                ? "none that is known by name"
                : String.join(", ", features.stream().map(FeatureId::name).toList())));
        lines.add("  " + (driver == null ? "" : "it is reset when it is opened; ")
                + "requests with wrong flags, sizes and data are sent, of features that nobody knows too");
        for (Change change : changes) {
            String text = change.feature().name() + " " + change.operation() + ": " + change.what();
            lines.add(bed.excludes(change.feature().index())
                    ? "  excluded: " + text
                    : "  " + text + "; to leave it out: --exclude " + change.feature().name());
        }
        if (changes.isEmpty()) {
            lines.add("  it has nothing that changes it");
        }
        return lines;
    }
}
