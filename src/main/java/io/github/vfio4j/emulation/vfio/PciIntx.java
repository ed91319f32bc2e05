package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.EventFd;
import io.github.vfio4j.emulation.fs.FdTable;
import org.jspecify.annotations.Nullable;

/**
 * The legacy interrupt of a device on vfio-pci (semantics §E.4). Guarded by {@link PciIrqs}.
 *
 * <p>
 * The kernel waits for the eventfd that unmasks in drivers/vfio/virqfd.c. As no emulated device raises its interrupt by
 * itself, to unmask one signals nothing; what shows is that the eventfd is emptied.
 */
final class PciIntx {

    private final KernelProfile profile;
    private final boolean line;
    private @Nullable EventFd trigger;
    private @Nullable EventFd unmask;

    PciIntx(KernelProfile profile, boolean line) {
        this.profile = profile;
        this.line = line;
    }

    /** Switches it on: which of two mistakes counts depends on the kernel. */
    int enable(FdTable descriptors, IrqSet set) {
        int missingLine = line ? 0 : -Errno.ENODEV.code();
        if (missingLine != 0 && !profile.intxFdFirst()) {
            return missingLine;
        }
        int error = setTrigger(descriptors, set.fd(0));
        if (error == 0 && missingLine != 0) {
            disable();
        }
        return error != 0 ? error : missingLine;
    }

    /** Replaces the eventfd, or signals it as the device would. */
    int trigger(FdTable descriptors, IrqSet set) {
        if (set.hasFds()) {
            return setTrigger(descriptors, set.fd(0));
        }
        if (set.appliesTo(0)) {
            if (trigger != null) {
                trigger.signal();
            } else if (!profile.intxFdFirst()) {
                throw new KernelHazardException(
                        "INTx triggered from user space while it has no eventfd, which is a NULL"
                                + " pointer dereference. Set one first");
            }
        }
        return 0;
    }

    private int setTrigger(FdTable descriptors, int fd) {
        if (!profile.intxFdFirst()) {
            trigger = null;
        }
        if (fd < 0) {
            trigger = null;
            return 0;
        }
        return EventFd.find(descriptors, fd, eventfd -> {
            trigger = eventfd;
            return 0;
        });
    }

    /** Masking shows only in what the device can signal. */
    int mask(IrqSet set) {
        if (!set.isFirstOnly()) {
            return -Errno.EINVAL.code();
        }
        return set.hasFds() ? -Errno.ENOTTY.code() : 0;
    }

    int unmask(FdTable descriptors, IrqSet set) {
        if (!set.isFirstOnly()) {
            return -Errno.EINVAL.code();
        }
        if (!set.hasFds()) {
            return 0;
        }
        int fd = set.fd(0);
        if (fd < 0) {
            removeUnmask();
            return 0;
        }
        return EventFd.find(descriptors, fd, this::setUnmask);
    }

    /** Closing the eventfd is one way to remove it. */
    private int setUnmask(EventFd eventfd) {
        if (unmask != null && !unmask.isClosed()) {
            return -Errno.EBUSY.code();
        }
        if (profile.drainedUnmaskEventfd()) {
            eventfd.startDraining();
        } else if (eventfd.isSemaphore()) {
            throw new NotModelledException(
                    "INTx unmasked by an eventfd with EFD_SEMAPHORE, whose counter old kernels let underflow");
        }
        unmask = eventfd;
        return 0;
    }

    private void removeUnmask() {
        if (unmask == null) {
            return;
        }
        unmask.drain();
        if (profile.drainedUnmaskEventfd()) {
            unmask.stopDraining();
        }
        unmask = null;
    }

    void disable() {
        trigger = null;
        removeUnmask();
    }
}
