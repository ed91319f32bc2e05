/**
 * The emulated VFIO_DEVICE_FEATURE: header checks, dispatch, and a class for each feature.
 */
@NullMarked
package io.github.vfio4j.emulation.feature;

import org.jspecify.annotations.NullMarked;
