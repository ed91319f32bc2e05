/**
 * The emulated IOMMU: who owns it for which devices, and the type1 driver, what a container can do once it has an IOMMU.
 */
@NullMarked
package io.github.vfio4j.emulation.iommu;

import org.jspecify.annotations.NullMarked;
