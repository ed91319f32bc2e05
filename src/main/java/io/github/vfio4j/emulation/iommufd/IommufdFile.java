package io.github.vfio4j.emulation.iommufd;

import static io.github.vfio4j.uapi.iommufd_h.IOMMUFD_CMD_BASE;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_DESTROY;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_ALLOC;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_COPY;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_IOVA_RANGES;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_MAP;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_IOAS_UNMAP;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_VFIO_IOAS;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_VFIO_IOAS_CLEAR;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_VFIO_IOAS_GET;
import static io.github.vfio4j.uapi.iommufd_h.IOMMU_VFIO_IOAS_SET;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.ExtensibleStruct;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommu.IommuHardware;
import io.github.vfio4j.uapi.iommu_destroy;
import io.github.vfio4j.uapi.iommu_ioas_alloc;
import io.github.vfio4j.uapi.iommu_ioas_copy;
import io.github.vfio4j.uapi.iommu_ioas_iova_ranges;
import io.github.vfio4j.uapi.iommu_ioas_map;
import io.github.vfio4j.uapi.iommu_ioas_unmap;
import io.github.vfio4j.uapi.iommu_vfio_ioas;
import java.lang.foreign.MemorySegment;
import java.util.function.ToIntFunction;

/**
 * An open /dev/iommu (linux/iommufd.h). Its own requests are a consecutive range, and each begins with the size of its
 * structure; every other number is one of a container, or unknown.
 *
 * <p>
 * It stays open while a device is bound to it, even when its own descriptor is closed.
 */
public final class IommufdFile extends OpenFile {

    private static final int NUMBER = 0xff;
    private static final int FIRST_NUMBER = IOMMUFD_CMD_BASE();

    private final KernelProfile profile;
    private final Iommufd iommufd;
    private final VfioCompat compat;

    /** open(2): a new one each time, without objects. */
    public IommufdFile(KernelProfile profile, IommuHardware hardware, boolean readable, boolean writable) {
        super(readable, writable);
        this.profile = profile;
        iommufd = new Iommufd(hardware);
        compat = new VfioCompat(iommufd, profile);
    }

    /** What it stands for. */
    public Iommufd iommufd() {
        return iommufd;
    }

    @Override
    public String toString() {
        return "iommufd";
    }

    @Override
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        int number = request & NUMBER;
        if (number < FIRST_NUMBER || number > profile.lastIommufdRequest()) {
            return compat.ioctl(call, request, argument);
        }
        if (!UserMemory.mapped(argument, 0, Integer.BYTES)) {
            return -Errno.EFAULT.code();
        }
        if (request == IOMMU_DESTROY()) {
            return execute(argument, iommu_destroy.sizeof(),
                    command -> iommufd.destroy(UserMemory.getInt(command, iommu_destroy.id$offset())));
        }
        if (request == IOMMU_IOAS_ALLOC()) {
            return execute(argument, iommu_ioas_alloc.sizeof(), command -> allocateIoas(argument, command));
        }
        if (request == IOMMU_VFIO_IOAS()) {
            return execute(argument, iommu_vfio_ioas.sizeof(), command -> vfioIoas(argument, command));
        }
        if (request == IOMMU_IOAS_IOVA_RANGES()) {
            return execute(argument, iommu_ioas_iova_ranges.sizeof(),
                    command -> new IovaRanges(iommufd).execute(call, argument, command));
        }
        if (request == IOMMU_IOAS_MAP()) {
            return execute(argument, iommu_ioas_map.sizeof(),
                    command -> new IoasMap(iommufd, profile).execute(call, argument, command));
        }
        if (request == IOMMU_IOAS_COPY()) {
            return execute(argument, iommu_ioas_copy.sizeof(),
                    command -> new IoasCopy(iommufd).execute(argument, command));
        }
        if (request == IOMMU_IOAS_UNMAP()) {
            return execute(argument, iommu_ioas_unmap.sizeof(),
                    command -> new IoasUnmap(iommufd).execute(argument, command));
        }
        return unknown(request);
    }

    /** Another number that ends alike is unknown; the others of the range are requests. */
    private static int unknown(int request) {
        if ((request & ~NUMBER) == (IOMMU_DESTROY() & ~NUMBER)) {
            throw new NotModelledException("the iommufd request 0x" + Integer.toHexString(request)
                    + " (options, page tables, hardware information)");
        }
        return -Errno.ENOTTY.code();
    }

    private static int execute(MemorySegment argument, long size, ToIntFunction<MemorySegment> execution) {
        long userSize = Integer.toUnsignedLong(UserMemory.getInt(argument, 0));
        if (userSize < size) {
            return -Errno.EINVAL.code();
        }
        MemorySegment command = MemorySegment.ofArray(new byte[(int) size]);
        int error = ExtensibleStruct.copy(argument, userSize, command);
        return error != 0 ? error : execution.applyAsInt(command);
    }

    private int allocateIoas(MemorySegment argument, MemorySegment command) {
        if (UserMemory.getInt(command, iommu_ioas_alloc.flags$offset()) != 0) {
            return -Errno.EOPNOTSUPP.code();
        }
        int id = iommufd.allocateIoas();
        UserMemory.putInt(command, iommu_ioas_alloc.out_ioas_id$offset(), id);
        int error = ExtensibleStruct.answer(argument, command);
        if (error != 0) {
            iommufd.destroy(id);
        }
        return error;
    }

    private int vfioIoas(MemorySegment argument, MemorySegment command) {
        // 16 bits of it are reserved; with any of them set it is none of these.
        int operation = UserMemory.getInt(command, iommu_vfio_ioas.op$offset());
        if (operation == IOMMU_VFIO_IOAS_GET()) {
            return getCompatIoas(argument, command);
        }
        if (operation == IOMMU_VFIO_IOAS_SET()) {
            return iommufd.setCompatIoas(UserMemory.getInt(command, iommu_vfio_ioas.ioas_id$offset()));
        }
        return operation == IOMMU_VFIO_IOAS_CLEAR() ? iommufd.clearCompatIoas() : -Errno.EOPNOTSUPP.code();
    }

    private int getCompatIoas(MemorySegment argument, MemorySegment command) {
        int id = iommufd.compatIoas();
        if (id < 0) {
            return id;
        }
        UserMemory.putInt(command, iommu_vfio_ioas.ioas_id$offset(), id);
        return ExtensibleStruct.answer(argument, command);
    }
}
