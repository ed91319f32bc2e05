package io.github.vfio4j;

import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * A PCI function as sysfs shows it: driver, IOMMU group, virtual functions. Every question is answered anew from
 * {@code /sys/bus/pci/devices}; nothing is kept open. Safe for use by many threads.
 */
public final class PciDevice {

    private final Sysfs sysfs;
    private final PciAddress address;
    private final String path;

    PciDevice(Sysfs sysfs, PciAddress address) {
        this.sysfs = sysfs;
        this.address = address;
        path = "/sys/bus/pci/devices/" + address;
    }

    /**
     * The address.
     *
     * @return as it was given
     */
    public PciAddress address() {
        return address;
    }

    /**
     * Whether there is a function at the address.
     *
     * @return true if sysfs lists it
     * @throws VfioException
     *             if sysfs can't be read
     */
    public boolean exists() throws VfioException {
        return sysfs.linkName(path).isPresent();
    }

    /**
     * The driver it is bound to.
     *
     * @return for example {@code vfio-pci}; empty if no driver is bound
     * @throws VfioException
     *             if sysfs can't be read
     */
    public Optional<String> driver() throws VfioException {
        return sysfs.linkName(path + "/driver");
    }

    /**
     * The IOMMU group it is in.
     *
     * @return the group's number; empty without an IOMMU
     * @throws VfioException
     *             if sysfs can't be read
     */
    public OptionalInt iommuGroup() throws VfioException {
        return sysfs.linkNumber(path + "/iommu_group");
    }

    /**
     * The physical function that a virtual one belongs to.
     *
     * @return empty if this is not a virtual function
     * @throws VfioException
     *             if sysfs can't be read
     */
    public Optional<PciAddress> physicalFunction() throws VfioException {
        return sysfs.linkAddress(path + "/physfn");
    }

    /**
     * A virtual function of this physical one.
     *
     * @param index
     *            from 0 on
     * @return its address; empty if there are not that many
     * @throws VfioException
     *             if sysfs can't be read
     */
    public Optional<PciAddress> virtualFunction(int index) throws VfioException {
        return sysfs.linkAddress(path + "/virtfn" + index);
    }

    /**
     * How many virtual functions there are.
     *
     * @return 0 or more
     * @throws VfioException
     *             {@code ENOENT} if the function has no SR-IOV capability
     */
    public int sriovNumVfs() throws VfioException {
        return sysfs.readNumber(path + "/sriov_numvfs");
    }

    /**
     * Creates or removes virtual functions by writing {@code sriov_numvfs}. Under vfio-pci, those it creates are bound to
     * vfio-pci too. From one number to another the way goes through 0.
     *
     * @param count
     *            how many there are to be
     * @throws VfioException
     *             {@code ENOENT} without SR-IOV, or with {@code enable_sriov} of vfio-pci off, {@code EBUSY} if there are
     *             some already, {@code ERANGE} if the hardware has not that many, {@code EACCES} without the right to
     */
    public void setSriovNumVfs(int count) throws VfioException {
        sysfs.write(path + "/sriov_numvfs", Integer.toString(count), Map.of(Errno.ENOENT,
                "The function has no SR-IOV capability or no driver, or vfio-pci was loaded without enable_sriov=1 (echo 1"
                        + " > /sys/module/vfio_pci/parameters/enable_sriov)",
                Errno.EBUSY, "There are virtual functions already: write 0 first", Errno.ERANGE,
                "The hardware has not that many virtual functions: see " + path + "/sriov_totalvfs", Errno.EACCES,
                "Only root may create virtual functions"));
    }

    /** Whether a VF token can mean anything to it: it is an SR-IOV function, and vfio-pci has the physical one. */
    boolean mayHaveToken() throws VfioException {
        Optional<PciAddress> owner = physicalFunction();
        return owner.isPresent()
                ? new PciDevice(sysfs, owner.get()).driver().filter(Diagnosis.VFIO_PCI::equals).isPresent()
                : sysfs.exists(path + "/sriov_numvfs");
    }

    /** The address. */
    @Override
    public String toString() {
        return address.toString();
    }
}
