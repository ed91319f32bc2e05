package io.github.vfio4j.emulation.device;

import java.lang.foreign.MemorySegment;

/**
 * The machine as a PCI function sees it: memory, where its interrupts go, and what the machine has set in it. A
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
     * Reads memory by DMA: what a program has mapped for devices, at the addresses that it has given it.
     *
     * @param iova
     *            the first I/O virtual address
     * @param target
     *            takes what is read, as much as it is long
     * @throws DmaFault
     *             if the function may not act as bus master, or at an address where nothing is mapped for devices to read;
     *             what is before that address has been read
     * @throws IllegalStateException
     *             if the program has freed the memory without unmapping it, or it is confined to another thread: a mistake of
     *             the program
     */
    void dmaRead(long iova, MemorySegment target) throws DmaFault;

    /**
     * Writes memory by DMA.
     *
     * @param iova
     *            the first I/O virtual address
     * @param source
     *            what is written
     * @throws DmaFault
     *             if the function may not act as bus master, or at an address where nothing is mapped for devices to write;
     *             what is before that address has been written
     * @throws IllegalStateException
     *             as {@link #dmaRead}
     */
    void dmaWrite(long iova, MemorySegment source) throws DmaFault;

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
