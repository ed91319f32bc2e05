/**
 * The type1 IOMMU driver of the emulated kernel: what a container can do once it has an IOMMU.
 */
@NullMarked
package io.github.vfio4j.emulation.iommu;

import org.jspecify.annotations.NullMarked;
