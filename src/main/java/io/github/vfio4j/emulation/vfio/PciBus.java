package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.emulation.KernelProfile;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/** The PCI functions of the machine, and the IOMMU groups they are in. */
public final class PciBus {

    private final KernelProfile profile;
    private final LongSupplier clock;
    private final SortedMap<PciAddress, PciFunction> functions = new ConcurrentSkipListMap<>();
    private final IommuGroups groups;
    private final VfioDevices devices;
    private volatile boolean sriovEnabled = true;

    /** An empty bus. */
    public PciBus(KernelProfile profile, IommuGroups groups, VfioDevices devices, LongSupplier clock) {
        this.profile = profile;
        this.groups = groups;
        this.devices = devices;
        this.clock = clock;
    }

    KernelProfile profile() {
        return profile;
    }

    LongSupplier clock() {
        return clock;
    }

    VfioDevices devices() {
        return devices;
    }

    /** The parameter enable_sriov of the module vfio-pci. */
    public boolean isSriovEnabled() {
        return sriovEnabled;
    }

    /** Writes the parameter. */
    public void enableSriov(boolean enabled) {
        sriovEnabled = enabled;
    }

    /** The function at an address, null if there is none. */
    public @Nullable PciFunction function(PciAddress address) {
        return functions.get(address);
    }

    /** The functions on a bus, in the order of their addresses. */
    List<PciFunction> onBus(int domain, int number) {
        return functions.entrySet().stream()
                .filter(entry -> entry.getKey().domain() == domain && entry.getKey().bus() == number)
                .map(Map.Entry::getValue).toList();
    }

    /** All functions in the order of their addresses. */
    public List<PciAddress> addresses() {
        return List.copyOf(functions.keySet());
    }

    /**
     * Adds a function.
     *
     * @param groupNumber
     *            the number of its group, or {@link IommuGroups#NEW}
     */
    public PciFunction add(PciAddress address, int groupNumber, @Nullable PciBinding binding,
            @Nullable PciFunction physicalFunction, PciFunction.Sriov sriov, PciTraits traits) {
        IommuGroup group = groups.join(groupNumber);
        PciFunction function = new PciFunction(this, address, group, binding, physicalFunction, sriov, traits);
        group.add(function);
        functions.put(address, function);
        return function;
    }

    List<PciFunction> addVirtualFunctions(PciFunction physicalFunction, PciFunction.Sriov sriov, int count,
            @Nullable PciBinding binding) {
        List<PciFunction> added = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            PciAddress address = physicalFunction.address().plus(sriov.vfOffset() + i * sriov.vfStride());
            PciFunction.Virtual virtual = sriov.virtualFunctions().getOrDefault(i,
                    new PciFunction.Virtual(IommuGroups.NEW, binding));
            added.add(add(address, virtual.group(), virtual.binding(), physicalFunction, PciFunction.Sriov.NONE,
                    physicalFunction.traits().ofVirtualFunction()));
        }
        return List.copyOf(added);
    }

    /** Removes a function. */
    void remove(PciFunction function) {
        functions.remove(function.address());
        CoreDevice device = function.vfioDevice();
        if (device != null) {
            devices.unregister(device);
        }
        groups.leave(function.group(), function);
    }
}
