package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_ATTACH_PASID;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_device_attach_iommufd_pt;
import java.lang.foreign.MemorySegment;

/** VFIO_DEVICE_ATTACH_IOMMUFD_PT: gives a bound device an address space, or another one (semantics §E.6). */
record AttachIommufdPt(CoreDevice device) {

    private static final long MIN_SIZE = vfio_device_attach_iommufd_pt.pasid$offset();
    private static final long SIZE_WITH_PASID = MIN_SIZE + Integer.BYTES;
    private static final long PT_ID = vfio_device_attach_iommufd_pt.pt_id$offset();

    int ioctl(MemorySegment argument) {
        if (!UserMemory.mapped(argument, 0, MIN_SIZE)) {
            return -Errno.EFAULT.code();
        }
        long argsz = Integer.toUnsignedLong(UserMemory.getInt(argument, vfio_device_attach_iommufd_pt.argsz$offset()));
        int flags = UserMemory.getInt(argument, vfio_device_attach_iommufd_pt.flags$offset());
        if (argsz < MIN_SIZE) {
            return -Errno.EINVAL.code();
        }
        int error = PasidFlag.check(device, flags, VFIO_DEVICE_ATTACH_PASID(), argsz, SIZE_WITH_PASID, argument);
        if (error != 0) {
            return error;
        }
        if (flags != 0) {
            throw new NotModelledException("the attaching of a PASID, which depends on the IOMMU and the device");
        }
        return attach(argument);
    }

    private int attach(MemorySegment argument) {
        synchronized (device) {
            int id = device.attach(UserMemory.getInt(argument, PT_ID));
            if (id < 0) {
                return id;
            }
            if (argument.isReadOnly()) {
                device.detach();
                return -Errno.EFAULT.code();
            }
            UserMemory.putInt(argument, PT_ID, id);
            return 0;
        }
    }
}
