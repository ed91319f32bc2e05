package io.github.vfio4j.emulation.mdev;

import io.github.vfio4j.emulation.vfio.CoreDevice;
import io.github.vfio4j.emulation.vfio.Driver;
import io.github.vfio4j.emulation.vfio.GroupMember;
import io.github.vfio4j.emulation.vfio.IommuGroup;
import io.github.vfio4j.emulation.vfio.VfioDevices;

/**
 * A mediated device: made by a driver, without a bus or an IOMMU behind it, but with a group.
 *
 * @param vfioDevice
 *            what the VFIO core has of it
 * @param group
 *            its group, in which nothing else is
 */
public record MdevDevice(CoreDevice vfioDevice, IommuGroup group) implements GroupMember {

    /** A new device in a group. */
    public static MdevDevice create(Driver driver, IommuGroup group, VfioDevices devices) {
        MdevDevice device = new MdevDevice(devices.register(driver, group), group);
        group.add(device);
        return device;
    }

    @Override
    public boolean isEmulated() {
        return true;
    }

    @Override
    public boolean isOwnedByHost() {
        return false;
    }
}
