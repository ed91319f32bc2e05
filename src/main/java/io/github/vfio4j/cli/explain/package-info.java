/**
 * Why VFIO_DEVICE_FEATURE is refused, as far as kernels are known.
 */
@NullMarked
package io.github.vfio4j.cli.explain;

import org.jspecify.annotations.NullMarked;
