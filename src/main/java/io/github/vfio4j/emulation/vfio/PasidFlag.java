package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.lang.foreign.MemorySegment;

/** The flags of ATTACH and DETACH: the only one there is says that a PASID follows. */
final class PasidFlag {

    private PasidFlag() {
    }

    /** 0 or −errno. */
    static int check(CoreDevice device, int flags, int pasid, long argsz, long sizeWithPasid, MemorySegment argument) {
        if ((flags & ~(device.driver().profile().attachPasids() ? pasid : 0)) != 0) {
            return -Errno.EINVAL.code();
        }
        if (flags == 0) {
            return 0;
        }
        if (device.group().isEmulated()) {
            return -Errno.EOPNOTSUPP.code();
        }
        if (argsz < sizeWithPasid) {
            return -Errno.EINVAL.code();
        }
        return UserMemory.mapped(argument, 0, sizeWithPasid) ? 0 : -Errno.EFAULT.code();
    }
}
