package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_h;
import io.github.vfio4j.uapi.vfio_region_info;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a region of a device is ({@code VFIO_DEVICE_GET_REGION_INFO}, vfio.h).
 *
 * @param index
 *            its number; of a PCI device 0‥5 are the BARs, 6 the ROM, 7 configuration space
 * @param flags
 *            {@code VFIO_REGION_INFO_FLAG_…}
 * @param size
 *            bytes; 0 for one that the device does not have
 * @param offset
 *            where it begins in the device's file
 * @param sparseAreas
 *            the parts that can be mapped, where not all can be; empty otherwise
 * @param type
 *            what it is, of a region beyond the bus's own
 * @param msixMappable
 *            whether the kernel lets the MSI-X table be mapped with the rest
 * @param capabilities
 *            all capabilities, unknown ones included
 */
public record RegionInfo(int index, int flags, long size, long offset, List<RegionArea> sparseAreas,
        Optional<RegionType> type, boolean msixMappable, List<InfoCapability> capabilities) {

    private static final long SIZE = vfio_region_info.sizeof();
    /** A number and padding, then a pair for each area. */
    private static final int AREAS = 8;
    private static final int AREA_SIZE = 16;

    /**
     * Information with copies of the lists.
     */
    public RegionInfo {
        sparseAreas = List.copyOf(sparseAreas);
        capabilities = List.copyOf(capabilities);
    }

    /**
     * Asks a device.
     *
     * @param device
     *            any device
     * @param index
     *            the region's number
     * @return its information
     * @throws VfioException
     *             {@code EINVAL} if there is no such index; and if the answer is malformed
     */
    public static RegionInfo of(DeviceHandle device, int index) throws VfioException {
        String operation = "VFIO_DEVICE_GET_REGION_INFO of region " + index + " of " + device;
        InfoRequest request = new InfoRequest(device, operation, vfio_h.VFIO_DEVICE_GET_REGION_INFO(), SIZE,
                vfio_region_info.flags$offset(), vfio_h.VFIO_REGION_INFO_FLAG_CAPS(),
                vfio_region_info.cap_offset$offset());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment answer = request.make(arena, argument -> vfio_region_info.index(argument, index),
                    Map.of(Errno.EINVAL, "The device has no region of this index"));
            long size = vfio_region_info.size(answer);
            long offset = vfio_region_info.offset(answer);
            if (size < 0 || offset < 0 || offset + size < 0) {
                throw CapabilityChain.malformed(operation, "a region of " + Long.toUnsignedString(size) + " bytes");
            }
            List<InfoCapability> capabilities = request.capabilities(answer);
            List<RegionArea> areas = new ArrayList<>();
            Optional<RegionType> type = Optional.empty();
            boolean msixMappable = false;
            for (InfoCapability capability : capabilities) {
                MemorySegment data = MemorySegment.ofArray(capability.data());
                if (capability.id() == vfio_h.VFIO_REGION_INFO_CAP_SPARSE_MMAP()) {
                    areas.addAll(areas(operation, data, size));
                } else if (capability.id() == vfio_h.VFIO_REGION_INFO_CAP_TYPE()) {
                    type = Optional.of(type(operation, data));
                } else if (capability.id() == vfio_h.VFIO_REGION_INFO_CAP_MSIX_MAPPABLE()) {
                    msixMappable = true;
                }
            }
            return new RegionInfo(index, vfio_region_info.flags(answer), size, offset, areas, type, msixMappable,
                    capabilities);
        }
    }

    private static List<RegionArea> areas(String operation, MemorySegment data, long regionSize) throws VfioException {
        long count = data.byteSize() < AREAS ? 0 : Integer.toUnsignedLong(data.get(JAVA_INT_UNALIGNED, 0));
        if (data.byteSize() < AREAS || count > (data.byteSize() - AREAS) / AREA_SIZE) {
            throw CapabilityChain.malformed(operation, count + " areas in " + data.byteSize() + " bytes");
        }
        List<RegionArea> areas = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            long start = data.get(JAVA_LONG_UNALIGNED, AREAS + (long) i * AREA_SIZE);
            long length = data.get(JAVA_LONG_UNALIGNED, AREAS + (long) i * AREA_SIZE + Long.BYTES);
            if (start < 0 || length < 0 || length > regionSize - start) {
                throw CapabilityChain.malformed(operation, "an area of " + Long.toUnsignedString(length) + " bytes at "
                        + Long.toUnsignedString(start) + " in a region of " + regionSize);
            }
            if (length > 0) {
                areas.add(new RegionArea(start, length));
            }
        }
        return areas;
    }

    private static RegionType type(String operation, MemorySegment data) throws VfioException {
        if (data.byteSize() < 2 * Integer.BYTES) {
            throw CapabilityChain.malformed(operation, "a type of " + data.byteSize() + " bytes");
        }
        return new RegionType(data.get(JAVA_INT_UNALIGNED, 0), data.get(JAVA_INT_UNALIGNED, Integer.BYTES));
    }

    /**
     * Whether it can be read.
     *
     * @return the flag READ
     */
    public boolean isReadable() {
        return (flags & vfio_h.VFIO_REGION_INFO_FLAG_READ()) != 0;
    }

    /**
     * Whether it can be written.
     *
     * @return the flag WRITE
     */
    public boolean isWritable() {
        return (flags & vfio_h.VFIO_REGION_INFO_FLAG_WRITE()) != 0;
    }

    /**
     * Whether it can be mapped, or parts of it.
     *
     * @return the flag MMAP
     */
    public boolean isMappable() {
        return (flags & vfio_h.VFIO_REGION_INFO_FLAG_MMAP()) != 0;
    }
}
