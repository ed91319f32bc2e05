package io.github.vfio4j.emulation.vfio;

/**
 * Which bits of a capability vfio-pci keeps itself, and which a program may write (struct perm_bits of
 * vfio_pci_config.c): one bit for each.
 */
final class ConfigPermissions {

    /** How a read is made. */
    enum Read {
        /** From the hardware, but for bits that the kernel keeps. */
        DEFAULT,
        /** The header's, with BARs. */
        HEADER,
        /** From the hardware, but for links. */
        DIRECT,
        /** From the hardware. */
        RAW
    }

    /** How a write is made. */
    enum Write {
        /** It is dropped. */
        NONE,
        /** To the hardware, but for bits that the kernel keeps or that may not be written. */
        DEFAULT,
        /** The header's, with the command register. */
        HEADER,
        /** The kernel changes the state of power. */
        POWER,
        /** The kernel reads and writes vital product data. */
        VITAL_PRODUCT_DATA,
        /** With a reset in it. */
        EXPRESS,
        /** With a reset in it. */
        ADVANCED_FEATURES,
        /** The kernel switches MSI on, nobody else. */
        MSI,
        /** To the hardware. */
        RAW
    }

    /** What the kernel leaves alone, but for links. */
    static final ConfigPermissions DIRECT = new ConfigPermissions(0, Read.DIRECT, Write.NONE);
    /** What vendors define. */
    static final ConfigPermissions VENDOR = new ConfigPermissions(0, Read.DIRECT, Write.RAW);
    /** What belongs to no capability. */
    static final ConfigPermissions UNASSIGNED = new ConfigPermissions(0, Read.RAW, Write.RAW);

    private final byte[] virtual;
    private final byte[] writable;
    private final Read read;
    private final Write write;

    /** Everything can be read, nothing written, and the kernel keeps nothing. */
    ConfigPermissions(int size, Read read, Write write) {
        int rounded = Math.ceilDiv(size, Integer.BYTES) * Integer.BYTES;
        virtual = new byte[rounded];
        writable = new byte[rounded];
        this.read = read;
        this.write = write;
    }

    Read read() {
        return read;
    }

    Write write() {
        return write;
    }

    /** Sets the bits of a field. */
    ConfigPermissions set(int offset, int size, int virtualBits, int writableBits) {
        for (int i = 0; i < size; i++) {
            virtual[offset + i] = (byte) (virtualBits >>> (i * Byte.SIZE));
            writable[offset + i] = (byte) (writableBits >>> (i * Byte.SIZE));
        }
        return this;
    }

    /** The link of a standard capability is always the kernel's. */
    ConfigPermissions link() {
        return set(1, 1, 0xff, 0);
    }

    int virtual(int offset, int count) {
        return bits(virtual, offset, count);
    }

    int writable(int offset, int count) {
        return bits(writable, offset, count);
    }

    private static int bits(byte[] bytes, int offset, int count) {
        int bits = 0;
        for (int i = 0; i < count && offset + i < bytes.length; i++) {
            bits |= Byte.toUnsignedInt(bytes[offset + i]) << (i * Byte.SIZE);
        }
        return bits;
    }

    /** The header (PCI specification, type 0). */
    static ConfigPermissions header() {
        ConfigPermissions header = new ConfigPermissions(PciRegisters.HEADER_SIZE, Read.HEADER, Write.HEADER)
                .set(0, 4, -1, 0).set(PciRegisters.COMMAND, 2, PciRegisters.COMMAND_INTX_DISABLE, 0xffff)
                .set(PciRegisters.STATUS, 2, PciRegisters.STATUS_CAPABILITIES, 0)
                .set(PciRegisters.CACHE_LINE_SIZE, 1, 0, 0xff).set(PciRegisters.LATENCY_TIMER, 1, 0, 0xff)
                .set(PciRegisters.BIST, 1, 0, 0xff).set(PciRegisters.ROM, 4, -1, -1)
                .set(PciRegisters.CAPABILITIES, 1, 0xff, 0).set(PciRegisters.INTERRUPT_LINE, 1, 0xff, 0xff)
                .set(PciRegisters.INTERRUPT_PIN, 1, 0xff, 0);
        for (int bar = 0; bar < 6; bar++) {
            header.set(PciRegisters.BARS + bar * Integer.BYTES, Integer.BYTES, -1, -1);
        }
        return header;
    }

    /** Power management. */
    static ConfigPermissions power(boolean wakingHidden) {
        ConfigPermissions power = new ConfigPermissions(8, Read.DEFAULT, Write.POWER).link();
        return wakingHidden ? power.set(2, 2, 0xf800, 0).set(4, 4, 0x8100, ~(0x8100 | 3)) : power.set(4, 4, 0, ~3);
    }

    /** Vital product data. */
    static ConfigPermissions vitalProductData() {
        return new ConfigPermissions(8, Read.DEFAULT, Write.VITAL_PRODUCT_DATA).link().set(2, 2, 0xffff, 0xffff).set(4,
                4, -1, -1);
    }

    /** PCI-X. */
    static ConfigPermissions pcix() {
        return new ConfigPermissions(24, Read.DEFAULT, Write.DEFAULT).link().set(2, 2, 0, 0xffff).set(8, 4, 0, -1);
    }

    /** PCI Express. */
    static ConfigPermissions express() {
        return new ConfigPermissions(0x3c, Read.DEFAULT, Write.EXPRESS).link().set(8, 2, 0x8000 | 0xe0 | 0x7000, ~0x200)
                .set(0x28, 2, 0, ~0x20);
    }

    /** Advanced features. */
    static ConfigPermissions advancedFeatures() {
        return new ConfigPermissions(6, Read.DEFAULT, Write.ADVANCED_FEATURES).link().set(4, 1, 1, 1);
    }

    /** MSI, whose layout depends on its control register. */
    static ConfigPermissions msi(int size, int control) {
        ConfigPermissions msi = new ConfigPermissions(size, Read.DEFAULT, Write.MSI).link().set(2, 1, 0xff, 0xff).set(4,
                4, -1, -1);
        int data = 8;
        if ((control & 0x80) != 0) {
            msi.set(8, 4, -1, -1);
            data = 12;
        }
        msi.set(data, 2, 0xffff, 0xffff);
        if ((control & 0x100) != 0) {
            msi.set(data + 4, 4, 0, -1).set(data + 8, 4, 0, -1);
        }
        return msi;
    }

    /** Extended: advanced error reporting. */
    static ConfigPermissions errorReporting() {
        int uncorrectable = 0x03ff_f031;
        int correctable = 0xf1c1;
        return new ConfigPermissions(0x2c, Read.DEFAULT, Write.DEFAULT).set(0, 4, -1, 0).set(4, 4, 0, uncorrectable)
                .set(8, 4, 0, uncorrectable).set(12, 4, 0, uncorrectable).set(16, 4, 0, correctable)
                .set(20, 4, 0, correctable).set(24, 4, 0, 0x140);
    }

    /** Extended: power budgeting. */
    static ConfigPermissions powerBudgeting() {
        return new ConfigPermissions(16, Read.DEFAULT, Write.DEFAULT).set(0, 4, -1, 0).set(8, 1, 0, 0xff);
    }
}
