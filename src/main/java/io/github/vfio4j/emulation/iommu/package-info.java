/**
 * The emulated IOMMU: who owns it for which devices, the memory that is mapped for them, whether by a container or by an
 * iommufd, and the type1 driver, what a container can do once it has an IOMMU.
 */
@NullMarked
package io.github.vfio4j.emulation.iommu;

import org.jspecify.annotations.NullMarked;
