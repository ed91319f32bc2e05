package io.github.vfio4j.emulation.cdx;

import io.github.vfio4j.emulation.vfio.CoreDevice;
import io.github.vfio4j.emulation.vfio.GroupMember;
import io.github.vfio4j.emulation.vfio.IommuGroup;
import io.github.vfio4j.emulation.vfio.VfioDevices;

/**
 * A device on the CDX bus, bound to vfio-cdx.
 *
 * @param vfioDevice
 *            what the VFIO core has of it
 * @param group
 *            its group, in which nothing else is
 */
public record CdxDevice(CoreDevice vfioDevice, IommuGroup group) implements GroupMember {

    /** A new device in a group. */
    public static CdxDevice create(CdxDriver driver, IommuGroup group, VfioDevices devices) {
        CdxDevice device = new CdxDevice(devices.register(driver, group), group);
        group.add(device);
        return device;
    }

    @Override
    public boolean isEmulated() {
        return false;
    }

    @Override
    public boolean isOwnedByHost() {
        return false;
    }
}
