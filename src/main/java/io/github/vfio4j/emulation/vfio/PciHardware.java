package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.emulation.vfio.PciRegisters.get16;
import static io.github.vfio4j.emulation.vfio.PciRegisters.get32;
import static io.github.vfio4j.emulation.vfio.PciRegisters.put16;

import io.github.vfio4j.emulation.feature.Bar;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The hardware of a PCI function: configuration space with the bits that can be written, the memory in its BARs, and the
 * line of INTx. What the function is made for is the business of a model.
 */
final class PciHardware {

    private static final int PM_CONTROL = 4;
    private static final int PM_STATE = 3;
    private static final int D1 = 1;
    private static final int D2 = 2;
    private static final int D3HOT = 3;
    private static final int PM_HAS_D1 = 0x200;
    private static final int PM_HAS_D2 = 0x400;
    private static final int EXPRESS_CONTROL = 8;
    private static final int EXPRESS_CONTROL_2 = 0x28;
    private static final int MSIX_ENTRY = 16;

    private final PciTraits traits;
    private final byte[] asMade;
    private final byte[] config;
    private final byte[] writable;
    private final boolean virtualFunction;
    private final Map<Integer, BarMemory> memory = new HashMap<>();
    private boolean intxAsserted;

    PciHardware(PciTraits traits, PciFunction.Sriov sriov, boolean virtualFunction) {
        this.traits = traits;
        this.virtualFunction = virtualFunction;
        asMade = new ConfigImage(traits, sriov).bytes();
        config = asMade.clone();
        writable = new byte[config.length];
        setWritable();
        traits.bars().stream().filter(bar -> !bar.ioPort())
                .forEach(bar -> memory.put(bar.index(), new BarMemory(bar.size())));
    }

    /** PCI and PCI Express specifications, type 0 header and capabilities. */
    private void setWritable() {
        // Virtual functions have bus mastering alone (SR-IOV). Others have I/O, memory, bus mastering, SERR# and the one
        // for INTx; as QEMU's devices, none has parity.
        put16(writable, PciRegisters.COMMAND, virtualFunction ? PciRegisters.COMMAND_MASTER : 0x0507);
        writable[PciRegisters.CACHE_LINE_SIZE] = (byte) 0xff;
        writable[PciRegisters.INTERRUPT_LINE] = (byte) 0xff;
        int express = capability(PciRegisters.CAPABILITY_EXPRESS);
        if (express != 0) {
            put16(writable, express + EXPRESS_CONTROL, 0x7fff);
            if ((get16(config, express + 2) & 0xf) > 1) {
                put16(writable, express + EXPRESS_CONTROL_2, 0x041f);
            }
        }
        int msi = capability(PciRegisters.CAPABILITY_MSI);
        if (msi != 0) {
            int size = traitsOfMsi(get16(config, msi + 2));
            for (int at = 4; at < size; at++) {
                writable[msi + at] = (byte) 0xff;
            }
        }
    }

    private static int traitsOfMsi(int control) {
        return 10 + ((control & 0x80) != 0 ? 4 : 0) + ((control & 0x100) != 0 ? 10 : 0);
    }

    int size() {
        return config.length;
    }

    PciTraits traits() {
        return traits;
    }

    boolean isVirtualFunction() {
        return virtualFunction;
    }

    /** Where a capability is, 0 if there is none. */
    int capability(int id) {
        if ((get16(config, PciRegisters.STATUS) & PciRegisters.STATUS_CAPABILITIES) == 0) {
            return 0;
        }
        int at = config[PciRegisters.CAPABILITIES] & 0xfc;
        for (int links = 0; at >= PciRegisters.HEADER_SIZE && links < 48; links++) {
            if (config[at] == id) {
                return at;
            }
            at = config[at + 1] & 0xfc;
        }
        return 0;
    }

    /** Where an extended capability is, 0 if there is none. */
    int extendedCapability(int id) {
        int at = config.length > PciRegisters.CONVENTIONAL_SIZE ? PciRegisters.CONVENTIONAL_SIZE : 0;
        for (int links = 0; at != 0 && links < 960; links++) {
            int header = get32(config, at);
            if ((header & 0xffff) == id) {
                return at;
            }
            at = header >>> 20 & 0xffc;
        }
        return 0;
    }

    /** A read of configuration space, of 1, 2 or 4 bytes. */
    synchronized int read(int offset, int count) {
        int value = 0;
        for (int i = 0; i < count; i++) {
            value |= Byte.toUnsignedInt(config[offset + i]) << (i * Byte.SIZE);
        }
        return value;
    }

    /** A write to configuration space, of 1, 2 or 4 bytes; bits that are not there stay as they are. */
    synchronized void write(int offset, int count, int value) {
        for (int i = 0; i < count; i++) {
            int mask = writable[offset + i];
            config[offset + i] = (byte) ((config[offset + i] & ~mask) | ((value >>> (i * Byte.SIZE)) & mask));
        }
    }

    synchronized int command() {
        return get16(config, PciRegisters.COMMAND);
    }

    synchronized boolean isBusMaster() {
        return (command() & PciRegisters.COMMAND_MASTER) != 0;
    }

    /** The kernel puts it into a state of power that it has. */
    synchronized void setPowerState(int state) {
        int pm = capability(PciRegisters.CAPABILITY_PM);
        if (pm == 0) {
            return;
        }
        int capabilities = get16(config, pm + 2);
        boolean has = (state != D1 || (capabilities & PM_HAS_D1) != 0)
                && (state != D2 || (capabilities & PM_HAS_D2) != 0);
        if (has) {
            config[pm + PM_CONTROL] = (byte) ((config[pm + PM_CONTROL] & ~PM_STATE) | state);
        }
    }

    synchronized boolean isInD3hot() {
        int pm = capability(PciRegisters.CAPABILITY_PM);
        return pm != 0 && (config[pm + PM_CONTROL] & PM_STATE) == D3HOT;
    }

    /** The kernel has it as its driver opens it: what it has decodes, it is awake, and no bus master. */
    synchronized void enable() {
        System.arraycopy(asMade, 0, config, 0, config.length);
        int decoding = 0;
        if (!virtualFunction) {
            for (Bar bar : traits.bars()) {
                decoding |= bar.ioPort() ? PciRegisters.COMMAND_IO : PciRegisters.COMMAND_MEMORY;
            }
        }
        int kept = command() & ~(PciRegisters.COMMAND_MASTER | PciRegisters.COMMAND_INTX_DISABLE);
        put16(config, PciRegisters.COMMAND, kept | decoding);
        setPowerState(0);
        resetDevice();
    }

    /** A reset of the function. The kernel saves configuration space before, and restores it. */
    synchronized void reset() {
        setPowerState(0);
        resetDevice();
    }

    private synchronized void resetDevice() {
        if (traits.resettable()) {
            clear();
        }
    }

    private synchronized void clear() {
        memory.values().forEach(BarMemory::clear);
        intxAsserted = false;
    }

    /** A reset of the bus, which every function follows. */
    synchronized void resetWithBus() {
        setPowerState(0);
        clear();
    }

    /** The memory in a BAR; null if it has none. */
    @Nullable
    BarMemory memory(int bar) {
        return memory.get(bar);
    }

    synchronized void assertIntx(boolean asserted) {
        intxAsserted = asserted;
    }

    synchronized boolean isIntxAsserted() {
        return intxAsserted;
    }

    /** The kernel switches MSI-X on or off. */
    synchronized void setMsixEnabled(boolean enabled) {
        int msix = capability(PciRegisters.CAPABILITY_MSIX);
        if (msix != 0) {
            config[msix + 3] = (byte) ((config[msix + 3] & 0x7f) | (enabled ? 0x80 : 0));
        }
    }

    /** The BAR that holds the MSI-X table, −1 without one. */
    int msixBar() {
        int msix = capability(PciRegisters.CAPABILITY_MSIX);
        return msix == 0 ? -1 : config[msix + 4] & 7;
    }

    /** Where in its BAR the MSI-X table begins. */
    long msixTable() {
        return Integer.toUnsignedLong(get32(config, capability(PciRegisters.CAPABILITY_MSIX) + 4) & ~7);
    }

    /** How long the MSI-X table is. */
    int msixTableSize() {
        return ((get16(config, capability(PciRegisters.CAPABILITY_MSIX) + 2) & 0x7ff) + 1) * MSIX_ENTRY;
    }
}
