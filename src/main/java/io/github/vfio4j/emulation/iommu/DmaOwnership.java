package io.github.vfio4j.emulation.iommu;

import io.github.vfio4j.Errno;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Who lets the devices of an IOMMU group do DMA (owner and owner_cnt of struct iommu_group): drivers of the host, or one
 * owner who gives it to user space. A container claims a group that is free, an iommufd claims it once for each device.
 */
public final class DmaOwnership {

    private final BooleanSupplier usedByHost;
    private @Nullable Object owner;
    private int claims;

    /**
     * Unclaimed.
     *
     * @param usedByHost
     *            whether a driver of the host uses one of the devices
     */
    public DmaOwnership(BooleanSupplier usedByHost) {
        this.usedByHost = usedByHost;
    }

    /** Whether anybody has any of the group's devices. */
    public synchronized boolean isClaimed() {
        return claims > 0 || usedByHost.getAsBoolean();
    }

    /** Claims the group once more, unless anybody else has any of its devices: {@code −EPERM}. */
    public synchronized int claim(Object claimant) {
        if (isClaimed() && !claimant.equals(owner)) {
            return -Errno.EPERM.code();
        }
        owner = claimant;
        claims++;
        return 0;
    }

    /** Gives one claim back. */
    public synchronized void release() {
        if (--claims == 0) {
            owner = null;
        }
    }
}
