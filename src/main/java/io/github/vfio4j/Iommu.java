package io.github.vfio4j;

import java.lang.foreign.MemorySegment;
import java.util.UUID;

/**
 * An address space of the IOMMU and the devices that use it, in whichever way the kernel has it: a {@link VfioContainer},
 * which takes devices by their groups, or an {@link Iommufd}, which takes them by files of their own. {@link Vfio#openIommu}
 * chooses; what is written against this interface works with both.
 *
 * <p>
 * Owns what is opened through it, and closing it closes that first. Safe for use by many threads.
 */
public sealed interface Iommu extends AutoCloseable permits VfioContainer, Iommufd {

    /**
     * Opens a device that needs no VF token.
     *
     * @param address
     *            a PCI function bound to vfio-pci
     * @return the device
     * @throws VfioException
     *             as {@link #openDevice(PciAddress, VfToken)}
     */
    VfioDevice openDevice(PciAddress address) throws VfioException;

    /**
     * Opens a device with a VF token: a virtual function whose physical function is on vfio-pci needs the one that was
     * set there; a physical function takes it as its new one, or as proof while virtual functions are in use
     * (device-feature semantics §D.4).
     *
     * @param address
     *            a PCI function bound to vfio-pci
     * @param token
     *            the token; the native copy is overwritten after the call
     * @return the device
     * @throws VfioException
     *             if there is no such function, it is not bound to vfio-pci or has no IOMMU group, it is in use
     *             ({@code EBUSY}) or closed to this user ({@code EACCES}), a host driver holds a device of its group, or the
     *             token is missing or wrong ({@code EACCES}) or none is taken ({@code EINVAL}); the message says which.
     *             Nothing stays open then
     */
    VfioDevice openDevice(PciAddress address, VfToken token) throws VfioException;

    /**
     * Opens a mediated device, which the kernel's {@code mdev} bus knows by a UUID.
     *
     * @param uuid
     *            its name, as in {@code /sys/bus/mdev/devices}
     * @return the device
     * @throws VfioException
     *             if there is no such device, or no driver has taken it ({@code ENODEV}), or it is in use ({@code EBUSY}) or
     *             closed to this user ({@code EACCES}). Nothing stays open then
     */
    VfioDevice openMediatedDevice(UUID uuid) throws VfioException;

    /**
     * Maps memory of the caller's for DMA, at an address this library chooses: the lowest that is free, never 0, and one
     * that lets the IOMMU use huge pages where the memory is aligned to them. A {@link VfioContainer} has an address space
     * from its first device to its last one, and the mappings end with it; an {@link Iommufd} has its own.
     *
     * <p>
     * The memory must not be freed before it is unmapped: devices would go on writing to it, and whoever has it then is
     * overwritten. {@link #allocate} takes care of that.
     *
     * @param memory
     *            native memory of whole {@linkplain DmaLimits#pageSize pages}. On an emulated kernel devices of other threads
     *            reach it only if its arena lets them (not a confined one)
     * @param direction
     *            what devices may do with it
     * @return the mapping
     * @throws VfioException
     *             {@code ENOMEM} if the process may not lock that much memory, {@code ENOSPC} if there are too many mappings
     *             in a container, {@code EFAULT} if the memory is not there, no errno if no addresses are free; the message
     *             says what to do
     * @throws IllegalArgumentException
     *             if the memory is on the heap, empty, read-only though devices would write it, or not aligned
     * @throws IllegalStateException
     *             if the memory is freed, this is closed, or it is a container without a device
     */
    DmaMapping map(MemorySegment memory, DmaDirection direction) throws VfioException;

    /**
     * Maps memory of the caller's for DMA at an address of the caller's, as for guest memory in a virtual machine monitor.
     *
     * @param iova
     *            the first address, unsigned, at the beginning of a page
     * @param memory
     *            as in {@link #map(MemorySegment, DmaDirection)}
     * @param direction
     *            what devices may do with it
     * @return the mapping
     * @throws VfioException
     *             as {@link #map(MemorySegment, DmaDirection)}
     * @throws IllegalArgumentException
     *             also if the addresses are outside of the {@linkplain DmaLimits#iovaRanges allowed ranges}, not aligned, or
     *             taken by another mapping
     * @throws IllegalStateException
     *             as {@link #map(MemorySegment, DmaDirection)}
     */
    DmaMapping map(long iova, MemorySegment memory, DmaDirection direction) throws VfioException;

    /**
     * Allocates memory, zeroed, and maps it for DMA. It lives as long as the mapping: until that is closed, or this is.
     * Every access after that is an {@link IllegalStateException}.
     *
     * @param bytes
     *            at least 1; rounded up to whole pages
     * @param direction
     *            what devices may do with it
     * @return the mapping, with the memory
     * @throws VfioException
     *             as {@link #map(MemorySegment, DmaDirection)}
     * @throws IllegalStateException
     *             if this is closed, or a container without a device
     */
    DmaMapping allocate(long bytes, DmaDirection direction) throws VfioException;

    /**
     * What can be mapped.
     *
     * @return the limits as they are now
     * @throws VfioException
     *             if the kernel could not be asked
     * @throws IllegalStateException
     *             if this is closed, or a container without a device
     */
    DmaLimits dmaLimits() throws VfioException;

    /**
     * Closes the devices and what they were opened through, ends all mappings and then frees the memory that is
     * {@linkplain #allocate this library's}, once.
     *
     * @throws VfioException
     *             the first error of close(2); everything is closed all the same
     */
    @Override
    void close() throws VfioException;
}
