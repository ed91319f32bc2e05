package io.github.vfio4j.emulation.feature;

/**
 * A base address register of a PCI function.
 *
 * @param index
 *            0‥5
 * @param size
 *            bytes, a power of two
 * @param address
 *            where it stands in physical memory
 * @param ioPort
 *            whether it is a range of I/O ports and not of memory
 */
public record Bar(int index, long size, long address, boolean ioPort) {
}
