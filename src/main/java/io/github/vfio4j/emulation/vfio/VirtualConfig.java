package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.emulation.vfio.PciRegisters.get16;
import static io.github.vfio4j.emulation.vfio.PciRegisters.get32;
import static io.github.vfio4j.emulation.vfio.PciRegisters.put16;
import static io.github.vfio4j.emulation.vfio.PciRegisters.put32;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.feature.Bar;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Map;

/**
 * Configuration space as vfio-pci shows it to the programs that have opened a device, from the first opening to the last
 * closing (vfio_pci_config.c): a copy of the hardware's, a map of the capabilities in it, and for each capability the bits
 * that are the copy's. Guarded by its own monitor.
 */
final class VirtualConfig {

    /** What a write makes the kernel do with the device. */
    interface Effects {

        /** The bit in the command register that keeps INTx quiet has changed. */
        void intxDisabled(boolean disabled);

        /** A reset that the device's own registers ask for. */
        void reset();

        /** Whether MSI is on. */
        boolean isMsi();

        /** The binary logarithm of the number of MSI vectors that are on. */
        int msiVectorsLog();
    }

    private static final int HEADER = 0;
    private static final int INVALID = 0xff;
    private static final int LAST_CAPABILITY = 0x14;
    private static final int VARIABLE = -1;
    private static final int LINK = 1;
    private static final int PLACEHOLDER = 4;

    private static final int MSI_CONTROL = 2;
    private static final int EXPRESS_CAPABILITIES = 4;
    private static final int EXPRESS_CONTROL = 8;
    private static final int EXPRESS_RESET = 1 << 28;
    private static final int EXPRESS_RESET_NOW = 0x8000;

    /** Lengths of standard capabilities; all others are hidden. */
    private static final Map<Integer, Integer> LENGTHS = Map.ofEntries(Map.entry(0x01, 8), Map.entry(0x02, 12),
            Map.entry(0x03, 8), Map.entry(0x05, VARIABLE), Map.entry(0x07, VARIABLE), Map.entry(0x08, VARIABLE),
            Map.entry(0x09, VARIABLE), Map.entry(0x10, VARIABLE), Map.entry(0x11, 12), Map.entry(0x12, VARIABLE),
            Map.entry(0x13, 6));
    /** Lengths of extended capabilities. */
    private static final Map<Integer, Integer> EXTENDED_LENGTHS = Map.ofEntries(Map.entry(0x01, 0x2c),
            Map.entry(0x02, VARIABLE), Map.entry(0x03, 12), Map.entry(0x04, 16), Map.entry(0x08, VARIABLE),
            Map.entry(0x09, VARIABLE), Map.entry(0x0b, VARIABLE), Map.entry(0x0d, VARIABLE), Map.entry(0x0e, 8),
            Map.entry(0x0f, 8), Map.entry(0x10, 0x40), Map.entry(0x12, 40), Map.entry(0x13, 16),
            Map.entry(0x15, VARIABLE), Map.entry(0x16, VARIABLE), Map.entry(0x17, VARIABLE), Map.entry(0x18, 8));

    private final KernelProfile profile;
    private final PciHardware hardware;
    private final Effects effects;
    private final byte[] virtual;
    private final int[] map;
    private final Map<Integer, ConfigPermissions> permissions;
    private final Map<Integer, ConfigPermissions> extendedPermissions = Map.of(0x01, ConfigPermissions.errorReporting(),
            0x04, ConfigPermissions.powerBudgeting(), 0x0b, ConfigPermissions.VENDOR, 0x23, ConfigPermissions.VENDOR);
    private boolean hasExtended;
    private boolean intxDisabled;

    /**
     * As it is at the first opening.
     *
     * @param vendor
     *            the vendor the kernel knows, which a virtual function has from its physical one
     * @param device
     *            likewise the device
     */
    VirtualConfig(KernelProfile profile, PciHardware hardware, int vendor, int device, Effects effects) {
        this.profile = profile;
        this.hardware = hardware;
        this.effects = effects;
        virtual = new byte[hardware.size()];
        map = new int[hardware.size()];
        Arrays.fill(map, PciRegisters.HEADER_SIZE, map.length, INVALID);
        fill(0, PciRegisters.HEADER_SIZE);
        if (hardware.isVirtualFunction()) {
            put16(virtual, 0, vendor);
            put16(virtual, 2, device);
            virtual[PciRegisters.INTERRUPT_PIN] = 0;
            if (profile.virtualMemoryEnable()) {
                put16(virtual, PciRegisters.COMMAND,
                        get16(virtual, PciRegisters.COMMAND) | PciRegisters.COMMAND_MEMORY);
            }
        }
        if (!hardware.traits().interrupts().line()) {
            virtual[PciRegisters.INTERRUPT_PIN] = 0;
        }
        int msi = hardware.capability(PciRegisters.CAPABILITY_MSI);
        int control = msi == 0 ? 0 : hardware.read(msi + MSI_CONTROL, 2);
        permissions = Map.of(HEADER, ConfigPermissions.header(), 0x01,
                ConfigPermissions.power(profile.guardedPowerState()), 0x03, ConfigPermissions.vitalProductData(), 0x05,
                ConfigPermissions.msi(msiLength(control), control), 0x07, ConfigPermissions.pcix(), 0x09,
                ConfigPermissions.VENDOR, 0x10, ConfigPermissions.express(), 0x13,
                ConfigPermissions.advancedFeatures());
        addCapabilities();
        addExtendedCapabilities();
    }

    private void fill(int offset, int size) {
        for (int i = 0; i < size; i++) {
            virtual[offset + i] = (byte) hardware.read(offset + i, 1);
        }
    }

    private void addCapabilities() {
        if ((hardware.read(PciRegisters.STATUS, 2) & PciRegisters.STATUS_CAPABILITIES) == 0) {
            return;
        }
        int position = hardware.read(PciRegisters.CAPABILITIES, 1);
        int previous = PciRegisters.CAPABILITIES;
        boolean found = false;
        for (int loops = 48; position != 0 && loops > 0; loops--) {
            int id = hardware.read(position, 1);
            int next = hardware.read(position + LINK, 1);
            int length = id == 0 || id > LAST_CAPABILITY ? 0 : length(id, position);
            if (length == 0) {
                virtual[previous] = (byte) next;
            } else {
                Arrays.fill(map, position, position + length, id);
                fill(position, length);
                if (id == PciRegisters.CAPABILITY_PM && profile.guardedPowerState()) {
                    // All that is shown of the copy here: whether and by what it wakes the machine.
                    put16(virtual, position + 2, 0);
                    put16(virtual, position + 4, 0);
                }
                previous = position + LINK;
                found = true;
            }
            position = next;
        }
        if (!found) {
            put16(virtual, PciRegisters.STATUS,
                    get16(virtual, PciRegisters.STATUS) & ~PciRegisters.STATUS_CAPABILITIES);
        }
    }

    private int length(int id, int position) {
        int length = LENGTHS.getOrDefault(id, 0);
        if (length != VARIABLE) {
            return length;
        }
        return switch (id) {
            case 0x05 -> msiLength(hardware.read(position + MSI_CONTROL, 2));
            case 0x09 -> hardware.read(position + 2, 1);
            case 0x10 -> expressLength(position);
            case 0x07 -> (hardware.read(position + 2, 2) & 0x3000) != 0 ? 24 : 8;
            case 0x08 -> (hardware.read(position + 3, 1) & 0xe0) != 0 ? 28 : 60;
            default -> throw new NotModelledException("the length of PCI capability 0x" + Integer.toHexString(id));
        };
    }

    private static int msiLength(int control) {
        return 10 + ((control & 0x80) != 0 ? 4 : 0) + ((control & 0x100) != 0 ? 10 : 0);
    }

    private int expressLength(int position) {
        hasExtended = hardware.size() > PciRegisters.CONVENTIONAL_SIZE
                && hardware.read(PciRegisters.CONVENTIONAL_SIZE, 4) != 0;
        int flags = hardware.read(position + 2, 2);
        boolean integrated = (flags >> 4 & 0xf) == 9;
        if ((flags & 0xf) == 1) {
            return integrated ? 0x0c : 0x14;
        }
        return integrated ? 0x2c : profile.expressCapabilityLength();
    }

    private void addExtendedCapabilities() {
        if (!hasExtended) {
            return;
        }
        int position = PciRegisters.CONVENTIONAL_SIZE;
        int previous = 0;
        boolean found = false;
        for (int loops = 960; position >= PciRegisters.CONVENTIONAL_SIZE && loops > 0; loops--) {
            int header = hardware.read(position, 4);
            int id = header & 0xffff;
            int next = header >>> 20 & 0xffc;
            int length = extendedLength(id, position);
            if (length == 0 && previous != 0) {
                put32(virtual, previous, (get32(virtual, previous) & ~(0xffc << 20)) | (next << 20));
                position = next;
                continue;
            }
            boolean hidden = length == 0;
            int taken = hidden ? PLACEHOLDER : length;
            Arrays.fill(map, position, position + taken, id & 0xff);
            fill(position, taken);
            if (hidden) {
                // The first one has nothing before it that could lead past it.
                put32(virtual, position, get32(virtual, position) & 0xffc << 20);
            } else {
                found = true;
            }
            previous = position;
            position = next;
        }
        if (!found) {
            put32(virtual, PciRegisters.CONVENTIONAL_SIZE, 0);
        }
    }

    private int extendedLength(int id, int position) {
        if (id == 0x23 && profile.designatedVendorSpecific()) {
            return hardware.read(position + 4, 4) >>> 20;
        }
        int length = EXTENDED_LENGTHS.getOrDefault(id, 0);
        if (length != VARIABLE) {
            return length;
        }
        return switch (id) {
            case 0x0b -> hardware.read(position + 4, 4) >>> 20;
            case 0x0d -> accessControlLength(position);
            case 0x15 -> 4 + (hardware.read(position + 8, 1) >> 5) * 8;
            default ->
                throw new NotModelledException("the length of extended PCI capability 0x" + Integer.toHexString(id));
        };
    }

    private int accessControlLength(int position) {
        if ((hardware.read(position + 4, 1) & 0x20) == 0) {
            return 8;
        }
        int egress = hardware.read(position + 5, 1);
        return 8 + (egress == 0 ? 256 : Math.ceilDiv(egress, 32) * 32) / 8;
    }

    /** Whether memory answers, as far as the command register has a say in it. */
    synchronized boolean isMemoryEnabled() {
        if (hardware.isVirtualFunction()) {
            return true;
        }
        return (get16(virtual, PciRegisters.COMMAND) & PciRegisters.COMMAND_MEMORY) != 0;
    }

    /** A read or a write at a place in configuration space: how many bytes, or −errno. */
    synchronized long access(MemorySegment buffer, long offset, boolean write) {
        long done = 0;
        while (done < buffer.byteSize()) {
            long at = offset + done;
            long rest = buffer.byteSize() - done;
            if (at > map.length - rest) {
                return -Errno.EFAULT.code();
            }
            int position = (int) at;
            int count = count(position, rest);
            ConfigPermissions permission = permission(position);
            int inCapability = position - start(position);
            MemorySegment bytes = buffer.asSlice(done, count);
            if (write) {
                write(permission, position, inCapability, count, value(bytes));
            } else {
                setValue(bytes, read(permission, position, inCapability, count));
            }
            done += count;
        }
        return done;
    }

    private static int value(MemorySegment bytes) {
        int value = 0;
        for (int i = 0; i < bytes.byteSize(); i++) {
            value |= Byte.toUnsignedInt(bytes.get(ValueLayout.JAVA_BYTE, i)) << (i * Byte.SIZE);
        }
        return value;
    }

    private static void setValue(MemorySegment bytes, int value) {
        for (int i = 0; i < bytes.byteSize(); i++) {
            bytes.set(ValueLayout.JAVA_BYTE, i, (byte) (value >>> (i * Byte.SIZE)));
        }
    }

    /** An aligned piece with no more than one capability in it. */
    private int count(int position, long wanted) {
        int remaining = 1;
        while ((position + remaining) % 4 != 0 && map[position + remaining] == map[position]) {
            remaining++;
        }
        long count = Math.min(wanted, remaining);
        return count >= 4 && position % 4 == 0 ? 4 : count >= 2 && position % 2 == 0 ? 2 : 1;
    }

    private ConfigPermissions permission(int position) {
        int id = map[position];
        if (id == INVALID) {
            return ConfigPermissions.UNASSIGNED;
        }
        return (position >= PciRegisters.CONVENTIONAL_SIZE ? extendedPermissions : permissions).getOrDefault(id,
                ConfigPermissions.DIRECT);
    }

    private int start(int position) {
        int id = map[position];
        if (id == INVALID) {
            return position;
        }
        if (position < PciRegisters.HEADER_SIZE) {
            return 0;
        }
        int base = position >= PciRegisters.CONVENTIONAL_SIZE
                ? PciRegisters.CONVENTIONAL_SIZE
                : PciRegisters.HEADER_SIZE;
        int start = position;
        while (start - 1 >= base && map[start - 1] == id) {
            start--;
        }
        return start;
    }

    private int read(ConfigPermissions permission, int position, int offset, int count) {
        return switch (permission.read()) {
            case RAW -> hardware.read(position, count);
            case DIRECT -> readDirect(position, offset, count);
            case DEFAULT -> readDefault(permission, position, offset, count);
            case HEADER -> {
                showBars();
                int value = readDefault(permission, position, offset, count);
                // The bit that virtual functions do not have is kept for them.
                yield offset == PciRegisters.COMMAND && hardware.isVirtualFunction()
                        ? value | (get16(virtual, PciRegisters.COMMAND) & PciRegisters.COMMAND_MEMORY)
                        : value;
            }
        };
    }

    private int ofCopy(int position, int count) {
        int value = 0;
        for (int i = 0; i < count; i++) {
            value |= Byte.toUnsignedInt(virtual[position + i]) << (i * Byte.SIZE);
        }
        return value;
    }

    private void toCopy(int position, int count, int value) {
        for (int i = 0; i < count; i++) {
            virtual[position + i] = (byte) (value >>> (i * Byte.SIZE));
        }
    }

    private int readDirect(int position, int offset, int count) {
        int value = hardware.read(position, count);
        if (position >= PciRegisters.CONVENTIONAL_SIZE) {
            return offset < 4 ? ofCopy(position, count) : value;
        }
        if (offset == 0 && count > 1) {
            return (value & ~0xffff) | ofCopy(position, 2);
        }
        return offset == LINK ? (value & ~0xff) | ofCopy(position, 1) : value;
    }

    private int readDefault(ConfigPermissions permission, int position, int offset, int count) {
        int kept = permission.virtual(offset, count);
        return (hardware.read(position, count) & ~kept) | (ofCopy(position, count) & kept);
    }

    /** What was written to a BAR, less the bits that its size takes, with those that say what it is. */
    private void showBars() {
        PciTraits traits = hardware.traits();
        for (int index = 0; index < 6; index++) {
            int at = PciRegisters.BARS + index * Integer.BYTES;
            Bar bar = traits.bar(index);
            if (bar == null) {
                put32(virtual, at, 0);
                continue;
            }
            long mask = -bar.size();
            // Bits of the hardware: I/O, 64 bits wide, prefetchable.
            int kind = hardware.isVirtualFunction() ? 0 : hardware.read(at, 4) & (bar.ioPort() ? 1 : 0xf);
            put32(virtual, at, (get32(virtual, at) & (int) mask) | kind);
            if ((kind & 0x7) == 4) {
                index++;
                put32(virtual, at + Integer.BYTES, get32(virtual, at + Integer.BYTES) & (int) (mask >>> 32));
            }
        }
        long rom = traits.romSize();
        put32(virtual, PciRegisters.ROM, rom == 0 ? 0 : get32(virtual, PciRegisters.ROM) & ((int) -rom | 1));
    }

    private void write(ConfigPermissions permission, int position, int offset, int count, int value) {
        switch (permission.write()) {
            case NONE -> {
                // Dropped.
            }
            case RAW -> hardware.write(position, count, value);
            case DEFAULT -> writeDefault(permission, position, offset, count, value);
            case HEADER -> writeHeader(permission, position, count, value);
            case POWER -> {
                writeDefault(permission, position, offset, count, value);
                if (offset == 4) {
                    hardware.setPowerState(value & 3);
                }
            }
            case EXPRESS -> writeExpress(permission, position, offset, count, value);
            case ADVANCED_FEATURES -> writeAdvancedFeatures(permission, position, offset, count, value);
            case MSI -> writeMsi(permission, position, offset, count, value);
            case VITAL_PRODUCT_DATA -> {
                writeDefault(permission, position, offset, count, value);
                if (offset <= 3 && offset + count > 3) {
                    throw new NotModelledException("vital product data");
                }
            }
        }
    }

    private void writeDefault(ConfigPermissions permission, int position, int offset, int count, int value) {
        int writable = permission.writable(offset, count);
        int kept = permission.virtual(offset, count);
        int toCopy = writable & kept;
        if (toCopy != 0) {
            toCopy(position, count, (ofCopy(position, count) & ~toCopy) | (value & toCopy));
        }
        int toHardware = writable & ~kept;
        if (toHardware != 0) {
            hardware.write(position, count, (hardware.read(position, count) & ~toHardware) | (value & toHardware));
        }
    }

    private void writeHeader(ConfigPermissions permission, int position, int count, int value) {
        writeDefault(permission, position, position, count, value);
        int command = PciRegisters.COMMAND;
        if (position == command) {
            int decoding = PciRegisters.COMMAND_MEMORY | PciRegisters.COMMAND_IO;
            put16(virtual, command, (get16(virtual, command) & ~decoding) | (value & decoding));
        }
        if (position >= command && position <= command + 1) {
            boolean disabled = (get16(virtual, command) & PciRegisters.COMMAND_INTX_DISABLE) != 0;
            if (disabled != intxDisabled) {
                intxDisabled = disabled;
                effects.intxDisabled(disabled);
            }
        }
    }

    /** The kernel also makes requests for reading as large as the program would like. Nobody sees that. */
    private void writeExpress(ConfigPermissions permission, int position, int offset, int count, int value) {
        int capability = position - offset;
        writeDefault(permission, position, offset, count, value);
        int control = get16(virtual, capability + EXPRESS_CONTROL);
        if ((control & EXPRESS_RESET_NOW) != 0) {
            put16(virtual, capability + EXPRESS_CONTROL, control & ~EXPRESS_RESET_NOW);
            if ((hardware.read(capability + EXPRESS_CAPABILITIES, 4) & EXPRESS_RESET) != 0) {
                effects.reset();
            }
        }
    }

    private void writeAdvancedFeatures(ConfigPermissions permission, int position, int offset, int count, int value) {
        int capability = position - offset;
        writeDefault(permission, position, offset, count, value);
        if ((virtual[capability + 4] & 1) != 0) {
            virtual[capability + 4] &= ~1;
            if ((hardware.read(capability + 3, 1) & 3) == 3) {
                effects.reset();
            }
        }
    }

    /** What the kernel then sets in the hardware, nobody sees. */
    private void writeMsi(ConfigPermissions permission, int position, int offset, int count, int value) {
        writeDefault(permission, position, offset, count, value);
        if (offset <= MSI_CONTROL && offset + count >= MSI_CONTROL) {
            int at = position - offset + MSI_CONTROL;
            int control = get16(virtual, at);
            if (!effects.isMsi()) {
                control &= ~1;
            }
            if ((control >> 4 & 7) > effects.msiVectorsLog()) {
                control = (control & ~0x70) | (effects.msiVectorsLog() << 4);
            }
            put16(virtual, at, control);
        }
    }
}
