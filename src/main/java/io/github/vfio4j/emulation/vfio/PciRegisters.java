package io.github.vfio4j.emulation.vfio;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
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

    private static final int EXPRESS_LENGTH = 0x3c;
    private static final int SRIOV_LENGTH = 0x40;
    private static final int MSIX_ENTRY = 16;

    /** The registers of a function of whom nothing was said: a test device of QEMU's, of no class. */
    public static final PciRegisters DEFAULT = new PciRegisters(0x1b36, 0x0005, 0, 0xff0000, 0x1af4, 0x1100, List.of(),
            null);

    /** What hardware there is on the function's virtual functions, which have neither vendor nor device (PCIe, SR-IOV). */
    PciRegisters ofVirtualFunction() {
        return new PciRegisters(0xffff, 0xffff, revision, classCode, subsystemVendor, subsystem, List.of(), null);
    }

    /** The bytes, with the command register as the firmware leaves it. */
    byte[] bytes(PciTraits traits, PciFunction.Sriov sriov) {
        byte[] bytes = new byte[traits.express() ? EXPRESS_SIZE : CONVENTIONAL_SIZE];
        MemorySegment given = image;
        if (given != null) {
            MemorySegment.copy(given, ValueLayout.JAVA_BYTE, 0, bytes, 0,
                    (int) Math.min(given.byteSize(), bytes.length));
            return bytes;
        }
        put16(bytes, 0, vendor);
        put16(bytes, 2, device);
        put32(bytes, REVISION, classCode << Byte.SIZE | revision);
        traits.bars().forEach(
                bar -> put32(bytes, BARS + bar.index() * Integer.BYTES, (int) bar.address() | (bar.ioPort() ? 1 : 0)));
        put16(bytes, SUBSYSTEM_VENDOR, subsystemVendor);
        put16(bytes, SUBSYSTEM_VENDOR + 2, subsystem);
        bytes[INTERRUPT_PIN] = (byte) (traits.interrupts().pin() ? 1 : 0);
        putCapabilities(bytes, allCapabilities(traits));
        if (sriov.totalVfs() > 0 && traits.express()) {
            putSriov(bytes, sriov);
        }
        return bytes;
    }

    private List<byte[]> allCapabilities(PciTraits traits) {
        List<byte[]> all = new ArrayList<>();
        if (vendor != 0xffff) {
            // Version 3; power states D0 and D3hot, between which it forgets nothing.
            all.add(new byte[]{CAPABILITY_PM, 0, 3, 0, 8, 0, 0, 0});
        }
        PciInterrupts interrupts = traits.interrupts();
        if (interrupts.msiVectors() > 0) {
            byte[] msi = new byte[14];
            msi[0] = CAPABILITY_MSI;
            put16(msi, 2, Integer.numberOfTrailingZeros(interrupts.msiVectors()) << 1 | 0x80);
            all.add(msi);
        }
        if (interrupts.msixVectors() > 0) {
            byte[] msix = new byte[12];
            msix[0] = CAPABILITY_MSIX;
            put16(msix, 2, interrupts.msixVectors() - 1);
            put32(msix, 4, interrupts.msixTableOffset() | interrupts.msixTableBar());
            put32(msix, 8,
                    interrupts.msixTableOffset() + interrupts.msixVectors() * MSIX_ENTRY | interrupts.msixTableBar());
            all.add(msix);
        }
        if (traits.express()) {
            byte[] express = new byte[EXPRESS_LENGTH];
            express[0] = CAPABILITY_EXPRESS;
            put16(express, 2, 2);
            put32(express, 4, 0x8000 | (traits.resettable() ? 1 << 28 : 0));
            put16(express, 8, 0x2810);
            put32(express, 12, 0x11);
            put16(express, 18, 0x11);
            all.add(express);
        }
        all.addAll(capabilities);
        return all;
    }

    private static void putCapabilities(byte[] bytes, List<byte[]> capabilities) {
        int at = HEADER_SIZE;
        int link = CAPABILITIES;
        for (byte[] capability : capabilities) {
            System.arraycopy(capability, 0, bytes, at, capability.length);
            bytes[link] = (byte) at;
            link = at + 1;
            at += Math.ceilDiv(capability.length, Integer.BYTES) * Integer.BYTES;
        }
        put16(bytes, STATUS, capabilities.isEmpty() ? 0 : STATUS_CAPABILITIES);
    }

    private void putSriov(byte[] bytes, PciFunction.Sriov sriov) {
        int at = CONVENTIONAL_SIZE;
        put32(bytes, at, EXTENDED_SRIOV | 1 << 16);
        put16(bytes, at + 0x0c, sriov.totalVfs());
        put16(bytes, at + 0x0e, sriov.totalVfs());
        put16(bytes, at + 0x14, sriov.vfOffset());
        put16(bytes, at + 0x16, sriov.vfStride());
        put16(bytes, at + 0x1a, device);
        put32(bytes, at + 0x1c, 1);
        put32(bytes, at + 0x20, 1);
        assert at + SRIOV_LENGTH <= bytes.length;
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
