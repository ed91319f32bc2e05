package io.github.vfio4j.emulation.iommu;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_iommu_type1_dirty_bitmap;
import io.github.vfio4j.uapi.vfio_iommu_type1_dirty_bitmap_get;
import java.lang.foreign.MemorySegment;

/** VFIO_IOMMU_DIRTY_PAGES; its number is that of VFIO_DEVICE_FEATURE on a device. */
record DirtyPages(Type1Iommu iommu) {

    private static final long HEADER_SIZE = vfio_iommu_type1_dirty_bitmap.sizeof();
    private static final long GET_SIZE = vfio_iommu_type1_dirty_bitmap_get.sizeof();
    private static final int START = VFIO_IOMMU_DIRTY_PAGES_FLAG_START();
    private static final int STOP = VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP();
    private static final int GET_BITMAP = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP();

    int ioctl(CallContext call, MemorySegment argument) {
        if (!iommu.isV2()) {
            return -Errno.EACCES.code();
        }
        if (!UserMemory.mapped(argument, 0, HEADER_SIZE)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, vfio_iommu_type1_dirty_bitmap.argsz$offset()));
        int flags = UserMemory.getInt(argument, vfio_iommu_type1_dirty_bitmap.flags$offset());
        if (argsz < HEADER_SIZE || (flags & ~(START | STOP | GET_BITMAP)) != 0 || Integer.bitCount(flags) != 1) {
            return -Errno.EINVAL.code();
        }
        if (flags == START) {
            iommu.startTracking();
            return 0;
        }
        if (flags == STOP) {
            iommu.stopTracking();
            return 0;
        }
        if (argsz - HEADER_SIZE < GET_SIZE) {
            return -Errno.EINVAL.code();
        }
        return UserMemory.mapped(argument, HEADER_SIZE, GET_SIZE)
                ? getBitmap(call, argument.asSlice(HEADER_SIZE, GET_SIZE))
                : -Errno.EFAULT.code();
    }

    private int getBitmap(CallContext call, MemorySegment range) {
        long iova = UserMemory.getLong(range, vfio_iommu_type1_dirty_bitmap_get.iova$offset());
        long size = UserMemory.getLong(range, vfio_iommu_type1_dirty_bitmap_get.size$offset());
        UserBitmap bitmap = UserBitmap.at(range, vfio_iommu_type1_dirty_bitmap_get.bitmap$offset());
        if (size == 0) {
            return -Errno.EINVAL.code();
        }
        int error = iommu.checkEnd(iova, size);
        error = error != 0 ? error : bitmap.check(size);
        if (error != 0) {
            return error;
        }
        if (bitmap.pageSize() != iommu.pageSize() || !iommu.isAligned(iova | size) || !iommu.isTracking()) {
            return -Errno.EINVAL.code();
        }
        Type1Iommu.requireEndBelowTop(iova, size);
        long last = iova + size - 1;
        if (iommu.mappings().isCutBy(iova, last)) {
            return -Errno.EINVAL.code();
        }
        for (Type1Mapping mapping : iommu.mappings().overlapping(iova, last)) {
            error = iommu.report(call, mapping, bitmap, iova);
            if (error != 0) {
                return error;
            }
            Type1Iommu.dirty(mapping).clear();
        }
        return 0;
    }
}
