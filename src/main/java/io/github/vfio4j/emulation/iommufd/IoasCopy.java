package io.github.vfio4j.emulation.iommufd;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.ExtensibleStruct;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommufd.AddressSpace.Outcome;
import io.github.vfio4j.emulation.iommufd.AddressSpace.Pages;
import io.github.vfio4j.uapi.iommu_ioas_copy;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.OptionalLong;

/** IOMMU_IOAS_COPY: maps what is mapped already once more, in the same address space or another. */
record IoasCopy(Iommufd iommufd) {

    private static final long MAX = -1;

    int execute(MemorySegment argument, MemorySegment command) {
        MapFlags flags = new MapFlags(UserMemory.getInt(command, iommu_ioas_copy.flags$offset()));
        if (!flags.areKnown()) {
            return -Errno.EOPNOTSUPP.code();
        }
        long length = UserMemory.getLong(command, iommu_ioas_copy.length$offset());
        long from = UserMemory.getLong(command, iommu_ioas_copy.src_iova$offset());
        long to = UserMemory.getLong(command, iommu_ioas_copy.dst_iova$offset());
        if (length == MAX || from == MAX || to == MAX) {
            return -Errno.EOVERFLOW.code();
        }
        if (!flags.haveAccess()) {
            return -Errno.EINVAL.code();
        }
        AddressSpace source = iommufd.addressSpace(UserMemory.getInt(command, iommu_ioas_copy.src_ioas_id$offset()));
        if (source == null) {
            return -Errno.ENOENT.code();
        }
        if (length == 0) {
            return -Errno.EINVAL.code();
        }
        if (Long.compareUnsigned(from + length - 1, from) < 0) {
            return -Errno.EOVERFLOW.code();
        }
        List<Pages> pages = source.pages(from, from + length - 1);
        AddressSpace target = iommufd.addressSpace(UserMemory.getInt(command, iommu_ioas_copy.dst_ioas_id$offset()));
        if (pages.isEmpty() || target == null) {
            return -Errno.ENOENT.code();
        }
        if (pages.stream().anyMatch(piece -> piece.account().isLimited())) {
            throw new NotModelledException("memory that is mapped twice and counted as locked once");
        }
        Outcome outcome = target.map(pages, flags.isFixed() ? OptionalLong.of(to) : OptionalLong.empty(),
                flags.access());
        if (outcome.error() != 0) {
            return outcome.error();
        }
        UserMemory.putLong(command, iommu_ioas_copy.dst_iova$offset(), outcome.value());
        return ExtensibleStruct.answer(argument, command);
    }
}
