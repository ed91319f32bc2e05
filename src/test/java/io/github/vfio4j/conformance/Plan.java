package io.github.vfio4j.conformance;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureOperation;
import io.github.vfio4j.feature.FeatureSupport;
import io.github.vfio4j.feature.FeatureSupport.Supported;
import java.util.ArrayList;
import java.util.List;

/**
 * What a run will do to a device, found by probing. To find it, the device is opened, so that one that cannot be had is
 * refused before anything is done to any.
 */
record Plan(DeviceUnderTest device, List<FeatureId> features, List<Change> changes) {

    /** What an operation means for the device. */
    record Change(FeatureId feature, FeatureOperation operation, String what) {
    }

    /** What changes a device or what is done with it; other operations only ask (vfio.h). */
    private static final List<Change> CHANGES = List.of(
            set(FeatureId.PCI_VF_TOKEN,
                    "its VF token is overwritten with random ones: users of virtual functions need"
                            + " another one then"),
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
    static Plan of(DeviceUnderTest device) throws VfioException {
        int functions = device.virtualFunctions();
        if (functions > 0) {
            throw new VfioException("use " + device.name(), Errno.EBUSY,
                    "It has " + functions + (functions == 1 ? " virtual function" : " virtual functions")
                            + ", whose users would lose their device with its first reset and their VF token with the"
                            + " first one set here. As root: echo 0 > /sys/bus/pci/devices/" + device.name()
                            + "/sriov_numvfs");
        }
        List<FeatureSupport> answers;
        try (DeviceUnderTest.Opened opened = device.open()) {
            answers = opened.device().probeAll();
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
        return new Plan(device, List.copyOf(features), List.copyOf(changes));
    }

    /** What is said before. */
    List<String> describe() {
        List<String> lines = new ArrayList<>();
        String driver = device.driver();
        lines.add("Device " + device + (driver == null ? "" : ", driver " + driver));
        lines.add("  features: " + (features.isEmpty()
                ? "none that is known by name"
                : String.join(", ", features.stream().map(FeatureId::name).toList())));
        lines.add("  each opening of it after none " + (device.isMediated() ? "resets nothing" : "resets it")
                + "; requests with wrong flags, sizes and random data are sent, unknown features included");
        changes.forEach(change -> lines.add("  " + (device.excludes(change.feature().index()) ? "excluded: " : "")
                + change.feature().name() + " " + change.operation() + ": " + change.what()
                + (device.excludes(change.feature().index())
                        ? ""
                        : "; to leave it out: --exclude " + change.feature().name())));
        if (changes.isEmpty()) {
            lines.add("  nothing it has changes it");
        }
        return lines;
    }
}
