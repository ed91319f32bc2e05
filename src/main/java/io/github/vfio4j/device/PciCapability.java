package io.github.vfio4j.device;

/**
 * A capability in the configuration space of a PCI function.
 *
 * @param id
 *            what it is; standard and extended capabilities have numbers of their own each
 * @param version
 *            of an extended capability; 0 for a standard one
 * @param offset
 *            where in configuration space it begins, with its id
 */
public record PciCapability(int id, int version, int offset) {

    /** Power management. */
    public static final int POWER_MANAGEMENT = 0x01;
    /** Vital product data. */
    public static final int VITAL_PRODUCT_DATA = 0x03;
    /** Message-signalled interrupts. */
    public static final int MSI = 0x05;
    /** What a vendor defines. */
    public static final int VENDOR_SPECIFIC = 0x09;
    /** PCI Express. */
    public static final int EXPRESS = 0x10;
    /** Message-signalled interrupts with a table. */
    public static final int MSIX = 0x11;
    /** Advanced features of conventional PCI. */
    public static final int ADVANCED_FEATURES = 0x13;

    /** Extended: advanced error reporting. */
    public static final int EXTENDED_ERROR_REPORTING = 0x01;
    /** Extended: alternative routing id. */
    public static final int EXTENDED_ARI = 0x0e;
    /** Extended: single root I/O virtualization. */
    public static final int EXTENDED_SRIOV = 0x10;
}
