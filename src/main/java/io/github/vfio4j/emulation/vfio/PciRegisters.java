package io.github.vfio4j.emulation.vfio;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What stands in the configuration space of a PCI function when it is made.
 *
 * @param vendor
 *            who made it
 * @param device
 *            which of the vendor's devices it is
 * @param revision
 *            of that device
 * @param classCode
 *            class, subclass and programming interface
 * @param subsystemVendor
 *            who sells the card
 * @param subsystem
 *            which of the seller's cards it is
 * @param capabilities
 *            those beyond power management, MSI, MSI-X and PCI Express: the id and what follows the link
 * @param image
 *            all of it as it stands on a real machine, instead of all this; null for none
 */
public record PciRegisters(int vendor, int device, int revision, int classCode, int subsystemVendor, int subsystem,
        List<byte[]> capabilities, @Nullable MemorySegment image) {

    static final int COMMAND = 0x04;
    static final int COMMAND_IO = 1;
    static final int COMMAND_MEMORY = 2;
    static final int COMMAND_MASTER = 4;
    static final int COMMAND_INTX_DISABLE = 0x400;
    static final int STATUS = 0x06;
    static final int STATUS_CAPABILITIES = 0x10;
    static final int REVISION = 0x08;
    static final int CACHE_LINE_SIZE = 0x0c;
    static final int LATENCY_TIMER = 0x0d;
    static final int BIST = 0x0f;
    static final int BARS = 0x10;
    static final int SUBSYSTEM_VENDOR = 0x2c;
    static final int ROM = 0x30;
    static final int CAPABILITIES = 0x34;
    static final int INTERRUPT_LINE = 0x3c;
    static final int INTERRUPT_PIN = 0x3d;
    static final int HEADER_SIZE = 0x40;
    static final int CONVENTIONAL_SIZE = 0x100;
    static final int EXPRESS_SIZE = 0x1000;

    static final int CAPABILITY_PM = 0x01;
    static final int CAPABILITY_MSI = 0x05;
    static final int CAPABILITY_EXPRESS = 0x10;
    static final int CAPABILITY_MSIX = 0x11;
    static final int EXTENDED_SRIOV = 0x10;

    static final int EXPRESS_LENGTH = 0x3c;

    /** The registers of a function of whom nothing was said: a test device of QEMU's, of no class. */
    public static final PciRegisters DEFAULT = new PciRegisters(0x1b36, 0x0005, 0, 0xff0000, 0x1af4, 0x1100, List.of(),
            null);

    /** What hardware there is on the function's virtual functions, which have neither vendor nor device (PCIe, SR-IOV). */
    PciRegisters ofVirtualFunction() {
        return new PciRegisters(0xffff, 0xffff, revision, classCode, subsystemVendor, subsystem, List.of(), null);
    }

    /** Whether the capabilities have a place. */
    public boolean fits(boolean express, int vectors) {
        int room = CONVENTIONAL_SIZE - HEADER_SIZE - 8 - (express ? EXPRESS_LENGTH : 0) - (vectors > 0 ? 28 : 0);
        return capabilities.stream().mapToInt(capability -> Math.ceilDiv(capability.length, 4) * 4).sum() <= room;
    }

    static int get16(byte[] bytes, int offset) {
        return Byte.toUnsignedInt(bytes[offset]) | Byte.toUnsignedInt(bytes[offset + 1]) << Byte.SIZE;
    }

    static int get32(byte[] bytes, int offset) {
        return get16(bytes, offset) | get16(bytes, offset + 2) << Short.SIZE;
    }

    static void put16(byte[] bytes, int offset, int value) {
        bytes[offset] = (byte) value;
        bytes[offset + 1] = (byte) (value >>> Byte.SIZE);
    }

    static void put32(byte[] bytes, int offset, int value) {
        put16(bytes, offset, value);
        put16(bytes, offset + 2, value >>> Short.SIZE);
    }
}
