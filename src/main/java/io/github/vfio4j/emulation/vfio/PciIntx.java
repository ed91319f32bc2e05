package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.EventFd;
import io.github.vfio4j.emulation.fs.FdTable;
import org.jspecify.annotations.Nullable;

/**
 * The legacy interrupt of a device on vfio-pci (semantics §E.4, vfio_pci_intrs.c). Guarded by {@link PciIrqs}.
 *
 * <p>
 * It is level-triggered: signalled when the device asserts it and it is not masked, which masks it, and again when it is
 * unmasked and the device still asserts it. The kernel waits for the eventfd that unmasks in drivers/vfio/virqfd.c.
 */
final class PciIntx {

    private final KernelProfile profile;
    private final PciHardware hardware;
    private final Runnable unmaskBySignal;
    private @Nullable EventFd trigger;
    private @Nullable EventFd unmask;
    private boolean enabled;
    private boolean masked;
    private boolean disabledByCommand;

    /**
     * One that is off.
     *
     * @param unmaskBySignal
     *            calls {@link #unmask()} under the lock that guards this
     */
    PciIntx(KernelProfile profile, PciHardware hardware, Runnable unmaskBySignal) {
        this.profile = profile;
        this.hardware = hardware;
        this.unmaskBySignal = unmaskBySignal;
    }

    /** Switches it on: which of two mistakes counts depends on the kernel. */
    int enable(FdTable descriptors, IrqSet set) {
        int missingLine = hardware.traits().interrupts().line() ? 0 : -Errno.ENODEV.code();
        if (missingLine != 0 && !profile.intxFdFirst()) {
            return missingLine;
        }
        int error = setTrigger(descriptors, set.fd(0));
        if (error != 0 || missingLine != 0) {
            return error != 0 ? error : missingLine;
        }
        enabled = true;
        masked = disabledByCommand;
        raise();
        return 0;
    }

    /** Replaces the eventfd, or signals it as the device would. */
    int trigger(FdTable descriptors, IrqSet set) {
        if (set.hasFds()) {
            int error = setTrigger(descriptors, set.fd(0));
            if (error == 0) {
                raise();
            }
            return error;
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

    /** The line is asserted, or may be heard again. A kernel that has no eventfd may not even have asked for it. */
    void raise() {
        boolean heard = enabled && !masked && (trigger != null || profile.intxFdFirst());
        if (heard && hardware.isIntxAsserted()) {
            masked = true;
            signal();
        }
    }

    private void signal() {
        if (trigger != null) {
            if (unmask != null && unmask.equals(trigger)) {
                throw new KernelHazardException("INTx unmasked by the very eventfd that it signals, while the device"
                        + " asserts it: an interrupt without end. Use two");
            }
            trigger.signal();
        }
    }

    int mask(IrqSet set) {
        if (!set.isFirstOnly()) {
            return -Errno.EINVAL.code();
        }
        if (set.hasFds()) {
            return -Errno.ENOTTY.code();
        }
        if (set.appliesTo(0)) {
            masked = true;
        }
        return 0;
    }

    int unmask(FdTable descriptors, IrqSet set) {
        if (!set.isFirstOnly()) {
            return -Errno.EINVAL.code();
        }
        if (!set.hasFds()) {
            if (set.appliesTo(0)) {
                unmask();
            }
            return 0;
        }
        int fd = set.fd(0);
        if (fd < 0) {
            removeUnmask();
            return 0;
        }
        return EventFd.find(descriptors, fd, this::setUnmask);
    }

    /** It stays masked if the device still asserts it, and is signalled. */
    void unmask() {
        if (!masked || disabledByCommand) {
            return;
        }
        if (hardware.isIntxAsserted() && enabled) {
            signal();
        } else {
            masked = false;
        }
    }

    /** The command register's bit, which the kernel keeps and makes a mask of. */
    void disableByCommand(boolean disabled) {
        disabledByCommand = disabled;
        if (!enabled) {
            return;
        }
        if (disabled) {
            masked = true;
        } else {
            unmask();
        }
    }

    /** Closing the eventfd is one way to remove it. */
    private int setUnmask(EventFd eventfd) {
        if (unmask != null && !unmask.isClosed()) {
            return -Errno.EBUSY.code();
        }
        if (!profile.drainedUnmaskEventfd() && eventfd.isSemaphore()) {
            throw new NotModelledException(
                    "INTx unmasked by an eventfd with EFD_SEMAPHORE, whose counter old kernels let underflow");
        }
        eventfd.addListener(unmaskBySignal, profile.drainedUnmaskEventfd());
        unmask = eventfd;
        return 0;
    }

    private void removeUnmask() {
        if (unmask == null) {
            return;
        }
        unmask.drain();
        unmask.removeListener(unmaskBySignal, profile.drainedUnmaskEventfd());
        unmask = null;
    }

    void disable() {
        trigger = null;
        enabled = false;
        masked = false;
        removeUnmask();
    }

    /** The first opening of the device: the command register's bit is clear. */
    void open() {
        disabledByCommand = false;
    }
}
