package io.github.vfio4j;

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
     * Closes the devices and what they were opened through, once.
     *
     * @throws VfioException
     *             the first error of close(2); everything is closed all the same
     */
    @Override
    void close() throws VfioException;
}
