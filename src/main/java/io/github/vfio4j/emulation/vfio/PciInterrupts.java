package io.github.vfio4j.emulation.vfio;

/**
 * The interrupts a PCI function can raise.
 *
 * @param pin
 *            whether its interrupt pin register names a pin (INTA# to INTD#)
 * @param line
 *            whether the platform has routed the pin, so that an interrupt can be requested
 * @param msiVectors
 *            what its MSI capability can have at most, a power of two; 0 without the capability
 * @param msixVectors
 *            the size of its MSI-X table; 0 without the capability
 * @param msixTableBar
 *            the BAR that holds the table; of no meaning without one
 * @param msixTableOffset
 *            where in that BAR it begins
 */
public record PciInterrupts(boolean pin, boolean line, int msiVectors, int msixVectors, int msixTableBar,
        int msixTableOffset) {

    /** Whether the MSI-X table is in this BAR. */
    boolean hasMsixTableIn(int bar) {
        return msixVectors > 0 && msixTableBar == bar;
    }
}
