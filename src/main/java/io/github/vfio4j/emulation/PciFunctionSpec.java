package io.github.vfio4j.emulation;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.feature.Bar;
import io.github.vfio4j.emulation.vfio.IommuGroups;
import io.github.vfio4j.emulation.vfio.PciBinding;
import io.github.vfio4j.emulation.vfio.PciFunction;
import io.github.vfio4j.emulation.vfio.PciInterrupts;
import io.github.vfio4j.emulation.vfio.PciRegisters;
import io.github.vfio4j.emulation.vfio.PciTraits;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * What a PCI function of an {@link EmulatedKernel} is like. Without further words it is a plain function bound to
 * vfio-pci, in an IOMMU group of its own: PCI Express, without BARs and ROM, with INTx and without MSI and MSI-X, and it
 * can be reset. Its virtual functions are like it, but have neither INTx nor a ROM.
 */
public final class PciFunctionSpec {

    /** Where the next BAR goes: any place will do, as long as it is aligned and not 0. */
    private static final long FIRST_BAR_ADDRESS = 0xfe00_0000L;

    private static final long SMALLEST_ROM = 2048;
    private static final int MOST_MSI = 32;
    private static final int MOST_MSIX = 2048;
    private static final long MSIX_TABLE_ENTRY = 16;

    private @Nullable PciBinding binding = PciBinding.vfioPci();
    private @Nullable PciBinding vfBinding;
    private int group = IommuGroups.NEW;
    private int totalVfs;
    private int vfOffset = 1;
    private int vfStride = 1;
    private final Map<Integer, PciFunction.Virtual> virtualFunctions = new HashMap<>();
    private int numVfs;
    private final List<Bar> bars = new ArrayList<>();
    private boolean express = true;
    private boolean resettable = true;
    private long romSize;
    private PciInterrupts interrupts = new PciInterrupts(true, true, 0, 0, 0, 0);
    private PciRegisters registers = PciRegisters.DEFAULT;

    PciFunctionSpec() {
    }

    /**
     * The driver it is bound to.
     *
     * @param name
     *            {@code vfio-pci}, which makes it usable from user space, or the name of a host driver
     * @return this
     */
    public PciFunctionSpec driver(String name) {
        binding = PciBinding.to(name);
        return this;
    }

    /**
     * It is bound to a variant driver of vfio-pci, as mlx5-vfio-pci is one, which drives a device of your own: whatever
     * vfio-pci answers, it answers too, except that it exports no DMA-buf (feature 11 is {@code EOPNOTSUPP}). Virtual
     * functions that come into being get the same driver, and each a device.
     *
     * <p>
     * Linux 5.7 knows no such drivers: there the device has the features of vfio-pci alone.
     *
     * @param name
     *            the driver's name in sysfs
     * @param model
     *            makes the device, once for each function of each kernel
     * @return this
     * @throws IllegalArgumentException
     *             if that is the name of vfio-pci itself
     */
    public PciFunctionSpec variantDriver(String name, Supplier<? extends DeviceModel> model) {
        if (name.equals(PciBinding.VFIO_PCI)) {
            throw new IllegalArgumentException("vfio-pci drives no models; give the variant driver a name of its own");
        }
        binding = new PciBinding(name, model);
        return this;
    }

    /**
     * No driver is bound.
     *
     * @return this
     */
    public PciFunctionSpec unbound() {
        binding = null;
        return this;
    }

    /**
     * The IOMMU group.
     *
     * @param number
     *            its number; functions with the same number share it
     * @return this
     */
    public PciFunctionSpec group(int number) {
        if (number < 0) {
            throw new IllegalArgumentException("An IOMMU group has a number from 0 on, not " + number);
        }
        group = number;
        return this;
    }

    /**
     * It is an SR-IOV physical function; virtual function n is n functions after it.
     *
     * @param totalVfs
     *            how many virtual functions it can have, at least 1
     * @return this
     */
    public PciFunctionSpec sriov(int totalVfs) {
        if (totalVfs < 1 || totalVfs > 0xffff) {
            throw new IllegalArgumentException(
                    "An SR-IOV function can have 1 to 65535 virtual functions, not " + totalVfs);
        }
        this.totalVfs = totalVfs;
        return this;
    }

    /**
     * Where its virtual functions are, if not right after it.
     *
     * @param offset
     *            how many functions after this one the first is, at least 1
     * @param stride
     *            how many functions further each next one is, at least 1
     * @return this
     */
    public PciFunctionSpec virtualFunctionsAt(int offset, int stride) {
        if (offset < 1 || stride < 1) {
            throw new IllegalArgumentException(
                    "A virtual function is at least 1 after the one before, not " + Math.min(offset, stride));
        }
        vfOffset = offset;
        vfStride = stride;
        return this;
    }

    /**
     * Where a virtual function goes when there is one, now or later. Without this it gets a group of its own, and vfio-pci
     * if its physical function has that.
     *
     * @param index
     *            which, from 0 on
     * @param groupNumber
     *            the number of its IOMMU group
     * @param boundTo
     *            the driver that it will be bound to, null for none
     * @return this
     */
    public PciFunctionSpec virtualFunction(int index, int groupNumber, @Nullable String boundTo) {
        if (index < 0 || groupNumber < 0) {
            throw new IllegalArgumentException(
                    "Virtual functions and IOMMU groups have numbers from 0 on, not " + Math.min(index, groupNumber));
        }
        virtualFunctions.put(index, new PciFunction.Virtual(groupNumber, binding(boundTo)));
        return this;
    }

    /**
     * Virtual functions that exist from the start, no more than {@link #sriov} allows. Usually they come when {@code sriov_numvfs} is written; this is for a
     * physical function that a host driver keeps.
     *
     * @param count
     *            how many
     * @param boundTo
     *            their driver, null for none
     * @return this
     */
    public PciFunctionSpec virtualFunctions(int count, @Nullable String boundTo) {
        numVfs = count;
        vfBinding = binding(boundTo);
        return this;
    }

    /**
     * A memory BAR. It comes behind those that were named before; small ones in one page cannot be mapped.
     *
     * @param index
     *            0‥5
     * @param size
     *            bytes, a power of two, at least 16
     * @return this
     */
    public PciFunctionSpec memoryBar(int index, long size) {
        return bar(index, size, 16, false);
    }

    /**
     * An I/O-port BAR.
     *
     * @param index
     *            0‥5
     * @param size
     *            ports, a power of two, at least 4
     * @return this
     */
    public PciFunctionSpec ioPortBar(int index, long size) {
        return bar(index, size, 4, true);
    }

    private PciFunctionSpec bar(int index, long size, int smallest, boolean ioPort) {
        if (index < 0 || index > 5 || Long.bitCount(size) != 1 || size < smallest) {
            throw new IllegalArgumentException("There is no BAR " + index + " of " + size
                    + " bytes: the index is 0 to 5, the size a power of two of at least " + smallest);
        }
        if (bars.stream().anyMatch(bar -> bar.index() == index)) {
            throw new IllegalArgumentException("There are two BARs " + index + "; give each its own index");
        }
        long address = bars.isEmpty() ? FIRST_BAR_ADDRESS : bars.getLast().address() + bars.getLast().size();
        bars.add(new Bar(index, size, Math.ceilDiv(address, size) * size, ioPort));
        return this;
    }

    /**
     * An expansion ROM that can be read.
     *
     * @param size
     *            bytes, a power of two, at least 2048
     * @return this
     */
    public PciFunctionSpec rom(long size) {
        if (Long.bitCount(size) != 1 || size < SMALLEST_ROM) {
            throw new IllegalArgumentException(
                    "The size of a ROM is a power of two of at least " + SMALLEST_ROM + ", not " + size);
        }
        romSize = size;
        return this;
    }

    /**
     * It is a conventional PCI function: 256 bytes of configuration space, and no error interrupt.
     *
     * @return this
     */
    public PciFunctionSpec conventional() {
        express = false;
        return this;
    }

    /**
     * It cannot be reset alone.
     *
     * @return this
     */
    public PciFunctionSpec withoutReset() {
        resettable = false;
        return this;
    }

    /**
     * It has no interrupt pin.
     *
     * @return this
     */
    public PciFunctionSpec withoutIntx() {
        return interrupts(false, false, interrupts.msiVectors());
    }

    /**
     * It has an interrupt pin, but the platform does not route it: INTx cannot be enabled.
     *
     * @return this
     */
    public PciFunctionSpec withoutInterruptLine() {
        return interrupts(true, false, interrupts.msiVectors());
    }

    /**
     * It has MSI.
     *
     * @param vectors
     *            what its capability can have at most: 1, 2, 4, 8, 16 or 32
     * @return this
     */
    public PciFunctionSpec msi(int vectors) {
        if (Integer.bitCount(vectors) != 1 || vectors < 1 || vectors > MOST_MSI) {
            throw new IllegalArgumentException("MSI has 1, 2, 4, 8, 16 or 32 vectors, not " + vectors);
        }
        return interrupts(interrupts.pin(), interrupts.line(), vectors);
    }

    /**
     * It has MSI-X, with the table at the beginning of a BAR.
     *
     * @param vectors
     *            the size of its table, 1 to 2048
     * @param tableBar
     *            the memory BAR that holds the table, 16 bytes for each vector
     * @return this
     */
    public PciFunctionSpec msix(int vectors, int tableBar) {
        return msix(vectors, tableBar, 0);
    }

    /**
     * It has MSI-X.
     *
     * @param vectors
     *            the size of its table, 1 to 2048
     * @param tableBar
     *            the memory BAR that holds the table, 16 bytes for each vector
     * @param tableOffset
     *            where in the BAR the table begins, a multiple of 8
     * @return this
     */
    public PciFunctionSpec msix(int vectors, int tableBar, int tableOffset) {
        if (vectors < 1 || vectors > MOST_MSIX || tableBar < 0 || tableBar > 5 || tableOffset < 0
                || tableOffset % Long.BYTES != 0) {
            throw new IllegalArgumentException("There is no MSI-X table of " + vectors + " vectors in BAR " + tableBar
                    + " at " + tableOffset + ": it has 1 to 2048, the BAR is 0 to 5, and it begins at a multiple of 8");
        }
        interrupts = new PciInterrupts(interrupts.pin(), interrupts.line(), interrupts.msiVectors(), vectors, tableBar,
                tableOffset);
        return this;
    }

    private PciFunctionSpec interrupts(boolean pin, boolean line, int msi) {
        interrupts = new PciInterrupts(pin, line, msi, interrupts.msixVectors(), interrupts.msixTableBar(),
                interrupts.msixTableOffset());
        return this;
    }

    /**
     * Who made it. Without this it is a test device of QEMU's, 1b36:0005.
     *
     * @param vendor
     *            0‥0xfffe
     * @param device
     *            0‥0xffff; its virtual functions are the same device
     * @return this
     */
    public PciFunctionSpec id(int vendor, int device) {
        if (vendor < 0 || vendor >= 0xffff || device < 0 || device > 0xffff) {
            throw new IllegalArgumentException("A vendor is 0 to 0xfffe and a device 0 to 0xffff, not 0x"
                    + Integer.toHexString(vendor) + " and 0x" + Integer.toHexString(device));
        }
        registers = new PciRegisters(vendor, device, registers.revision(), registers.classCode(),
                registers.subsystemVendor(), registers.subsystem(), registers.capabilities(), registers.image());
        return this;
    }

    /**
     * What kind of device it is. Without this it is of no class.
     *
     * @param code
     *            class, subclass and programming interface: 24 bits, for example 0x010802 for NVMe
     * @param revision
     *            0‥0xff
     * @return this
     */
    public PciFunctionSpec classCode(int code, int revision) {
        if (code < 0 || code > 0xff_ffff || revision < 0 || revision > 0xff) {
            throw new IllegalArgumentException("A class has 24 bits and a revision 8, not 0x"
                    + Integer.toHexString(code) + " and 0x" + Integer.toHexString(revision));
        }
        registers = new PciRegisters(registers.vendor(), registers.device(), revision, code,
                registers.subsystemVendor(), registers.subsystem(), registers.capabilities(), registers.image());
        return this;
    }

    /**
     * Who sells the card.
     *
     * @param vendor
     *            0‥0xffff
     * @param subsystem
     *            0‥0xffff
     * @return this
     */
    public PciFunctionSpec subsystem(int vendor, int subsystem) {
        if (vendor < 0 || vendor > 0xffff || subsystem < 0 || subsystem > 0xffff) {
            throw new IllegalArgumentException("Vendor and subsystem are 0 to 0xffff, not 0x"
                    + Integer.toHexString(vendor) + " and 0x" + Integer.toHexString(subsystem));
        }
        registers = new PciRegisters(registers.vendor(), registers.device(), registers.revision(),
                registers.classCode(), vendor, subsystem, registers.capabilities(), registers.image());
        return this;
    }

    /**
     * It has a capability beyond power management, MSI, MSI-X and PCI Express, which it has by what else is said of it.
     *
     * @param id
     *            for example 9 for one that the vendor defines, whose body begins with the capability's length
     * @param body
     *            what follows id and link
     * @return this
     */
    public PciFunctionSpec capability(int id, byte... body) {
        if (id < 1 || id > 0xff) {
            throw new IllegalArgumentException("A capability has an id of 1 to 255, not " + id);
        }
        byte[] capability = new byte[2 + body.length];
        capability[0] = (byte) id;
        System.arraycopy(body, 0, capability, 2, body.length);
        List<byte[]> all = new ArrayList<>(registers.capabilities());
        all.add(capability);
        registers = new PciRegisters(registers.vendor(), registers.device(), registers.revision(),
                registers.classCode(), registers.subsystemVendor(), registers.subsystem(), List.copyOf(all),
                registers.image());
        return this;
    }

    /**
     * All of its configuration space, as it stands on another machine: instead of {@link #id}, {@link #classCode},
     * {@link #subsystem} and {@link #capability}. What else is said has to agree with it: BARs, interrupts,
     * {@link #conventional}.
     *
     * @param bytes
     *            64 to 4096, as in sysfs
     * @return this
     */
    public PciFunctionSpec configSpace(byte... bytes) {
        if (bytes.length < 64 || bytes.length > 4096) {
            throw new IllegalArgumentException("Configuration space has 64 to 4096 bytes, not " + bytes.length);
        }
        registers = new PciRegisters(registers.vendor(), registers.device(), registers.revision(),
                registers.classCode(), registers.subsystemVendor(), registers.subsystem(), registers.capabilities(),
                MemorySegment.ofArray(bytes.clone()).asReadOnly());
        return this;
    }

    /** Whether all that was said goes together; once all has been said. */
    void check(PciAddress address) {
        if (numVfs < 0 || numVfs > totalVfs) {
            throw new IllegalArgumentException("The function " + address + " cannot have " + numVfs
                    + " virtual functions: it can have 0 to " + totalVfs + ", which sriov(total) says");
        }
        int tableBar = interrupts.msixTableBar();
        if (interrupts.msixVectors() > 0 && bars.stream().noneMatch(bar -> bar.index() == tableBar && !bar.ioPort()
                && bar.size() >= interrupts.msixTableOffset() + MSIX_TABLE_ENTRY * interrupts.msixVectors())) {
            throw new IllegalArgumentException("The function " + address + " has no memory BAR " + tableBar
                    + " that its MSI-X table of " + interrupts.msixVectors() + " entries fits into; give it one");
        }
        if (!registers.fits(express, interrupts.msiVectors() + interrupts.msixVectors())) {
            throw new IllegalArgumentException(
                    "The function " + address + " has more capabilities than its configuration space has room for");
        }
    }

    @Nullable
    PciBinding binding() {
        return binding;
    }

    private static @Nullable PciBinding binding(@Nullable String driver) {
        return driver == null ? null : PciBinding.to(driver);
    }

    @Nullable
    PciBinding vfBinding() {
        return vfBinding;
    }

    int group() {
        return group;
    }

    PciFunction.Sriov sriov() {
        return totalVfs == 0
                ? PciFunction.Sriov.NONE
                : new PciFunction.Sriov(totalVfs, vfOffset, vfStride, Map.copyOf(virtualFunctions));
    }

    int numVfs() {
        return numVfs;
    }

    PciTraits traits() {
        return new PciTraits(express, List.copyOf(bars), romSize, resettable, interrupts, registers);
    }
}
