package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_DETACH_PASID;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_device_detach_iommufd_pt;
import java.lang.foreign.MemorySegment;

/** VFIO_DEVICE_DETACH_IOMMUFD_PT: takes the address space from a bound device, if it has one (semantics §E.6). */
record DetachIommufdPt(CoreDevice device) {

    private static final long MIN_SIZE = vfio_device_detach_iommufd_pt.pasid$offset();
    private static final long SIZE_WITH_PASID = MIN_SIZE + Integer.BYTES;

    int ioctl(MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, MIN_SIZE)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, vfio_device_detach_iommufd_pt.argsz$offset()));
        int flags = UserMemory.getInt(argument, vfio_device_detach_iommufd_pt.flags$offset());
        if (argsz < MIN_SIZE) {
            return -Errno.EINVAL.code();
        }
        int error = PasidFlag.check(device, flags, VFIO_DEVICE_DETACH_PASID(), argsz, SIZE_WITH_PASID, argument);
        if (error != 0) {
            return error;
        }
        if (flags == 0) {
            device.detach();
        }
        // A PASID that was never attached is detached already.
        return 0;
    }
}
