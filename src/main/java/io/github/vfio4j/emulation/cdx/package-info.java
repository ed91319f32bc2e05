/**
 * Devices on the CDX bus, and the driver vfio-cdx.
 */
@NullMarked
package io.github.vfio4j.emulation.cdx;

import org.jspecify.annotations.NullMarked;
