package io.github.vfio4j.emulation.iommufd;

import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP_FIXED_IOVA;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP_READABLE;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP_WRITEABLE;

import io.github.vfio4j.emulation.iommu.DmaAccess;

/** The flags of IOMMU_IOAS_MAP and _COPY. */
record MapFlags(int bits) {

    boolean areKnown() {
        return (bits & ~(IOMMU_IOAS_MAP_FIXED_IOVA() | IOMMU_IOAS_MAP_WRITEABLE() | IOMMU_IOAS_MAP_READABLE())) == 0;
    }

    boolean isFixed() {
        return (bits & IOMMU_IOAS_MAP_FIXED_IOVA()) != 0;
    }

    boolean haveAccess() {
        return access().read() || access().write();
    }

    DmaAccess access() {
        return new DmaAccess((bits & IOMMU_IOAS_MAP_READABLE()) != 0, (bits & IOMMU_IOAS_MAP_WRITEABLE()) != 0);
    }
}
