package io.github.vfio4j.emulation.device;

import java.lang.foreign.MemorySegment;

/**
 * The machine as a PCI function sees it: where its interrupts go, and what the machine has set in it. A
 * {@link DeviceModel} gets one at {@link DeviceModel#open(DeviceHost)}; a test that plays the device itself gets it from
 * {@link io.github.vfio4j.emulation.EmulatedKernel#device}. Safe for use by many threads.
 */
public interface DeviceHost {

    /**
     * Sends a message-signalled interrupt, MSI-X or MSI, whichever is on. Nothing happens if neither is, if the vector is
     * beyond those that are on, or if the function may not act as bus master: a message is a write to memory.
     *
     * @param vector
     *            which, from 0 on
     */
    void interrupt(int vector);

    /**
     * Asserts INTx, or no longer. Level-triggered: while it is asserted, it is signalled again whenever it is unmasked.
     *
     * @param asserted
     *            whether the device wants attention
     */
    void intx(boolean asserted);

    /**
     * Reports an error of which the device can't recover by itself (PCI Express): signals the error interrupt.
     */
    void error();

    /**
     * Whether the function may act as bus master (DMA, messages).
     *
     * @return what the command register says
     */
    boolean isBusMaster();

    /**
     * Memory in a BAR, as programs read, write and map it.
     *
     * @param bar
     *            0‥5
     * @return native memory of the BAR's size
     * @throws IllegalArgumentException
     *             if there is no such memory: no BAR of that index, one of I/O ports, or one that a {@link RegionModel}
     *             answers for
     */
    MemorySegment memory(int bar);
}
