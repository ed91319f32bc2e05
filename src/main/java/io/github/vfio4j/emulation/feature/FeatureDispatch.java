package io.github.vfio4j.emulation.feature;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_GET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_PROBE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * VFIO_DEVICE_FEATURE on one device: the header checks and the dispatch on the index (semantics §A.2, §A.3).
 *
 * <p>
 * The registry below is the list of features the emulated kernels have between them; which of them a kernel has is a row
 * of {@link KernelProfile}. What is not there, or not on this device, is {@code ENOTTY}.
 */
public final class FeatureDispatch {

    private record Entry(int index, Function<FeatureHost, @Nullable DeviceFeature> factory) {
    }

    private static final List<Entry> REGISTRY = List.of(new Entry(0, PciVfTokenFeature::of),
            new Entry(1, MigrationFeature::of), new Entry(2, MigDeviceStateFeature::of),
            new Entry(3, LowPowerEntryFeature::new), new Entry(4, LowPowerEntryWithWakeupFeature::new),
            new Entry(5, LowPowerExitFeature::new), new Entry(6, DmaLoggingStartFeature::of),
            new Entry(7, DmaLoggingStopFeature::of), new Entry(8, DmaLoggingReportFeature::of),
            new Entry(9, MigDataSizeFeature::of), new Entry(10, BusMasterFeature::new),
            new Entry(11, DmaBufFeature::new), new Entry(12, MigPrecopyInfoV2Feature::new));

    private static final long HEADER_SIZE = 8;
    private static final int GET = VFIO_DEVICE_FEATURE_GET();
    private static final int SET = VFIO_DEVICE_FEATURE_SET();
    private static final int PROBE = VFIO_DEVICE_FEATURE_PROBE();
    private static final int INDEX = VFIO_DEVICE_FEATURE_MASK();

    /** Those with an index of the registry, at that. */
    private final @Nullable DeviceFeature[] known;
    /** By index, those of the registry too: a model may have one with any. */
    private final Map<Integer, DeviceFeature> features;

    /**
     * The features of a device.
     *
     * @param device
     *            the device
     */
    public FeatureDispatch(FeatureHost device) {
        Map<Integer, DeviceFeature> found = new HashMap<>();
        for (Entry entry : REGISTRY) {
            if (device.profile().coreFeatures().contains(entry.index())
                    || device.driverFeatures().contains(entry.index())) {
                DeviceFeature feature = entry.factory().apply(device);
                if (feature != null) {
                    found.put(entry.index(), feature);
                }
            }
        }
        if (device.profile().featureIoctlInCore()) {
            // A driver knows its own features before it falls back on those of its kind.
            device.modelFeatures()
                    .forEach((id, model) -> found.put(id.index(), new DriverFeature(model, device.modelLock())));
        }
        known = new DeviceFeature[REGISTRY.size()];
        found.forEach((index, feature) -> {
            if (index < known.length) {
                known[index] = feature;
            }
        });
        features = Map.copyOf(found);
    }

    /** The ioctl. */
    public int ioctl(CallContext call, MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, HEADER_SIZE)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, 0));
        int flags = UserMemory.getInt(argument, 4);
        if (argsz < HEADER_SIZE) {
            return -Errno.EINVAL.code();
        }
        if ((flags & ~(INDEX | GET | SET | PROBE)) != 0) {
            return -Errno.EINVAL.code();
        }
        if ((flags & PROBE) == 0 && (flags & (GET | SET)) == (GET | SET)) {
            return -Errno.EINVAL.code();
        }
        int index = flags & INDEX;
        DeviceFeature feature = index < known.length ? known[index] : features.get(index);
        return feature == null ? -Errno.ENOTTY.code() : feature.ioctl(flags, argsz - HEADER_SIZE, argument, call);
    }
}
