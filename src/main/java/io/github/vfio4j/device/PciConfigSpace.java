package io.github.vfio4j.device;

import io.github.vfio4j.VfioException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The configuration space of a PCI function as vfio-pci shows it: partly the function's own registers, partly the kernel's
 * (PCI specification, type 0 header; vfio_pci_config.c). Every access is a system call. Safe for use by many threads,
 * except that a bit of the command register is set by reading and writing: that is done under this object's monitor.
 *
 * <p>
 * BARs hold what was written to them and mean nothing: where the memory is the kernel has decided, and it is reached by
 * {@link DeviceRegion}. Interrupts are switched on by {@link DeviceInterrupts} and not here.
 */
public final class PciConfigSpace implements RegisterAccess {

    /** Bit of {@link #command}: I/O ports answer. */
    public static final int COMMAND_IO = 1;
    /** Bit of {@link #command}: memory answers. */
    public static final int COMMAND_MEMORY = 2;
    /** Bit of {@link #command}: the function may do DMA, MSI and MSI-X included. */
    public static final int COMMAND_BUS_MASTER = 4;
    /** Bit of {@link #command}: INTx is not asserted. */
    public static final int COMMAND_INTX_DISABLE = 0x400;

    private static final int STATUS_CAPABILITIES = 0x10;
    private static final int VENDOR_ID = 0x00;
    private static final int DEVICE_ID = 0x02;
    private static final int COMMAND = 0x04;
    private static final int STATUS = 0x06;
    private static final int REVISION = 0x08;
    private static final int CACHE_LINE_SIZE = 0x0c;
    private static final int LATENCY_TIMER = 0x0d;
    private static final int HEADER_TYPE = 0x0e;
    private static final int SELF_TEST = 0x0f;
    private static final int FIRST_BAR = 0x10;
    private static final int CARDBUS_CIS = 0x28;
    private static final int SUBSYSTEM_VENDOR_ID = 0x2c;
    private static final int SUBSYSTEM_ID = 0x2e;
    private static final int EXPANSION_ROM = 0x30;
    private static final int CAPABILITIES = 0x34;
    private static final int INTERRUPT_LINE = 0x3c;
    private static final int INTERRUPT_PIN = 0x3d;
    private static final int MIN_GRANT = 0x3e;
    private static final int MAX_LATENCY = 0x3f;
    private static final int HEADER_SIZE = 0x40;
    private static final int STANDARD_SIZE = 0x100;
    private static final int BARS = 6;

    private static final int PM_CONTROL = 4;
    private static final int PM_STATE = 3;
    private static final int D3HOT = 3;

    private final DeviceRegion region;

    private PciConfigSpace(DeviceRegion region) {
        this.region = region;
    }

    /**
     * The configuration space of a device.
     *
     * @param device
     *            a PCI device
     * @return its configuration space
     * @throws VfioException
     *             if it is no PCI device
     */
    public static PciConfigSpace of(DeviceHandle device) throws VfioException {
        if (!DeviceInfo.of(device).isPci()) {
            throw new VfioException("read the configuration space of " + device, null, "It is no PCI device");
        }
        DeviceRegion region = DeviceRegion.of(device, DeviceRegion.CONFIG);
        if (region.size() < HEADER_SIZE) {
            throw CapabilityChain.malformed("VFIO_DEVICE_GET_REGION_INFO of " + region, region.size() + " bytes");
        }
        return new PciConfigSpace(region);
    }

    /**
     * Vendor.
     *
     * @return 0‥0xffff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int vendorId() throws VfioException {
        return get16(VENDOR_ID) & 0xffff;
    }

    /**
     * Device, by the vendor's numbers.
     *
     * @return 0‥0xffff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int deviceId() throws VfioException {
        return get16(DEVICE_ID) & 0xffff;
    }

    /**
     * The command register.
     *
     * @return {@code COMMAND_…} and other bits
     * @throws VfioException
     *             if the kernel refuses
     */
    public int command() throws VfioException {
        return get16(COMMAND) & 0xffff;
    }

    /**
     * The status register.
     *
     * @return 16 bits
     * @throws VfioException
     *             if the kernel refuses
     */
    public int status() throws VfioException {
        return get16(STATUS) & 0xffff;
    }

    /**
     * Revision, by the vendor's numbers.
     *
     * @return 0‥0xff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int revision() throws VfioException {
        return get8(REVISION) & 0xff;
    }

    /**
     * What kind of device it is: class, subclass and programming interface.
     *
     * @return 24 bits, for example 0x010802 for NVMe
     * @throws VfioException
     *             if the kernel refuses
     */
    public int classCode() throws VfioException {
        return get32(REVISION) >>> Byte.SIZE;
    }

    /**
     * How large the machine's cache lines are, as the function has been told.
     *
     * @return words of 32 bits, 0‥0xff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int cacheLineSize() throws VfioException {
        return get8(CACHE_LINE_SIZE) & 0xff;
    }

    /**
     * How long the function may keep a conventional bus; of no meaning to PCI Express.
     *
     * @return cycles of the bus, 0‥0xff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int latencyTimer() throws VfioException {
        return get8(LATENCY_TIMER) & 0xff;
    }

    /**
     * The layout of the header.
     *
     * @return 0 for a device, with bit 7 set if it has several functions
     * @throws VfioException
     *             if the kernel refuses
     */
    public int headerType() throws VfioException {
        return get8(HEADER_TYPE) & 0xff;
    }

    /**
     * The built-in self-test (BIST).
     *
     * @return bit 7 if the function has one, bit 6 while it runs, bits 0‥3 its result, 0 for passed
     * @throws VfioException
     *             if the kernel refuses
     */
    public int selfTest() throws VfioException {
        return get8(SELF_TEST) & 0xff;
    }

    /**
     * A base address register: address and kind as the program last wrote them, without the lower bits that the size takes.
     *
     * @param index
     *            0‥5
     * @return 32 bits; a 64-bit BAR has its upper half in the next
     * @throws VfioException
     *             if the kernel refuses
     */
    public int bar(int index) throws VfioException {
        if (index < 0 || index >= BARS) {
            throw new IndexOutOfBoundsException("A PCI function has BARs 0 to 5, not " + index);
        }
        return get32(FIRST_BAR + (long) index * Integer.BYTES);
    }

    /**
     * Where the function's card information is, if it is one for CardBus.
     *
     * @return 32 bits, 0 for none
     * @throws VfioException
     *             if the kernel refuses
     */
    public int cardbusCis() throws VfioException {
        return get32(CARDBUS_CIS);
    }

    /**
     * Who sells the card.
     *
     * @return 0‥0xffff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int subsystemVendorId() throws VfioException {
        return get16(SUBSYSTEM_VENDOR_ID) & 0xffff;
    }

    /**
     * The card, by the numbers of who sells it.
     *
     * @return 0‥0xffff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int subsystemId() throws VfioException {
        return get16(SUBSYSTEM_ID) & 0xffff;
    }

    /**
     * The base address register of the expansion ROM, as the program last wrote it; what is in the ROM is in {@link DeviceRegion#ROM}.
     *
     * @return 32 bits, bit 0 if the ROM is to answer
     * @throws VfioException
     *             if the kernel refuses
     */
    public int expansionRom() throws VfioException {
        return get32(EXPANSION_ROM);
    }

    /**
     * A register for software alone.
     *
     * @return 0‥0xff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int interruptLine() throws VfioException {
        return get8(INTERRUPT_LINE) & 0xff;
    }

    /**
     * Which pin INTx uses.
     *
     * @return 1 to 4 for INTA to INTD; 0 for none, or one that can't be used
     * @throws VfioException
     *             if the kernel refuses
     */
    public int interruptPin() throws VfioException {
        return get8(INTERRUPT_PIN) & 0xff;
    }

    /**
     * How long a burst the function wants on a conventional bus; 0 with PCI Express.
     *
     * @return quarters of a microsecond, 0‥0xff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int minGrant() throws VfioException {
        return get8(MIN_GRANT) & 0xff;
    }

    /**
     * How often the function wants a conventional bus; 0 with PCI Express.
     *
     * @return quarters of a microsecond, 0‥0xff
     * @throws VfioException
     *             if the kernel refuses
     */
    public int maxLatency() throws VfioException {
        return get8(MAX_LATENCY) & 0xff;
    }

    /**
     * Lets the function do DMA, or not. MSI and MSI-X are DMA too. It is off when the device is opened.
     *
     * @param enabled
     *            whether it may
     * @throws VfioException
     *             if the kernel refuses
     */
    public void setBusMaster(boolean enabled) throws VfioException {
        setCommand(COMMAND_BUS_MASTER, enabled);
    }

    /**
     * Lets the function's memory answer, or not; then its views are closed first. It is on when the device is opened.
     *
     * @param enabled
     *            whether it is to answer
     * @throws VfioException
     *             if the kernel refuses
     */
    public void setMemoryEnabled(boolean enabled) throws VfioException {
        setCommand(COMMAND_MEMORY, enabled);
    }

    private synchronized void setCommand(int bit, boolean set) throws VfioException {
        int command = command();
        put16(COMMAND, (short) (set ? command | bit : command & ~bit));
    }

    /** Why memory does not answer; null if it does. */
    @Nullable
    String obstacleToMemory() throws VfioException {
        if ((command() & COMMAND_MEMORY) == 0) {
            return "The function's memory decoding is off: config().setMemoryEnabled(true) switches it on";
        }
        Optional<PciCapability> pm = capability(PciCapability.POWER_MANAGEMENT);
        return pm.isPresent() && pm.get().offset() + PM_CONTROL < size()
                && (get8(pm.get().offset() + PM_CONTROL) & PM_STATE) == D3HOT
                        ? "The function is in D3hot: write D0 to its power management capability"
                        : null;
    }

    /**
     * Its capabilities. The kernel hides those it does not know.
     *
     * @return in the order of the list; what is beyond a link that leads nowhere or back is left out
     * @throws VfioException
     *             if the kernel refuses
     */
    public List<PciCapability> capabilities() throws VfioException {
        return standardCapabilities(region);
    }

    static List<PciCapability> standardCapabilities(DeviceRegion config) throws VfioException {
        List<PciCapability> capabilities = new ArrayList<>();
        if (config.size() < HEADER_SIZE || (config.get16(STATUS) & STATUS_CAPABILITIES) == 0) {
            return capabilities;
        }
        Set<Integer> seen = new HashSet<>();
        // The two lowest bits are reserved.
        int at = config.get8(CAPABILITIES) & 0xfc;
        while (at >= HEADER_SIZE && at + 1 < config.size() && seen.add(at)) {
            int header = config.get16(at);
            capabilities.add(new PciCapability(header & 0xff, 0, at));
            at = header >>> Byte.SIZE & 0xfc;
        }
        return List.copyOf(capabilities);
    }

    /**
     * Its extended capabilities.
     *
     * @return in the order of the list, none for a function without extended configuration space; what is beyond a link
     *         that leads nowhere or back is left out, and so is the empty entry that the kernel puts in the place of a first
     *         one it hides
     * @throws VfioException
     *             if the kernel refuses
     */
    public List<PciCapability> extendedCapabilities() throws VfioException {
        List<PciCapability> capabilities = new ArrayList<>();
        Set<Integer> seen = new HashSet<>();
        int at = STANDARD_SIZE;
        while (at >= STANDARD_SIZE && at + Integer.BYTES <= size() && seen.add(at)) {
            int header = get32(at);
            if ((header & 0xffff) != 0 && header != -1) {
                capabilities.add(new PciCapability(header & 0xffff, header >>> 16 & 0xf, at));
            }
            at = header >>> 20 & 0xffc;
        }
        return List.copyOf(capabilities);
    }

    /**
     * Looks a capability up.
     *
     * @param id
     *            for example {@link PciCapability#MSIX}
     * @return the first of that id
     * @throws VfioException
     *             if the kernel refuses
     */
    public Optional<PciCapability> capability(int id) throws VfioException {
        return capabilities().stream().filter(capability -> capability.id() == id).findFirst();
    }

    /**
     * Looks an extended capability up.
     *
     * @param id
     *            for example {@link PciCapability#EXTENDED_SRIOV}
     * @return the first of that id
     * @throws VfioException
     *             if the kernel refuses
     */
    public Optional<PciCapability> extendedCapability(int id) throws VfioException {
        return extendedCapabilities().stream().filter(capability -> capability.id() == id).findFirst();
    }

    @Override
    public long size() {
        return region.size();
    }

    @Override
    public byte get8(long offset) throws VfioException {
        return region.get8(offset);
    }

    @Override
    public short get16(long offset) throws VfioException {
        return region.get16(offset);
    }

    @Override
    public int get32(long offset) throws VfioException {
        return region.get32(offset);
    }

    @Override
    public long get64(long offset) throws VfioException {
        return region.get64(offset);
    }

    @Override
    public void put8(long offset, byte value) throws VfioException {
        region.put8(offset, value);
    }

    @Override
    public void put16(long offset, short value) throws VfioException {
        region.put16(offset, value);
    }

    @Override
    public void put32(long offset, int value) throws VfioException {
        region.put32(offset, value);
    }

    @Override
    public void put64(long offset, long value) throws VfioException {
        region.put64(offset, value);
    }

    /** Whose it is. */
    @Override
    public String toString() {
        return region.toString();
    }
}
