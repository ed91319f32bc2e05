package io.github.vfio4j.emulation.iommu;

/**
 * What devices may do with memory.
 *
 * @param read
 *            whether they may read it
 * @param write
 *            whether they may write it
 */
public record DmaAccess(boolean read, boolean write) {
}
