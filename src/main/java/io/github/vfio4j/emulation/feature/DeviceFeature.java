package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;

/**
 * One device feature of one device: what happens behind the dispatch of VFIO_DEVICE_FEATURE. An implementation does its
 * own pre-checks, then {@link FeatureCheck}, then the work.
 */
public interface DeviceFeature {

    /** Where a feature's data begins in the argument. */
    long DATA = 8;

    /**
     * Carries the request out.
     *
     * @param flags
     *            the flags word; the header checks have passed
     * @param dataLength
     *            argsz − 8: how much data the caller claims, which need not be mapped
     * @param argument
     *            the caller's memory, header first
     * @param call
     *            who calls
     * @return ≥ 0, or −errno
     */
    int ioctl(int flags, long dataLength, MemorySegment argument, CallContext call);
}
