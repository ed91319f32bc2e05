package io.github.vfio4j.emulation.vfio;

/**
 * A device that is not on the PCI bus, alone in its IOMMU group: a mediated one, or one on the CDX bus.
 *
 * @param vfioDevice
 *            what the VFIO core has of it
 * @param group
 *            its group, in which nothing else is
 * @param isEmulated
 *            whether its driver imitates DMA, so that it is behind no IOMMU
 */
public record LoneDevice(CoreDevice vfioDevice, IommuGroup group, boolean isEmulated) implements GroupMember {

    /** A new device in a group. */
    public static LoneDevice create(Driver driver, IommuGroup group, boolean isEmulated, VfioDevices devices) {
        LoneDevice device = new LoneDevice(devices.register(driver, group), group, isEmulated);
        group.add(device);
        return device;
    }

    @Override
    public boolean isOwnedByHost() {
        return false;
    }
}
