package io.github.vfio4j.emulation.device;

import io.github.vfio4j.feature.FeatureId;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A device of one's own. Everything has a default; a model implements what its device is about.
 *
 * <p>
 * What a device can do is asked once, when it comes into being: {@link #migration()}, {@link #dmaLogging()},
 * {@link #features()} and {@link #regions()} are not called again. All methods are called under this object's monitor, as described in the
 * {@linkplain io.github.vfio4j.emulation.device package}.
 *
 * <pre>{@code
 * final class Thermometer implements DeviceModel {
 *     private static final FeatureId TEMPERATURE = FeatureId.of(0x100);
 *     private int reads;
 *
 *     public Map<FeatureId, FeatureModel> features() {
 *         return Map.of(TEMPERATURE, FeatureModel.readOnly(4, this::temperature));
 *     }
 *
 *     private void temperature(MemorySegment data) throws DeviceFailure {
 *         if (++reads == 1) {
 *             throw new DeviceFailure(Errno.EAGAIN); // the first time only
 *         }
 *         data.set(ValueLayout.JAVA_INT_UNALIGNED, 0, 23);
 *     }
 * }
 *
 * EmulatedKernel.builder(KernelProfile.LINUX_7_2)
 *         .pciFunction("0000:01:00.0", function -> function.variantDriver("thermo-vfio-pci", Thermometer::new));
 * }</pre>
 */
public interface DeviceModel {

    /**
     * The device is opened by its first user.
     *
     * @throws DeviceFailure
     *             if it can't be opened: the answer of VFIO_GROUP_GET_DEVICE_FD
     */
    default void open() throws DeviceFailure {
    }

    /**
     * The same for a PCI function, which can raise interrupts from here on. Without an implementation it is
     * {@link #open()}.
     *
     * @param host
     *            the machine; stays the same as long as the device is there
     * @throws DeviceFailure
     *             if it can't be opened: the answer of VFIO_GROUP_GET_DEVICE_FD
     */
    default void open(DeviceHost host) throws DeviceFailure {
        open();
    }

    /** The device is closed by its last user. Its data descriptors have ended before. */
    default void close() {
    }

    /**
     * VFIO_DEVICE_RESET. If it succeeds, the kernel ends the data descriptors, and the device is
     * {@link io.github.vfio4j.feature.MigrationState#RUNNING}.
     *
     * @throws DeviceFailure
     *             if it fails: nothing changes, not even a device in ERROR
     */
    default void reset() throws DeviceFailure {
    }

    /**
     * The registers of a PCI function: BARs that it answers for itself, by index. Others are memory. Those named here have
     * to be given a size by {@link io.github.vfio4j.emulation.PciFunctionSpec#memoryBar}. Asked once.
     *
     * @return by index, 0‥5
     */
    default Map<Integer, RegionModel> regions() {
        return Map.of();
    }

    /**
     * How the device migrates: features 1, 2, 9 and 12.
     *
     * @return null if it can't
     */
    default @Nullable MigrationModel migration() {
        return null;
    }

    /**
     * How the device logs its DMA writes: features 6, 7 and 8.
     *
     * @return null if it can't
     */
    default @Nullable DmaLoggingModel dmaLogging() {
        return null;
    }

    /**
     * Features that the driver answers itself, beyond those of the kernel's core. Of a number that vfio-pci knows too, the
     * model's counts.
     *
     * @return by index, any that the kernel's core leaves to drivers: 13 to 65535 on every kernel
     */
    default Map<FeatureId, FeatureModel> features() {
        return Map.of();
    }
}
