package io.github.vfio4j.emulation.vfio;

import org.jspecify.annotations.Nullable;

/** A device in an IOMMU group. */
public interface GroupMember {

    /** The VFIO device it is; null while no VFIO driver is bound to it. */
    @Nullable
    CoreDevice vfioDevice();

    /** Whether a driver of the host uses it for DMA. */
    boolean isOwnedByHost();

    /** Whether its driver imitates DMA, so that it is behind no IOMMU. */
    boolean isEmulated();
}
