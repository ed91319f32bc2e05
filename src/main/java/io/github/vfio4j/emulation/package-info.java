/**
 * A Linux kernel with VFIO in this JVM, for tests without hardware. Always asked for by name, never a fallback.
 *
 * <p>
 * Inside: {@code fs} has descriptors and open files, {@code vfio} containers, groups, devices and the PCI bus,
 * {@code iommu} and {@code iommufd} what is between devices and memory, {@code feature} the dispatch of
 * VFIO_DEVICE_FEATURE and one class for each feature, {@code mdev} and {@code cdx} the other kinds of devices; {@code device}
 * is for devices of one's own. They follow the order of checks of the kernel; what differs between kernels is in
 * {@link io.github.vfio4j.emulation.KernelProfile}.
 */
@NullMarked
package io.github.vfio4j.emulation;

import org.jspecify.annotations.NullMarked;
