/**
 * The emulated sample drivers of the kernel for mediated devices: no hardware, but migration and DMA logging.
 */
@NullMarked
package io.github.vfio4j.emulation.mdev;

import org.jspecify.annotations.NullMarked;
