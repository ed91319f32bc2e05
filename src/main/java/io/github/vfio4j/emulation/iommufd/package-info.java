/**
 * The emulated iommufd, /dev/iommu: its objects, and the calls by which it takes the place of a container.
 */
@NullMarked
package io.github.vfio4j.emulation.iommufd;

import org.jspecify.annotations.NullMarked;
