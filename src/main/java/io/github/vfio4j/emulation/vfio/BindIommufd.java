package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_FLAG_TOKEN;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.ExtensibleStruct;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.emulation.iommufd.IommufdFile;
import io.github.vfio4j.uapi.vfio_device_bind_iommufd;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/** VFIO_DEVICE_BIND_IOMMUFD, by which a device's own file gets the device (semantics §D.6). */
record BindIommufd(DeviceFile file) {

    /** What the first version of the structure had. */
    private static final long MIN_SIZE = vfio_device_bind_iommufd.token_uuid_ptr$offset();
    private static final long OUT_DEVID = vfio_device_bind_iommufd.out_devid$offset();
    private static final int TOKEN_SIZE = 16;

    int ioctl(CallContext call, MemorySegment argument) {
        MemorySegment bind = MemorySegment.ofArray(new byte[(int) vfio_device_bind_iommufd.sizeof()]);
        int error = copy(argument, bind);
        if (error != 0) {
            return error;
        }
        int unknownFlags = flags(bind) & ~(takesTokens() ? VFIO_DEVICE_BIND_FLAG_TOKEN() : 0);
        if (iommufd(bind) < 0 || unknownFlags != 0) {
            return -Errno.EINVAL.code();
        }
        if (!(file instanceof CdevFile cdev)) {
            return -Errno.EINVAL.code();
        }
        IommuGroup group = cdev.device().group();
        if (!group.addCdevUser()) {
            return -Errno.EBUSY.code();
        }
        boolean bound = false;
        try {
            error = bind(cdev, call, bind, argument);
            bound = error == 0;
            return error;
        } finally {
            if (!bound) {
                group.removeCdevUser();
            }
        }
    }

    private boolean takesTokens() {
        return file.device().driver().profile().bindTokens();
    }

    private static int flags(MemorySegment bind) {
        return UserMemory.getInt(bind, vfio_device_bind_iommufd.flags$offset());
    }

    private static int iommufd(MemorySegment bind) {
        return UserMemory.getInt(bind, vfio_device_bind_iommufd.iommufd$offset());
    }

    /** With the token the structure has become extensible. Before, nobody looked behind its end. */
    private int copy(MemorySegment argument, MemorySegment bind) {
        if (!UserMemory.mapped(argument, 0, takesTokens() ? Integer.BYTES : MIN_SIZE)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, vfio_device_bind_iommufd.argsz$offset()));
        if (argsz < MIN_SIZE) {
            return -Errno.EINVAL.code();
        }
        return ExtensibleStruct.copy(argument, takesTokens() ? argsz : MIN_SIZE, bind);
    }

    /** The iommufd is looked up before its turn, and given back outside the lock: that may end another device's file. */
    private static int bind(CdevFile cdev, CallContext call, MemorySegment bind, MemorySegment argument) {
        OpenFile iommufd = call.descriptors().acquire(iommufd(bind));
        try {
            synchronized (cdev.device()) {
                return bind(cdev, call, bind, iommufd, argument);
            }
        } finally {
            if (iommufd != null) {
                iommufd.release();
            }
        }
    }

    private static int bind(CdevFile cdev, CallContext call, MemorySegment bind, @Nullable OpenFile iommufd,
            MemorySegment argument) {
        if (cdev.mayUseDevice()) {
            return -Errno.EINVAL.code();
        }
        CoreDevice device = cdev.device();
        int error = checkToken(device.driver(), call, bind);
        error = error != 0 ? error : open(device, iommufd, argument);
        if (error == 0) {
            cdev.grantUse();
        }
        return error;
    }

    /** A kernel that takes no tokens asks for none either. */
    private static int checkToken(Driver driver, CallContext call, MemorySegment bind) {
        if (!driver.profile().bindTokens()) {
            return 0;
        }
        boolean given = (flags(bind) & VFIO_DEVICE_BIND_FLAG_TOKEN()) != 0;
        if (!driver.hasTokenRule()) {
            return given ? -Errno.EINVAL.code() : 0;
        }
        if (!given) {
            return driver.matchToken(null);
        }
        MemorySegment token = call.memoryAt(UserMemory.getLong(bind, vfio_device_bind_iommufd.token_uuid_ptr$offset()));
        if (token == null || !UserMemory.mapped(token, 0, TOKEN_SIZE)) {
            return -Errno.EFAULT.code();
        }
        return driver.matchToken(token.asSlice(0, TOKEN_SIZE).toArray(ValueLayout.JAVA_BYTE));
    }

    /** Unlike a group, the device's own file has the device to itself. */
    private static int open(CoreDevice device, @Nullable OpenFile file, MemorySegment argument) {
        if (file == null) {
            return -Errno.EBADF.code();
        }
        if (!(file instanceof IommufdFile iommufd)) {
            return -Errno.EBADFD.code();
        }
        if (device.isOpen()) {
            return -Errno.EINVAL.code();
        }
        int error = device.open(iommufd);
        if (error != 0) {
            return error;
        }
        if (argument.isReadOnly()) {
            device.close();
            return -Errno.EFAULT.code();
        }
        UserMemory.putInt(argument, OUT_DEVID, device.idInIommufd());
        return 0;
    }
}
