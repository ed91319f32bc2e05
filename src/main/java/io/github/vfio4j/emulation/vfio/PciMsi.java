package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.EventFd;
import io.github.vfio4j.emulation.fs.FdTable;
import java.util.HashMap;
import java.util.Map;

/**
 * The message-signalled interrupts of a device on vfio-pci, MSI or MSI-X, whichever is active (semantics §E.4). Guarded
 * by {@link PciIrqs}.
 *
 * <p>
 * The interrupt controller gives as many vectors as it is asked for.
 */
final class PciMsi {

    private final KernelProfile profile;
    private final Map<Integer, EventFd> triggers = new HashMap<>();
    private int enabled;
    private boolean growing;
    private int vectorsLog;

    PciMsi(KernelProfile profile) {
        this.profile = profile;
    }

    /** Switches on all vectors up to the last one that is meant. */
    int enable(FdTable descriptors, IrqSet set, boolean isMsix) {
        int vectors = set.start() + set.count();
        if (vectors == 0) {
            // The PCI core is asked for at least one and at most none.
            return -profile.emptyVectorRange().code();
        }
        enabled = vectors;
        growing = isMsix && profile.dynamicMsix();
        if (!isMsix) {
            vectorsLog = Integer.SIZE - Integer.numberOfLeadingZeros(2 * vectors - 1) - 1;
        }
        int error = setTriggers(descriptors, set);
        if (error != 0) {
            disable();
        }
        return error;
    }

    /** Replaces eventfds, or signals them as the device would. */
    int trigger(FdTable descriptors, IrqSet set) {
        if (set.hasFds()) {
            return setTriggers(descriptors, set);
        }
        if (!profile.dynamicMsix() && set.start() + set.count() > enabled) {
            return -Errno.EINVAL.code();
        }
        for (int i = 0; i < set.count(); i++) {
            EventFd trigger = triggers.get(set.start() + i);
            if (trigger != null && set.appliesTo(i)) {
                trigger.signal();
            }
        }
        return 0;
    }

    /** One mistake, and none of the vectors that were meant has an eventfd any more, up to the mistaken one. */
    private int setTriggers(FdTable descriptors, IrqSet set) {
        if (!profile.dynamicMsix() && (set.start() >= enabled || set.start() + set.count() > enabled)) {
            return -Errno.EINVAL.code();
        }
        for (int i = 0; i < set.count(); i++) {
            int error = setTrigger(descriptors, set.start() + i, set.fd(i));
            if (error != 0) {
                for (int undone = 0; undone <= i; undone++) {
                    triggers.remove(set.start() + undone);
                }
                return error;
            }
        }
        return 0;
    }

    private int setTrigger(FdTable descriptors, int vector, int fd) {
        triggers.remove(vector);
        if (fd < 0) {
            return 0;
        }
        if (vector >= enabled && !growing) {
            return -Errno.EINVAL.code();
        }
        return EventFd.find(descriptors, fd, eventfd -> {
            triggers.put(vector, eventfd);
            return 0;
        });
    }

    /** The device sends a message. */
    void message(int vector) {
        EventFd trigger = triggers.get(vector);
        if (trigger != null) {
            trigger.signal();
        }
    }

    /** The binary logarithm of how many MSI vectors were switched on last, rounded up. */
    int vectorsLog() {
        return vectorsLog;
    }

    void disable() {
        triggers.clear();
        enabled = 0;
        growing = false;
    }
}
