/**
 * Mediated devices: the emulated sample drivers of the kernel, with no hardware but migration and DMA logging, and the
 * driver of those with a model of one's own.
 */
@NullMarked
package io.github.vfio4j.emulation.mdev;

import org.jspecify.annotations.NullMarked;
