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
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommu.DmaAccess;
import io.github.vfio4j.emulation.iommufd.AddressSpace.Outcome;
import io.github.vfio4j.uapi.vfio_iommu_type1_dma_map;
import io.github.vfio4j.uapi.vfio_iommu_type1_dma_unmap;
import java.lang.foreign.MemorySegment;
import java.util.OptionalLong;
import java.util.function.ToIntFunction;

/**
 * The requests of a container, on an iommufd in place of one (semantics §E.1). They work on one address space of the
 * iommufd, which comes with the first group.
 */
record VfioCompat(Iommufd iommufd, KernelProfile profile) {

    int ioctl(CallContext call, int request, MemorySegment argument) {
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
            return ioasRequest(argument, CompatInfo.MIN_SIZE, -1, space -> new CompatInfo(space).answer(argument));
        }
        if (request == VFIO_IOMMU_MAP_DMA()) {
            return ioasRequest(argument, vfio_iommu_type1_dma_map.sizeof(),
                    VFIO_DMA_MAP_FLAG_READ() | VFIO_DMA_MAP_FLAG_WRITE(), space -> map(call, space, argument));
        }
        if (request == VFIO_IOMMU_UNMAP_DMA()) {
            return ioasRequest(argument, vfio_iommu_type1_dma_unmap.sizeof(), VFIO_DMA_UNMAP_FLAG_ALL(),
                    space -> unmap(space, argument));
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
        AddressSpace space = iommufd.compatAddressSpace();
        if (space == null) {
            return -Errno.ENODEV.code();
        }
        // The first version of type1 may cut mappings.
        return type == VFIO_TYPE1_IOMMU() ? space.useSmallPages() : 0;
    }

    /** The checks of a request on the address space; GET_INFO takes no flags and looks at none. */
    private int ioasRequest(MemorySegment argument, long size, int knownFlags, ToIntFunction<AddressSpace> execution) {
        if (!UserMemory.mapped(argument, 0, size)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, 0));
        if (argsz < size || (UserMemory.getInt(argument, Integer.BYTES) & ~knownFlags) != 0) {
            return -Errno.EINVAL.code();
        }
        AddressSpace space = iommufd.compatAddressSpace();
        return space == null ? -Errno.ENODEV.code() : execution.applyAsInt(space);
    }

    private int map(CallContext call, AddressSpace space, MemorySegment argument) {
        int flags = UserMemory.getInt(argument, vfio_iommu_type1_dma_map.flags$offset());
        DmaAccess access = new DmaAccess((flags & VFIO_DMA_MAP_FLAG_READ()) != 0,
                (flags & VFIO_DMA_MAP_FLAG_WRITE()) != 0);
        return new IoasMap(iommufd, profile)
                .map(call, space, UserMemory.getLong(argument, vfio_iommu_type1_dma_map.vaddr$offset()),
                        UserMemory.getLong(argument, vfio_iommu_type1_dma_map.size$offset()),
                        OptionalLong.of(UserMemory.getLong(argument, vfio_iommu_type1_dma_map.iova$offset())), access)
                .error();
    }

    /** How much has been unmapped is told, even when a mapping that would be cut has ended it. */
    private static int unmap(AddressSpace space, MemorySegment argument) {
        long iova = UserMemory.getLong(argument, vfio_iommu_type1_dma_unmap.iova$offset());
        long size = UserMemory.getLong(argument, vfio_iommu_type1_dma_unmap.size$offset());
        Outcome outcome;
        if (UserMemory.getInt(argument, vfio_iommu_type1_dma_unmap.flags$offset()) == VFIO_DMA_UNMAP_FLAG_ALL()) {
            if (iova != 0 || size != 0) {
                return -Errno.EINVAL.code();
            }
            outcome = space.unmap(0, -1);
        } else {
            int error = space.usesSmallPages() ? cut(space, iova, size) : 0;
            if (error != 0) {
                return error;
            }
            outcome = IoasUnmap.unmapRange(space, iova, size);
        }
        if (argument.isReadOnly()) {
            return -Errno.EFAULT.code();
        }
        UserMemory.putLong(argument, vfio_iommu_type1_dma_unmap.size$offset(), outcome.value());
        return outcome.error();
    }

    private static int cut(AddressSpace space, long iova, long size) {
        int error = space.cut(iova + size - 1);
        return error != 0 || iova == 0 ? error : space.cut(iova - 1);
    }
}
