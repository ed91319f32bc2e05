package io.github.vfio4j.emulation.vfio;

/**
 * A driver's answer to VFIO_DEVICE_GET_REGION_INFO.
 *
 * @param flags
 *            VFIO_REGION_INFO_FLAG_*, without that for capabilities
 * @param size
 *            bytes
 * @param offset
 *            where it begins in the device's file
 * @param capability
 *            the id of a capability without contents; 0 for none
 */
public record RegionInfo(int flags, long size, long offset, int capability) {

    /** A region without capabilities. */
    public static RegionInfo of(int flags, long size, long offset) {
        return new RegionInfo(flags, size, offset, 0);
    }
}
