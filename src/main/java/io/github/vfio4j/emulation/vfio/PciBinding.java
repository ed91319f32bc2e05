package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.emulation.device.DeviceModel;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The driver a PCI function is bound to.
 *
 * @param driver
 *            its name
 * @param model
 *            makes the device that a variant driver of vfio-pci drives; null for any other driver
 */
public record PciBinding(String driver, @Nullable Supplier<? extends DeviceModel> model) {

    /** The driver of vfio-pci itself. */
    public static final String VFIO_PCI = "vfio-pci";

    /** Drivers that leave the DMA of their devices to others, so that a group stays viable. */
    private static final Set<String> NO_OWN_DMA = Set.of(VFIO_PCI, "pci-stub", "pcieport");

    /** vfio-pci. */
    public static PciBinding vfioPci() {
        return to(VFIO_PCI);
    }

    /** A driver without a model. */
    public static PciBinding to(String driver) {
        return new PciBinding(driver, null);
    }

    /** Whether a function gets a VFIO device by it. */
    boolean isVfio() {
        return model != null || driver.equals(VFIO_PCI);
    }

    /** A device for one function; null if its driver has no model. */
    @Nullable
    DeviceModel newModel() {
        return model == null ? null : model.get();
    }

    /** Whether the driver uses its device for DMA of the host. */
    boolean isOwnedByHost() {
        return model == null && !NO_OWN_DMA.contains(driver);
    }
}
