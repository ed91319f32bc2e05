package io.github.vfio4j.emulation.iommufd;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.ExtensibleStruct;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommufd.AddressSpace.Outcome;
import io.github.vfio4j.uapi.iommu_ioas_unmap;
import java.lang.foreign.MemorySegment;

/** IOMMU_IOAS_UNMAP: ends mappings, none of which it may cut. That of everything succeeds even if there is nothing. */
record IoasUnmap(Iommufd iommufd) {

    private static final long MAX = -1;

    int execute(MemorySegment argument, MemorySegment command) {
        AddressSpace space = iommufd.addressSpace(UserMemory.getInt(command, iommu_ioas_unmap.ioas_id$offset()));
        if (space == null) {
            return -Errno.ENOENT.code();
        }
        long iova = UserMemory.getLong(command, iommu_ioas_unmap.iova$offset());
        long length = UserMemory.getLong(command, iommu_ioas_unmap.length$offset());
        boolean everything = iova == 0 && length == MAX;
        Outcome outcome = everything ? space.unmap(0, MAX) : unmap(space, iova, length);
        if (outcome.error() != 0) {
            return outcome.error();
        }
        UserMemory.putLong(command, iommu_ioas_unmap.length$offset(), outcome.value());
        return ExtensibleStruct.answer(argument, command);
    }

    private static Outcome unmap(AddressSpace space, long iova, long length) {
        if (iova == MAX || length == MAX) {
            return Outcome.failure(Errno.EOVERFLOW);
        }
        Outcome outcome = unmapRange(space, iova, length);
        return outcome.error() == 0 && outcome.value() == 0 ? Outcome.failure(Errno.ENOENT) : outcome;
    }

    static Outcome unmapRange(AddressSpace space, long iova, long length) {
        if (length == 0) {
            return Outcome.failure(Errno.EINVAL);
        }
        long last = iova + length - 1;
        return Long.compareUnsigned(last, iova) < 0 ? Outcome.failure(Errno.EOVERFLOW) : space.unmap(iova, last);
    }
}
