package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.emulation.feature.Bar;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the hardware of a PCI function is like.
 *
 * @param express
 *            whether it is a PCI Express function, with the larger configuration space and error reports
 * @param bars
 *            its base address registers
 * @param romSize
 *            bytes of its expansion ROM; 0 without one that can be read
 * @param resettable
 *            whether it can be reset alone
 * @param interrupts
 *            its interrupts
 * @param registers
 *            what stands in its configuration space
 */
public record PciTraits(boolean express, List<Bar> bars, long romSize, boolean resettable, PciInterrupts interrupts,
        PciRegisters registers) {

    private static final long PAGE_SIZE = 4096;

    /** The same as a virtual function, which has neither an interrupt pin nor a ROM (PCIe, SR-IOV chapter). */
    PciTraits ofVirtualFunction() {
        return new PciTraits(
                true, bars, 0, resettable, new PciInterrupts(false, false, interrupts.msiVectors(),
                        interrupts.msixVectors(), interrupts.msixTableBar(), interrupts.msixTableOffset()),
                registers.ofVirtualFunction());
    }

    /** The BAR of this index, null if it is not implemented. */
    @Nullable
    Bar bar(int index) {
        return bars.stream().filter(bar -> bar.index() == index).findFirst().orElse(null);
    }

    /** Memory can be mapped in whole pages only, and nobody else's with it; one of a page or more has them. */
    boolean isMappable(Bar bar) {
        return !bar.ioPort() && bar.address() % PAGE_SIZE == 0 && bars.stream().noneMatch(other -> !other.ioPort()
                && other.address() > bar.address() && other.address() < bar.address() + PAGE_SIZE);
    }
}
