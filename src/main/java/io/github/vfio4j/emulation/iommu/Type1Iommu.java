package io.github.vfio4j.emulation.iommu;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_TYPE1_IOMMU;
import static io.github.vfio4j.uapi.vfio_h.VFIO_TYPE1v2_IOMMU;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.device.DmaFault;
import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;

/**
 * The type1 IOMMU of a container (struct vfio_iommu, semantics §E.5), with its mappings and its groups. Its requests are
 * classes of their own. Guarded by its container.
 */
public final class Type1Iommu {

    /** The driver's dma_entry_limit. */
    private static final int MAX_MAPPINGS = 65535;

    /** Groups whose drivers imitate DMA leave every page size to choose. */
    private static final long ALL_PAGE_SIZES = 0xffff_ffff_ffff_f000L;

    private final KernelProfile profile;
    private final IommuHardware hardware;
    private final boolean v2;
    private final DmaMappings<Type1Mapping> mappings = new DmaMappings<>();
    private int groupsBehindIommu;
    private int emulatedGroups;
    private boolean leftByHardware;
    private boolean tracking;

    /** An IOMMU without groups, of one of the {@linkplain #isType types}. */
    public Type1Iommu(KernelProfile profile, IommuHardware hardware, int type) {
        this.profile = profile;
        this.hardware = hardware;
        v2 = type != VFIO_TYPE1_IOMMU();
    }

    /** Whether the driver can be opened as this: TYPE1 or TYPE1v2. */
    public static boolean isType(int type) {
        return type == VFIO_TYPE1_IOMMU() || type == VFIO_TYPE1v2_IOMMU();
    }

    /** A group joins; an emulated one is one whose driver imitates DMA. */
    public void attach(boolean emulated) {
        if (mappings.all().stream().anyMatch(mapping -> !mapping.isVaddrValid())) {
            throw new NotModelledException("a group that joins a container with invalidated addresses");
        }
        if (!emulated && groupsBehindIommu == 0 && !mappings.isEmpty()) {
            throw new NotModelledException(
                    "the first group behind an IOMMU in a container with mappings, which it pins");
        }
        if (emulated) {
            emulatedGroups++;
        } else {
            groupsBehindIommu++;
            leftByHardware = false;
        }
    }

    /** A group leaves; the last one is followed by the IOMMU itself. */
    public void detach(boolean emulated) {
        if (emulated) {
            emulatedGroups--;
        } else {
            leftByHardware = --groupsBehindIommu == 0;
        }
    }

    /** A container's ioctl that the container itself does not know. */
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        if (leftByHardware) {
            throw new NotModelledException(
                    "a container whose last group behind an IOMMU has left emulated ones behind");
        }
        if (request == VFIO_IOMMU_GET_INFO()) {
            return new GetInfo(this).ioctl(argument);
        }
        if (request == VFIO_IOMMU_MAP_DMA()) {
            return new MapDma(this).ioctl(call, argument);
        }
        if (request == VFIO_IOMMU_UNMAP_DMA()) {
            return new UnmapDma(this).ioctl(call, argument);
        }
        if (request == VFIO_IOMMU_DIRTY_PAGES() && profile.type1DirtyPages()) {
            return new DirtyPages(this).ioctl(call, argument);
        }
        return -Errno.ENOTTY.code();
    }

    /** A device behind the IOMMU reads or writes what is mapped. */
    public void access(long iova, MemorySegment buffer, boolean write) throws DmaFault {
        new DmaTransfer(mappings, iova, buffer, write).run();
    }

    /** Ends with everything that is mapped. */
    public void release() {
        List.copyOf(mappings.all()).forEach(this::remove);
    }

    void remove(Type1Mapping mapping) {
        mappings.remove(mapping);
        mapping.unpin();
    }

    KernelProfile profile() {
        return profile;
    }

    /** Whether it unmaps whole mappings only, and can track dirty pages. */
    boolean isV2() {
        return v2;
    }

    DmaMappings<Type1Mapping> mappings() {
        return mappings;
    }

    int availableMappings() {
        return MAX_MAPPINGS - mappings.count();
    }

    boolean hasEmulatedGroups() {
        return emulatedGroups > 0;
    }

    /** Whether what is mapped is mapped in hardware, and its memory therefore pinned. */
    boolean pins() {
        return groupsBehindIommu > 0;
    }

    long pageSizes() {
        return pins() ? hardware.pageSizes() : ALL_PAGE_SIZES;
    }

    long pageSize() {
        return Long.lowestOneBit(pageSizes());
    }

    boolean isAligned(long address) {
        return (address & pageSize() - 1) == 0;
    }

    /** Where mappings can be; none: anywhere. */
    List<IovaRange> ranges() {
        return pins() ? hardware.ranges() : List.of();
    }

    boolean isTracking() {
        return tracking;
    }

    void startTracking() {
        if (!tracking) {
            mappings.all().forEach(this::track);
            tracking = true;
        }
    }

    void stopTracking() {
        mappings.all().forEach(mapping -> mapping.setDirty(null));
        tracking = false;
    }

    void track(Type1Mapping mapping) {
        mapping.setDirty(new DirtyBits(mapping.size() / pageSize()));
    }

    /** The bits of a mapping while dirty pages are tracked. */
    static DirtyBits dirty(Type1Mapping mapping) {
        return Objects.requireNonNull(mapping.dirty());
    }

    /** Writes a mapping's bits to where they belong in a bitmap that begins with another address. */
    int report(CallContext call, Type1Mapping mapping, UserBitmap bitmap, long firstIova) {
        DirtyBits dirty = dirty(mapping);
        if (pins() && mapping.isPinned()) {
            dirty.setAll();
        }
        return dirty.copyTo(call, bitmap.address(), Long.divideUnsigned(mapping.iova() - firstIova, pageSize()));
    }

    /** A range of which the last address is below the first is refused, in one way or another. */
    int checkEnd(long first, long size) {
        if (Long.compareUnsigned(first + size - 1, first) < 0) {
            return -profile.type1RangeOverflow().code();
        }
        return 0;
    }

    /** Kernels differ on this one, and in ways that depend on what else is mapped. */
    static void requireEndBelowTop(long first, long size) {
        if (first + size == 0) {
            throw new NotModelledException("a DMA range that ends with the last address there is");
        }
    }
}
