package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.emulation.KernelProfile;

/** What the type1 IOMMU driver knows by number (semantics §E.1, §E.5). */
final class Type1 {

    private Type1() {
    }

    /** Whether it can be opened as this: TYPE1, TYPE1v2 or NESTING. */
    static boolean isIommuType(int type) {
        return type == 1 || type == 3 || type == 6;
    }

    /** Whether it has this request. */
    static boolean isKnown(KernelProfile profile, int request) {
        return request == Requests.IOMMU_GET_INFO || request == Requests.IOMMU_MAP_DMA
                || request == Requests.IOMMU_UNMAP_DMA
                || (request == Requests.IOMMU_DIRTY_PAGES && profile.type1DirtyPages());
    }
}
