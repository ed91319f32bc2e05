package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.device.DeviceHost;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** A PCI function as the PCI core knows it: address, driver, IOMMU group, SR-IOV. */
public final class PciFunction implements GroupMember {

    /**
     * How many virtual functions the hardware has and how its function numbers them (PCIe, SR-IOV capability); and what
     * becomes of those, by number, of which it was said.
     */
    public record Sriov(int totalVfs, int vfOffset, int vfStride, Map<Integer, Virtual> virtualFunctions) {
        /** No SR-IOV capability. */
        public static final Sriov NONE = new Sriov(0, 0, 0, Map.of());
    }

    /** What becomes of a virtual function: the number of its group, and what it is bound to, null for nothing. */
    public record Virtual(int group, @Nullable PciBinding binding) {
    }

    /** Where the SR-IOV capability says which device a virtual function is. */
    private static final int VF_DEVICE = 0x1a;

    private final PciBus bus;
    private final PciAddress address;
    private final IommuGroup group;
    private final @Nullable PciBinding binding;
    private final @Nullable PciFunction physicalFunction;
    private final Sriov sriov;
    private final PciTraits traits;
    private final PciHardware hardware;
    private final @Nullable VfioPciDriver vfioPci;
    private final @Nullable CoreDevice vfioDevice;
    private volatile List<PciFunction> virtualFunctions = List.of();

    PciFunction(PciBus bus, PciAddress address, IommuGroup group, @Nullable PciBinding binding,
            @Nullable PciFunction physicalFunction, Sriov sriov, PciTraits traits) {
        this.bus = bus;
        this.address = address;
        this.group = group;
        this.binding = binding;
        this.physicalFunction = physicalFunction;
        this.sriov = sriov;
        this.traits = traits;
        hardware = new PciHardware(traits, sriov, physicalFunction != null);
        vfioPci = binding != null && binding.isVfio()
                ? new VfioPciDriver(bus.profile(), this, bus.clock(), binding.newModel())
                : null;
        vfioDevice = vfioPci == null ? null : bus.devices().register(vfioPci, group);
    }

    /** Where it is. */
    public PciAddress address() {
        return address;
    }

    /** The group in which the IOMMU isolates this function. */
    public IommuGroup group() {
        return group;
    }

    /** The bound driver, null if there is none. */
    public @Nullable String driver() {
        return binding == null ? null : binding.driver();
    }

    /** The physical function of a virtual one, null otherwise. */
    public @Nullable PciFunction physicalFunction() {
        return physicalFunction;
    }

    /** The virtual functions that exist now. */
    public List<PciFunction> virtualFunctions() {
        return virtualFunctions;
    }

    /** How many virtual functions there can be. */
    public int totalVfs() {
        return sriov.totalVfs();
    }

    PciTraits traits() {
        return traits;
    }

    PciHardware hardware() {
        return hardware;
    }

    /** The vendor by which the PCI core knows it: a virtual function has that of its physical one. */
    int vendor() {
        return physicalFunction == null ? hardware.read(0, 2) : physicalFunction.vendor();
    }

    /** The device by which the PCI core knows it: of a virtual function the SR-IOV capability says it. */
    int device() {
        if (physicalFunction == null) {
            return hardware.read(2, 2);
        }
        PciHardware owner = physicalFunction.hardware;
        int sriovCapability = owner.extendedCapability(PciRegisters.EXTENDED_SRIOV);
        return sriovCapability == 0 ? physicalFunction.device() : owner.read(sriovCapability + VF_DEVICE, 2);
    }

    /** The functions on its bus, itself included. */
    List<PciFunction> onSameBus() {
        return bus.onBus(address.domain(), address.bus());
    }

    /** The bus is reset, and with it the function. */
    void resetWithBus() {
        if (vfioPci != null) {
            vfioPci.resetWithBus();
        }
    }

    /** The device's side of the machine; null while no VFIO driver has the function. */
    public @Nullable DeviceHost host() {
        return vfioPci == null ? null : vfioPci.host();
    }

    @Override
    public @Nullable CoreDevice vfioDevice() {
        return vfioDevice;
    }

    /** Null while the function is bound to another driver or none. */
    @Nullable
    VfioPciDriver vfioPci() {
        return vfioPci;
    }

    boolean isSriovCapable() {
        return sriov.totalVfs() > 0;
    }

    boolean hasVirtualFunctions() {
        return !virtualFunctions.isEmpty();
    }

    @Override
    public boolean isEmulated() {
        return false;
    }

    @Override
    public boolean isOwnedByHost() {
        return binding != null && binding.isOwnedByHost();
    }

    /**
     * A write to the sysfs file sriov_numvfs (semantics §D.2).
     *
     * @param count
     *            how many virtual functions there are to be
     * @return 0, or −errno
     */
    public synchronized int setNumVfs(int count) {
        if (count > sriov.totalVfs()) {
            return -Errno.ERANGE.code();
        }
        int existing = virtualFunctions.size();
        if (count == existing) {
            return 0;
        }
        if (binding == null) {
            return -Errno.ENOENT.code();
        }
        if (count != 0 && existing != 0) {
            return -Errno.EBUSY.code();
        }
        if (vfioDevice != null && !bus.isSriovEnabled()) {
            return -Errno.ENOENT.code();
        }
        if (count == 0) {
            for (PciFunction function : virtualFunctions) {
                if (function.vfioDevice != null && function.vfioDevice.hasFiles()) {
                    throw new NotModelledException("the removal of " + function.address
                            + " while it is open, for which the kernel waits until user space closes it");
                }
            }
            virtualFunctions.forEach(bus::remove);
            virtualFunctions = List.of();
        } else {
            if (vfioPci != null) {
                vfioPci.wake();
            }
            createVirtualFunctions(count, vfioDevice != null ? binding : null);
        }
        return 0;
    }

    /** Makes virtual functions appear; those of a function with a VFIO driver get the same driver. */
    public void createVirtualFunctions(int count, @Nullable PciBinding boundTo) {
        virtualFunctions = bus.addVirtualFunctions(this, sriov, count, boundTo);
    }
}
