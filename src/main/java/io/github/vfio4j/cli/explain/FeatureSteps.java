package io.github.vfio4j.cli.explain;

import static io.github.vfio4j.Errno.E2BIG;
import static io.github.vfio4j.Errno.EBADF;
import static io.github.vfio4j.Errno.EFAULT;
import static io.github.vfio4j.Errno.EINVAL;
import static io.github.vfio4j.Errno.EIO;
import static io.github.vfio4j.Errno.EMFILE;
import static io.github.vfio4j.Errno.ENODEV;
import static io.github.vfio4j.Errno.ENOMEM;
import static io.github.vfio4j.Errno.ENOTTY;
import static io.github.vfio4j.Errno.EOPNOTSUPP;
import static io.github.vfio4j.Errno.EOVERFLOW;
import static io.github.vfio4j.cli.explain.Step.done;
import static io.github.vfio4j.cli.explain.Step.driver;
import static io.github.vfio4j.cli.explain.Step.refusal;
import static java.util.function.Predicate.not;

import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.KernelProfile.BitmapSupport;
import io.github.vfio4j.feature.FeatureId;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** The steps of VFIO_DEVICE_FEATURE in the kernel's own order (semantics §A, §B). */
final class FeatureSteps {

    // VFIO_MIGRATION_PRE_COPY.
    private static final int PRE_COPY = 4;

    private static final String MAPPED = "Pass memory that is as long as argsz says";
    private static final String NO_MIGRATION = "The device's driver cannot migrate it";
    private static final String ASK_DRIVER = "See dmesg and the driver's source; tell its author";

    /** What is checked before the feature is looked at (semantics §A.1, §A.2). */
    private static final List<Step> HEADER = List.of(
            refusal(EINVAL, "The device was opened by its own file, and is not bound to an iommufd yet",
                    "Bind it first (VFIO_DEVICE_BIND_IOMMUFD; Iommufd.openDevice does)")
                    .on(kernel -> kernel.lastIommufdRequest() != 0),
            refusal(EIO, "The device sleeps and could not be woken", "See dmesg; reset the device")
                    .on(KernelProfile::featureIoctlInCore),
            refusal(ENOTTY,
                    "The device's driver is not vfio-pci, and no other knows device features, whatever is asked",
                    "Use a newer kernel").on(not(KernelProfile::featureIoctlInCore)),
            refusal(EFAULT, "The 8 bytes of the header cannot be read", MAPPED),
            refusal(EINVAL, "argsz is less than the 8 bytes of the header", "Set argsz to the size of header and data"),
            refusal(EINVAL, "Unknown bits (19 to 31) are set in flags", "Leave them 0"),
            refusal(EINVAL, "GET and SET are asked for at once", "Ask for one of them; only a probe may name both")
                    .when(asked -> asked.get() && asked.set() && !asked.probe()).always());

    private static final Map<FeatureId, List<Step>> OF_FEATURES = Map.ofEntries(
            Map.entry(FeatureId.PCI_VF_TOKEN,
                    steps(List.of(refusal(ENOTTY,
                            "The device is no SR-IOV physical function bound to vfio-pci or a variant of it",
                            "Set the token on the physical function, bound to vfio-pci")),
                            check(FeatureId.PCI_VF_TOKEN, false, true), data(FeatureId.PCI_VF_TOKEN))),

            Map.entry(FeatureId.MIGRATION,
                    steps(List.of(refusal(ENOTTY, NO_MIGRATION,
                            "Use a driver that can (mlx5-vfio-pci for one), not vfio-pci")),
                            check(FeatureId.MIGRATION, true, false), data(FeatureId.MIGRATION))),

            Map.entry(FeatureId.MIG_DEVICE_STATE, steps(
                    List.of(refusal(ENOTTY, NO_MIGRATION,
                            "Use a driver that can (mlx5-vfio-pci for one), not vfio-pci")),
                    check(FeatureId.MIG_DEVICE_STATE, true, true), data(FeatureId.MIG_DEVICE_STATE),
                    List.of(driver("The device's driver cannot tell the state", ASK_DRIVER).when(Operations::get),
                            refusal(EINVAL,
                                    "There is no such state, or the device lacks what it takes (feature MIGRATION"
                                            + " tells: P2P, PRE_COPY)",
                                    "Ask for a state that it has; ERROR is none to ask for").when(Operations::set),
                            refusal(EINVAL, "No way leads from STOP_COPY back to PRE_COPY or PRE_COPY_P2P",
                                    "Go to RUNNING first").when(Operations::set)
                                    .on(kernel -> (kernel.migrationFlags() & PRE_COPY) != 0),
                            driver("The device's driver refuses a step on the way, in RESUMING usually for want of"
                                    + " data, or of the right data",
                                    "Get the state: the steps before are done. Write all data, or reset the device"
                                            + " and start again")
                                    .when(Operations::set),
                            refusal(EMFILE, "The process has no descriptor left for the migration data",
                                    "Raise the limit (ulimit -n); the device is in the new state all the same,"
                                            + " reset it")
                                    .when(Operations::set)))),

            Map.entry(FeatureId.LOW_POWER_ENTRY, steps(lowPower(), check(FeatureId.LOW_POWER_ENTRY, false, true),
                    List.of(refusal(EINVAL, "The device is in low power already", "Set LOW_POWER_EXIT first")))),

            Map.entry(FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP, steps(lowPower(),
                    check(FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP, false, true),
                    data(FeatureId.LOW_POWER_ENTRY_WITH_WAKEUP),
                    List.of(refusal(EINVAL, "The descriptor is negative", "Pass an eventfd, or use LOW_POWER_ENTRY"),
                            refusal(EBADF, "The descriptor is not open", "Keep the eventfd open until after the call"),
                            refusal(EINVAL, "The descriptor is no eventfd", "Pass an eventfd (eventfd(2))"),
                            refusal(EINVAL, "The device is in low power already", "Set LOW_POWER_EXIT first")))),

            Map.entry(FeatureId.LOW_POWER_EXIT, steps(lowPower(), check(FeatureId.LOW_POWER_EXIT, false, true))),

            Map.entry(FeatureId.DMA_LOGGING_START, steps(dmaLogging(), check(FeatureId.DMA_LOGGING_START, false, true),
                    data(FeatureId.DMA_LOGGING_START),
                    List.of(refusal(EINVAL, "There is no range", "Give one at least"),
                            refusal(E2BIG, "There are more ranges than fit a page, 256 on most machines", "Merge some"),
                            refusal(ENOMEM, "The kernel has no memory for the ranges", "Give fewer"),
                            refusal(EFAULT, "A range cannot be read", "Pass a pointer to all of them"),
                            refusal(EINVAL, "A range is not aligned to the page size",
                                    "Align IOVA and length to it; 4096 is a good one"),
                            refusal(EOVERFLOW, "A range ends beyond the last address", "Shorten it"),
                            refusal(EINVAL, "A range overlaps with one before it", "Merge them"),
                            driver("The device's driver refuses, usually because it is logging already",
                                    "Set DMA_LOGGING_STOP first; log less"),
                            refusal(EFAULT, "The page size cannot be written back", MAPPED)))),

            Map.entry(FeatureId.DMA_LOGGING_STOP,
                    steps(dmaLogging(), check(FeatureId.DMA_LOGGING_STOP, false, true),
                            List.of(driver("The device's driver refuses", ASK_DRIVER)))),

            Map.entry(FeatureId.DMA_LOGGING_REPORT, steps(dmaLogging(),
                    check(FeatureId.DMA_LOGGING_REPORT, true, false), data(FeatureId.DMA_LOGGING_REPORT),
                    List.of(refusal(EINVAL, "The page size is less than 4096 or no power of two",
                            "Ask with the page size that DMA_LOGGING_START has answered"),
                            refusal(EOVERFLOW, "The range ends beyond the last address", "Shorten it"),
                            refusal(ENOMEM, "The kernel has no memory for the report", "Ask for a shorter range"),
                            refusal(EFAULT, "The bitmap cannot be written",
                                    "Pass a pointer to a bit for each page of the range")
                                    .on(kernel -> kernel.bitmapSupport() == BitmapSupport.PINNED_AT_ONCE),
                            refusal(EOPNOTSUPP, "The kernel was built without IOMMUFD_DRIVER",
                                    "Use one with the mlx5 or pds VFIO driver, or with IOMMUFD and the IOMMU's driver")
                                    .on(kernel -> kernel.bitmapSupport() == BitmapSupport.ABSENT
                                            && kernel.featureIoctlInCore()),
                            driver("The device's driver refuses, usually because it is not logging",
                                    "Set DMA_LOGGING_START first")))),

            Map.entry(FeatureId.MIG_DATA_SIZE,
                    steps(List.of(refusal(ENOTTY, NO_MIGRATION,
                            "Use a driver that can (mlx5-vfio-pci for one), not vfio-pci")),
                            check(FeatureId.MIG_DATA_SIZE, true, false),
                            List.of(driver("The device's driver cannot tell the size", ASK_DRIVER)),
                            data(FeatureId.MIG_DATA_SIZE))),

            Map.entry(FeatureId.BUS_MASTER, steps(
                    List.of(refusal(ENOTTY,
                            "The device is not on the CDX bus, or its controller could not clear bus"
                                    + " mastering when it was opened",
                            "Use the command register in a PCI function's configuration space instead")),
                    check(FeatureId.BUS_MASTER, false, true), data(FeatureId.BUS_MASTER),
                    List.of(refusal(EOPNOTSUPP, "The bus controller cannot configure devices", ASK_DRIVER),
                            driver("The bus controller refuses", ASK_DRIVER),
                            refusal(EINVAL, "The value is neither 0 (clear) nor 1 (set)", "Pass one of them")))),

            Map.entry(FeatureId.DMA_BUF, steps(List.of(
                    refusal(ENOTTY, "The kernel was built without VFIO_PCI_DMABUF, or the device is no PCI function",
                            "Use a kernel with CONFIG_VFIO_PCI_DMABUF=y; only PCI functions have the feature"),
                    refusal(EOPNOTSUPP, "The device's driver exports no memory: vfio-pci and nvgrace-gpu do",
                            "Bind it to vfio-pci, if it need not migrate")),
                    check(FeatureId.DMA_BUF, true, false), data(FeatureId.DMA_BUF),
                    List.of(refusal(EINVAL, "There is no range, or flags of the data are not 0",
                            "Give one range at least, and leave flags 0"),
                            refusal(ENODEV, "The region is no BAR (0 to 5)", "Export a BAR"),
                            refusal(ENODEV, "The device does not have this BAR, or it could not be reserved",
                                    "See VFIO_DEVICE_GET_REGION_INFO for the size"),
                            refusal(ENOMEM, "There are too many ranges, or no memory is left", "Give fewer"),
                            refusal(EFAULT, "The ranges cannot be read: they are, whatever argsz says", MAPPED),
                            refusal(EINVAL, "A range is empty or not aligned to pages",
                                    "Align offset and length to 4096"),
                            refusal(EINVAL, "The ranges are longer together than a size can be", "Give fewer"),
                            refusal(EINVAL, "The BAR is one of I/O ports", "Export a memory BAR"),
                            refusal(EOVERFLOW, "A range ends beyond the last address", "Keep within the BAR"),
                            refusal(EINVAL, "A range ends beyond the BAR", "Keep within the BAR"),
                            refusal(ENODEV, "The device is just being removed", "Open it again"),
                            refusal(EMFILE, "The process has no descriptor left for the DMA-buf",
                                    "Raise the limit (ulimit -n), or close some")))),

            Map.entry(FeatureId.MIG_PRECOPY_INFOV2, steps(List.of(refusal(EINVAL,
                    "The device has no pre-copy, perhaps no migration at all: for this feature that is not ENOTTY",
                    "Leave it out; feature MIGRATION tells whether there is pre-copy")),
                    check(FeatureId.MIG_PRECOPY_INFOV2, false, true))));

    private FeatureSteps() {
    }

    /** All steps of a feature, known or not. */
    static List<Step> of(FeatureId feature) {
        List<Step> known = OF_FEATURES.get(feature);
        return known == null
                ? steps(HEADER, List.of(
                        refusal(ENOTTY, "Neither the kernels up to 7.2 nor the device's driver know this feature",
                                "Probe it first; FEATURE may be mistaken"),
                        driver("The device's driver knows this feature, and refuses", ASK_DRIVER)))
                : steps(HEADER, List.of(unknownTo(feature)), known);
    }

    @SafeVarargs
    private static List<Step> steps(List<Step>... parts) {
        List<Step> steps = new ArrayList<>();
        for (List<Step> part : parts) {
            steps.addAll(part);
        }
        return List.copyOf(steps);
    }

    /** The dispatch (semantics §A.3). */
    private static Step unknownTo(FeatureId feature) {
        String having = KernelProfile.all().stream().filter(kernel -> kernel.knownFeatures().contains(feature.index()))
                .map(KernelProfile::version).collect(Collectors.joining(", "));
        return refusal(ENOTTY, "The kernel does not know this feature",
                "Use one that does; of those described here: " + having)
                .on(kernel -> !kernel.knownFeatures().contains(feature.index())).always();
    }

    /** The check of operations and size that every feature makes (semantics §A.4). */
    private static List<Step> check(FeatureId feature, boolean get, boolean set) {
        List<Step> steps = new ArrayList<>();
        if (!get) {
            steps.add(refusal(EINVAL, "The feature has no GET", "Ask for SET").when(Operations::get).always());
        }
        if (!set) {
            steps.add(refusal(EINVAL, "The feature has no SET", "Ask for GET").when(Operations::set).always());
        }
        steps.add(done(Operations::probe));
        steps.add(refusal(EINVAL, "Neither GET nor SET is asked for", "Ask for one of them, or probe")
                .when(asked -> asked.names().isEmpty()).always());
        int minimum = feature.minimumPayload();
        if (minimum > 0) {
            steps.add(refusal(EINVAL, "argsz is less than header and data take, " + (8 + minimum) + " bytes",
                    "Set it to that at least"));
        }
        return steps;
    }

    private static List<Step> data(FeatureId feature) {
        return List.of(refusal(EFAULT,
                "The " + feature.minimumPayload() + " bytes behind the header cannot be read or written", MAPPED));
    }

    private static List<Step> lowPower() {
        return List.of(refusal(ENOTTY, "The device's driver has no low power: vfio-pci and most of its variants do, qat"
                + " and the drivers of mediated devices do not", "Use vfio-pci"));
    }

    private static List<Step> dmaLogging() {
        return List.of(refusal(ENOTTY, "The device's driver cannot log DMA writes",
                "Track them by the IOMMU instead (VFIO_IOMMU_DIRTY_PAGES), or use a driver that can (mlx5-vfio-pci for one)"));
    }
}
