package io.github.vfio4j.device;

import io.github.vfio4j.PciAddress;

/**
 * A PCI function that is reset together with another.
 *
 * @param address
 *            where it is
 * @param id
 *            the number of its IOMMU group; or, if {@link HotResetInfo#byDeviceId} says so, its number in the iommufd that
 *            the asking device is bound to, 0 for one that needs no number there, −1 for one that is not the program's
 */
public record DependentDevice(PciAddress address, int id) {
}
