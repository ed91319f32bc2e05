package io.github.vfio4j.emulation.iommufd;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.ExtensibleStruct;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommu.DmaAccess;
import io.github.vfio4j.emulation.iommu.DmaMemory;
import io.github.vfio4j.emulation.iommufd.AddressSpace.Outcome;
import io.github.vfio4j.emulation.iommufd.AddressSpace.Pages;
import io.github.vfio4j.uapi.iommu_ioas_map;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.OptionalLong;

/** IOMMU_IOAS_MAP: maps memory of the calling program. */
record IoasMap(Iommufd iommufd, KernelProfile profile) {

    private static final long MAX = -1;
    private static final long PAGE = 4096;

    int execute(CallContext call, MemorySegment argument, MemorySegment command) {
        MapFlags flags = new MapFlags(UserMemory.getInt(command, iommu_ioas_map.flags$offset()));
        if (!flags.areKnown() || UserMemory.getInt(command, iommu_ioas_map.__reserved$offset()) != 0) {
            return -Errno.EOPNOTSUPP.code();
        }
        long iova = UserMemory.getLong(command, iommu_ioas_map.iova$offset());
        long length = UserMemory.getLong(command, iommu_ioas_map.length$offset());
        if (iova == MAX || length == MAX) {
            return -Errno.EOVERFLOW.code();
        }
        if (!flags.haveAccess()) {
            return -Errno.EINVAL.code();
        }
        AddressSpace space = iommufd.addressSpace(UserMemory.getInt(command, iommu_ioas_map.ioas_id$offset()));
        if (space == null) {
            return -Errno.ENOENT.code();
        }
        Outcome outcome = map(call, space, UserMemory.getLong(command, iommu_ioas_map.user_va$offset()), length,
                flags.isFixed() ? OptionalLong.of(iova) : OptionalLong.empty(), flags.access());
        if (outcome.error() != 0) {
            return outcome.error();
        }
        UserMemory.putLong(command, iommu_ioas_map.iova$offset(), outcome.value());
        // Whoever can't be told where it is has it mapped all the same.
        return ExtensibleStruct.answer(argument, command);
    }

    Outcome map(CallContext call, AddressSpace space, long address, long length, OptionalLong fixed, DmaAccess access) {
        if (profile.iommufdChecksVaddr() && Long.compareUnsigned(address + length, address) < 0) {
            return Outcome.failure(Errno.EOVERFLOW);
        }
        if (length == 0 || Long.compareUnsigned(length, MAX - PAGE) > 0) {
            return Outcome.failure(Errno.EINVAL);
        }
        Pages pages = new Pages(DmaMemory.of(call, address, length), access.write(), call.lockedMemory());
        return space.map(List.of(pages), fixed, access);
    }
}
