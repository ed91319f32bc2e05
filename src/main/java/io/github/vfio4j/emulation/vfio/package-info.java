/**
 * The emulated VFIO core and vfio-pci: containers, groups, the opening of devices, the PCI functions they are.
 */
@NullMarked
package io.github.vfio4j.emulation.vfio;

import org.jspecify.annotations.NullMarked;
