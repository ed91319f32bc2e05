package io.github.vfio4j.emulation.mdev;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_ACTION_MASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_ACTION_TRIGGER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_ACTION_UNMASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_INTX_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_MSI_IRQ_INDEX;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.EventFd;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.vfio.IrqSet;
import org.jspecify.annotations.Nullable;

/** mtty's interrupt, as INTx or as MSI: one eventfd, and none is the same as not enabled. */
final class MttyIrqs {

    private static final int NONE = -1;

    private int active = NONE;
    private @Nullable EventFd trigger;
    private boolean masked;

    /** VFIO_DEVICE_SET_IRQS, its argument having been checked. */
    synchronized int set(FdTable descriptors, IrqSet set) {
        boolean isIntx = set.index() == VFIO_PCI_INTX_IRQ_INDEX();
        if (!isIntx && set.index() != VFIO_PCI_MSI_IRQ_INDEX()) {
            return -Errno.ENOTTY.code();
        }
        int action = set.action();
        if (action == VFIO_IRQ_SET_ACTION_TRIGGER()) {
            return trigger(descriptors, set);
        }
        if (action == VFIO_IRQ_SET_ACTION_MASK() || action == VFIO_IRQ_SET_ACTION_UNMASK()) {
            return isIntx ? mask(set, action == VFIO_IRQ_SET_ACTION_MASK()) : -Errno.ENOTTY.code();
        }
        // No action, or several: it looks for neither.
        return 0;
    }

    private int mask(IrqSet set, boolean mask) {
        if (active != set.index() || !set.isFirstOnly()) {
            return -Errno.EINVAL.code();
        }
        if (set.hasFds()) {
            return -Errno.ENOTTY.code();
        }
        if (set.appliesTo(0)) {
            masked = mask;
        }
        return 0;
    }

    private int trigger(FdTable descriptors, IrqSet set) {
        if (active == set.index() && set.isDisable()) {
            close();
            return 0;
        }
        if ((active != set.index() && active != NONE) || !set.isFirstOnly()) {
            return -Errno.EINVAL.code();
        }
        if (set.hasFds()) {
            close();
            return set.fd(0) < 0 ? 0 : EventFd.find(descriptors, set.fd(0), eventfd -> {
                trigger = eventfd;
                active = set.index();
                return 0;
            });
        }
        if (active != set.index()) {
            return -Errno.EINVAL.code();
        }
        if (set.appliesTo(0)) {
            signal();
        }
        return 0;
    }

    /** INTx masks itself by being signalled. */
    private void signal() {
        if (trigger != null && !masked) {
            trigger.signal();
            masked = active == VFIO_PCI_INTX_IRQ_INDEX();
        }
    }

    /** The last closing of the device. */
    synchronized void close() {
        trigger = null;
        active = NONE;
        masked = false;
    }
}
