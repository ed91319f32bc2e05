/**
 * Device features: what can be asked of a device, and how it is laid out for the kernel. Known features have a small
 * class each; any other 16-bit index can be used with a {@link io.github.vfio4j.feature.PayloadCodec codec} of your own.
 */
@NullMarked
package io.github.vfio4j.feature;

import org.jspecify.annotations.NullMarked;
