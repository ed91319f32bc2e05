package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_ACTION_MASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_ACTION_TRIGGER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_ACTION_UNMASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_ERR_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_INTX_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_MSIX_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_MSI_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_REQ_IRQ_INDEX;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.fs.FdTable;

/**
 * The interrupts of a device on vfio-pci: which kind is active, and the table of what can be done with each index
 * (semantics §E.4, SET_IRQS). INTx, MSI and MSI-X exclude each other; errors and requests stand apart.
 */
final class PciIrqs {

    private static final int NONE = -1;

    private final PciHardware hardware;
    private final PciTraits traits;
    private final PciIntx intx;
    private final PciMsi msi;
    private final PciTrigger error;
    private final PciTrigger request;
    private int active = NONE;

    PciIrqs(KernelProfile profile, PciHardware hardware) {
        this.hardware = hardware;
        traits = hardware.traits();
        intx = new PciIntx(profile, hardware, this::unmaskIntx);
        msi = new PciMsi(profile);
        error = new PciTrigger(profile);
        request = new PciTrigger(profile);
    }

    /** How many interrupts an index has; 0 for one that the function lacks. */
    int count(int index) {
        PciInterrupts interrupts = traits.interrupts();
        if (index == VFIO_PCI_INTX_IRQ_INDEX()) {
            return interrupts.pin() ? 1 : 0;
        }
        if (index == VFIO_PCI_MSI_IRQ_INDEX()) {
            return interrupts.msiVectors();
        }
        if (index == VFIO_PCI_MSIX_IRQ_INDEX()) {
            return interrupts.msixVectors();
        }
        if (index == VFIO_PCI_ERR_IRQ_INDEX()) {
            return traits.express() ? 1 : 0;
        }
        return index == VFIO_PCI_REQ_IRQ_INDEX() ? 1 : 0;
    }

    /** VFIO_DEVICE_SET_IRQS, its argument having been checked. */
    synchronized int set(FdTable descriptors, IrqSet set) {
        int index = set.index();
        int action = set.action();
        if (index == VFIO_PCI_INTX_IRQ_INDEX() && action == VFIO_IRQ_SET_ACTION_MASK()) {
            return active == index ? intx.mask(set) : -Errno.EINVAL.code();
        }
        if (index == VFIO_PCI_INTX_IRQ_INDEX() && action == VFIO_IRQ_SET_ACTION_UNMASK()) {
            return active == index ? intx.unmask(descriptors, set) : -Errno.EINVAL.code();
        }
        if (action != VFIO_IRQ_SET_ACTION_TRIGGER()) {
            return -Errno.ENOTTY.code();
        }
        if (index == VFIO_PCI_ERR_IRQ_INDEX()) {
            return error.set(descriptors, set);
        }
        return index == VFIO_PCI_REQ_IRQ_INDEX() ? request.set(descriptors, set) : trigger(descriptors, set);
    }

    private int trigger(FdTable descriptors, IrqSet set) {
        int index = set.index();
        if (active == index && set.isDisable()) {
            disable();
            return 0;
        }
        boolean isIntx = index == VFIO_PCI_INTX_IRQ_INDEX();
        if ((active != index && active != NONE) || (isIntx && !set.isFirstOnly())) {
            return -Errno.EINVAL.code();
        }
        if (active == index) {
            return isIntx ? intx.trigger(descriptors, set) : msi.trigger(descriptors, set);
        }
        if (!set.hasFds()) {
            return -Errno.EINVAL.code();
        }
        boolean isMsix = index == VFIO_PCI_MSIX_IRQ_INDEX();
        int error = isIntx ? intx.enable(descriptors, set) : msi.enable(descriptors, set, isMsix);
        if (error == 0) {
            active = index;
            hardware.setMsixEnabled(isMsix);
        }
        return error;
    }

    private synchronized void unmaskIntx() {
        intx.unmask();
    }

    /** The device sends a message, which is a write to memory. */
    synchronized void message(int vector) {
        boolean isOn = active == VFIO_PCI_MSI_IRQ_INDEX() || active == VFIO_PCI_MSIX_IRQ_INDEX();
        if (isOn && hardware.isBusMaster()) {
            msi.message(vector);
        }
    }

    /** The device asserts its line, or no longer. */
    synchronized void assertIntx(boolean asserted) {
        hardware.assertIntx(asserted);
        intx.raise();
    }

    /** The device has had an error. */
    synchronized void error() {
        error.signal();
    }

    /** The command register's bit that keeps INTx quiet. */
    synchronized void disableIntx(boolean disabled) {
        intx.disableByCommand(disabled);
    }

    synchronized boolean isMsi() {
        return active == VFIO_PCI_MSI_IRQ_INDEX();
    }

    synchronized int msiVectorsLog() {
        return msi.vectorsLog();
    }

    /** The first opening of the device. */
    synchronized void open() {
        intx.open();
    }

    private void disable() {
        hardware.setMsixEnabled(false);
        intx.disable();
        msi.disable();
        active = NONE;
    }

    /** The last closing of the device. A reset of the function leaves all as it is. */
    synchronized void close() {
        disable();
        error.clear();
        request.clear();
    }
}
