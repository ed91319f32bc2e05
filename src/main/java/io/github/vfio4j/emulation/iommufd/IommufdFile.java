package io.github.vfio4j.emulation.iommufd;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.ExtensibleStruct;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
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

    private static final int IOMMU_DESTROY = 0x3b80;
    private static final int IOMMU_IOAS_ALLOC = 0x3b81;
    private static final int IOMMU_VFIO_IOAS = 0x3b88;

    private static final int NUMBER = 0xff;
    private static final int FIRST_NUMBER = IOMMU_DESTROY & NUMBER;

    private static final int DESTROY_SIZE = 8;
    private static final int DESTROY_ID = 4;

    private static final int ALLOC_SIZE = 12;
    private static final int ALLOC_FLAGS = 4;
    private static final int ALLOC_ID = 8;

    private static final int VFIO_IOAS_SIZE = 12;
    private static final int VFIO_IOAS_ID = 4;
    private static final int VFIO_IOAS_OPERATION = 8;
    private static final int GET = 0;
    private static final int SET = 1;
    private static final int CLEAR = 2;

    private final KernelProfile profile;
    private final Iommufd iommufd = new Iommufd();
    private final VfioCompat compat = new VfioCompat(iommufd);

    /** open(2): a new one each time, without objects. */
    public IommufdFile(KernelProfile profile, boolean readable, boolean writable) {
        super(readable, writable);
        this.profile = profile;
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
            return compat.ioctl(request, argument);
        }
        if (!UserMemory.mapped(argument, 0, Integer.BYTES)) {
            return -Errno.EFAULT.code();
        }
        return switch (request) {
            case IOMMU_DESTROY ->
                execute(argument, DESTROY_SIZE, command -> iommufd.destroy(UserMemory.getInt(command, DESTROY_ID)));
            case IOMMU_IOAS_ALLOC -> execute(argument, ALLOC_SIZE, command -> allocateIoas(argument, command));
            case IOMMU_VFIO_IOAS -> execute(argument, VFIO_IOAS_SIZE, command -> vfioIoas(argument, command));
            default -> unknown(request);
        };
    }

    /** Another number that ends alike is unknown; the others of the range are requests. */
    private static int unknown(int request) {
        if ((request & ~NUMBER) == (IOMMU_DESTROY & ~NUMBER)) {
            throw new NotModelledException("the iommufd request 0x" + Integer.toHexString(request)
                    + " (mapping, page tables, hardware information)");
        }
        return -Errno.ENOTTY.code();
    }

    private static int execute(MemorySegment argument, int size, ToIntFunction<MemorySegment> execution) {
        long userSize = Integer.toUnsignedLong(UserMemory.getInt(argument, 0));
        if (userSize < size) {
            return -Errno.EINVAL.code();
        }
        MemorySegment command = MemorySegment.ofArray(new byte[size]);
        int error = ExtensibleStruct.copy(argument, userSize, command);
        return error != 0 ? error : execution.applyAsInt(command);
    }

    private int allocateIoas(MemorySegment argument, MemorySegment command) {
        if (UserMemory.getInt(command, ALLOC_FLAGS) != 0) {
            return -Errno.EOPNOTSUPP.code();
        }
        int id = iommufd.allocateIoas();
        UserMemory.putInt(command, ALLOC_ID, id);
        int error = ExtensibleStruct.answer(argument, command);
        if (error != 0) {
            iommufd.destroy(id);
        }
        return error;
    }

    private int vfioIoas(MemorySegment argument, MemorySegment command) {
        // 16 bits of it are reserved; with any of them set it is none of these.
        return switch (UserMemory.getInt(command, VFIO_IOAS_OPERATION)) {
            case GET -> getCompatIoas(argument, command);
            case SET -> iommufd.setCompatIoas(UserMemory.getInt(command, VFIO_IOAS_ID));
            case CLEAR -> iommufd.clearCompatIoas();
            default -> -Errno.EOPNOTSUPP.code();
        };
    }

    private int getCompatIoas(MemorySegment argument, MemorySegment command) {
        int id = iommufd.compatIoas();
        if (id < 0) {
            return id;
        }
        UserMemory.putInt(command, VFIO_IOAS_ID, id);
        return ExtensibleStruct.answer(argument, command);
    }
}
