package io.github.vfio4j.device;

import io.github.vfio4j.uapi.vfio_h;

/** The kinds of interrupts of a PCI device (vfio.h). INTx, MSI and MSI-X exclude each other. */
public enum PciIrq {
    /** The legacy interrupt: level-triggered, masked whenever it is signalled until somebody unmasks it. */
    INTX(vfio_h.VFIO_PCI_INTX_IRQ_INDEX()),
    /** Message-signalled interrupts, 1 to 32. */
    MSI(vfio_h.VFIO_PCI_MSI_IRQ_INDEX()),
    /** Message-signalled interrupts with a table, 1 to 2048. */
    MSIX(vfio_h.VFIO_PCI_MSIX_IRQ_INDEX()),
    /** The device, if it is PCI Express, has had an error of which it can't recover by itself. */
    ERROR(vfio_h.VFIO_PCI_ERR_IRQ_INDEX()),
    /** The kernel wants the device back. */
    REQUEST(vfio_h.VFIO_PCI_REQ_IRQ_INDEX());

    private final int index;

    PciIrq(int index) {
        this.index = index;
    }

    /**
     * Its number.
     *
     * @return {@code VFIO_PCI_…_IRQ_INDEX}
     */
    public int index() {
        return index;
    }
}
