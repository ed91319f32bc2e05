package io.github.vfio4j.emulation.iommufd;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.ExtensibleStruct;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommu.IovaRange;
import io.github.vfio4j.uapi.iommu_ioas_iova_ranges;
import io.github.vfio4j.uapi.iommu_iova_range;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** IOMMU_IOAS_IOVA_RANGES: the addresses that can be mapped, as far as there is room for them, and how many there are. */
record IovaRanges(Iommufd iommufd) {

    int execute(CallContext call, MemorySegment argument, MemorySegment command) {
        if (UserMemory.getInt(command, iommu_ioas_iova_ranges.__reserved$offset()) != 0) {
            return -Errno.EOPNOTSUPP.code();
        }
        AddressSpace space = iommufd.addressSpace(UserMemory.getInt(command, iommu_ioas_iova_ranges.ioas_id$offset()));
        if (space == null) {
            return -Errno.ENOENT.code();
        }
        List<IovaRange> ranges = space.ranges();
        long room = Integer.toUnsignedLong(UserMemory.getInt(command, iommu_ioas_iova_ranges.num_iovas$offset()));
        long at = UserMemory.getLong(command, iommu_ioas_iova_ranges.allowed_iovas$offset());
        for (IovaRange range : ranges.subList(0, (int) Math.min(room, ranges.size()))) {
            int error = copy(call, at, range);
            if (error != 0) {
                return error;
            }
            at += iommu_iova_range.sizeof();
        }
        UserMemory.putInt(command, iommu_ioas_iova_ranges.num_iovas$offset(), ranges.size());
        UserMemory.putLong(command, iommu_ioas_iova_ranges.out_iova_alignment$offset(), space.alignment());
        int error = ExtensibleStruct.answer(argument, command);
        return error != 0 ? error : ranges.size() > room ? -Errno.EMSGSIZE.code() : 0;
    }

    private static int copy(CallContext call, long address, IovaRange range) {
        MemorySegment memory = call.memoryAt(address);
        if (memory == null) {
            return -Errno.EFAULT.code();
        }
        int error = UserMemory.copyLong(memory, iommu_iova_range.start$offset(), range.first());
        return error != 0 ? error : UserMemory.copyLong(memory, iommu_iova_range.last$offset(), range.last());
    }
}
