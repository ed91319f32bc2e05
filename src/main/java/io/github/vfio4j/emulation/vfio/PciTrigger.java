package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.EventFd;
import io.github.vfio4j.emulation.fs.FdTable;
import org.jspecify.annotations.Nullable;

/**
 * The eventfd through which vfio-pci tells of an error of the device, or asks for the device back: no interrupt of the
 * hardware, so nothing has to be switched on (semantics §E.4). Guarded by {@link PciIrqs}.
 */
final class PciTrigger {

    private static final int REMOVE = -1;

    private final KernelProfile profile;
    private @Nullable EventFd eventfd;

    PciTrigger(KernelProfile profile) {
        this.profile = profile;
    }

    int set(FdTable descriptors, IrqSet set) {
        if (set.isDisable()) {
            boolean wasSet = eventfd != null;
            clear();
            return wasSet ? 0 : -Errno.EINVAL.code();
        }
        if (!set.isFirstOnly()) {
            return -Errno.EINVAL.code();
        }
        if (set.hasFds()) {
            return setEventFd(descriptors, set.fd(0));
        }
        return signal(set);
    }

    private int signal(IrqSet set) {
        if (eventfd == null) {
            return set.hasBools() ? 0 : -Errno.EINVAL.code();
        }
        if (set.appliesTo(0)) {
            eventfd.signal();
        }
        return 0;
    }

    private int setEventFd(FdTable descriptors, int fd) {
        if (fd == REMOVE) {
            clear();
            return 0;
        }
        if (fd < 0) {
            return profile.otherNegativeFdsIgnored() ? 0 : -Errno.EINVAL.code();
        }
        return EventFd.find(descriptors, fd, given -> {
            eventfd = given;
            return 0;
        });
    }

    /** What it tells of has happened. */
    void signal() {
        if (eventfd != null) {
            eventfd.signal();
        }
    }

    void clear() {
        eventfd = null;
    }
}
