package io.github.vfio4j.emulation.iommufd;

import static io.github.vfio4j.uapi.vfio_h.VFIO_API_VERSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_CHECK_EXTENSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_CC_IOMMU;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_MAP_FLAG_READ;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_MAP_FLAG_WRITE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DMA_UNMAP_FLAG_ALL;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GET_API_VERSION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;
import static io.github.vfio4j.uapi.vfio_h.VFIO_TYPE1_IOMMU;
import static io.github.vfio4j.uapi.vfio_h.VFIO_TYPE1v2_IOMMU;
import static io.github.vfio4j.uapi.vfio_h.VFIO_UNMAP_ALL;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_iommu_type1_dma_map;
import io.github.vfio4j.uapi.vfio_iommu_type1_dma_unmap;
import io.github.vfio4j.uapi.vfio_iommu_type1_info;
import java.lang.foreign.MemorySegment;

/**
 * The requests of a container, on an iommufd in place of one (semantics §E.1). They work on one address space of the
 * iommufd, which comes with the first group.
 */
record VfioCompat(Iommufd iommufd) {

    private static final long GET_INFO_SIZE = vfio_iommu_type1_info.cap_offset$offset();

    int ioctl(int request, MemorySegment argument) {
        if (request == VFIO_GET_API_VERSION()) {
            return VFIO_API_VERSION();
        }
        if (request == VFIO_CHECK_EXTENSION()) {
            return checkExtension(argument.address());
        }
        if (request == VFIO_SET_IOMMU()) {
            return setIommu(argument.address());
        }
        if (request == VFIO_IOMMU_GET_INFO()) {
            return ioasRequest(argument, GET_INFO_SIZE, -1);
        }
        if (request == VFIO_IOMMU_MAP_DMA()) {
            return ioasRequest(argument, vfio_iommu_type1_dma_map.sizeof(),
                    VFIO_DMA_MAP_FLAG_READ() | VFIO_DMA_MAP_FLAG_WRITE());
        }
        if (request == VFIO_IOMMU_UNMAP_DMA()) {
            return ioasRequest(argument, vfio_iommu_type1_dma_unmap.sizeof(), VFIO_DMA_UNMAP_FLAG_ALL());
        }
        return -Errno.ENOTTY.code();
    }

    private int checkExtension(long extension) {
        if (extension == VFIO_TYPE1_IOMMU() || extension == VFIO_TYPE1v2_IOMMU() || extension == VFIO_UNMAP_ALL()) {
            return 1;
        }
        if (extension == VFIO_DMA_CC_IOMMU()) {
            return checkCoherency();
        }
        // VFIO_NOIOMMU_IOMMU is 1 on kernels built with it, which these are not.
        return 0;
    }

    /** The emulated IOMMU leaves the coherency of DMA to the devices: there is nothing to enforce only without them. */
    private int checkCoherency() {
        return iommufd.compatIoas() < 0 ? -Errno.ENODEV.code() : iommufd.isCompatIoasInHardware() ? 0 : 1;
    }

    private int setIommu(long type) {
        if (type != VFIO_TYPE1_IOMMU() && type != VFIO_TYPE1v2_IOMMU()) {
            return -Errno.EINVAL.code();
        }
        return Math.min(iommufd.compatIoas(), 0);
    }

    /** The checks of a request on the address space; GET_INFO takes no flags and looks at none. */
    private int ioasRequest(MemorySegment argument, long size, int knownFlags) {
        if (!UserMemory.mapped(argument, 0, size)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, 0));
        if (argsz < size || (UserMemory.getInt(argument, Integer.BYTES) & ~knownFlags) != 0) {
            return -Errno.EINVAL.code();
        }
        if (iommufd.compatIoas() < 0) {
            return -Errno.ENODEV.code();
        }
        throw new NotModelledException("DMA mapping and its limits with an iommufd in place of a container");
    }
}
