package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.emulation.vfio.PciRegisters.put16;
import static io.github.vfio4j.emulation.vfio.PciRegisters.put32;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** The configuration space of a PCI function as it is made: what was said of the function, in its place. */
final class ConfigImage {

    private static final int MSIX_ENTRY = 16;

    private final PciTraits traits;
    private final PciFunction.Sriov sriov;
    private final PciRegisters registers;

    ConfigImage(PciTraits traits, PciFunction.Sriov sriov) {
        this.traits = traits;
        this.sriov = sriov;
        registers = traits.registers();
    }

    /** The bytes, with the command register as the firmware leaves it. */
    byte[] bytes() {
        byte[] bytes = new byte[traits.express() ? PciRegisters.EXPRESS_SIZE : PciRegisters.CONVENTIONAL_SIZE];
        MemorySegment given = registers.image();
        if (given != null) {
            MemorySegment.copy(given, ValueLayout.JAVA_BYTE, 0, bytes, 0,
                    (int) Math.min(given.byteSize(), bytes.length));
            return bytes;
        }
        put16(bytes, 0, registers.vendor());
        put16(bytes, 2, registers.device());
        put32(bytes, PciRegisters.REVISION, registers.classCode() << Byte.SIZE | registers.revision());
        traits.bars().forEach(bar -> put32(bytes, PciRegisters.BARS + bar.index() * Integer.BYTES,
                (int) bar.address() | (bar.ioPort() ? 1 : 0)));
        put16(bytes, PciRegisters.SUBSYSTEM_VENDOR, registers.subsystemVendor());
        put16(bytes, PciRegisters.SUBSYSTEM_VENDOR + 2, registers.subsystem());
        bytes[PciRegisters.INTERRUPT_PIN] = (byte) (traits.interrupts().pin() ? 1 : 0);
        putCapabilities(bytes, allCapabilities());
        if (sriov.totalVfs() > 0 && traits.express()) {
            putSriov(bytes);
        }
        return bytes;
    }

    private List<byte[]> allCapabilities() {
        List<byte[]> all = new ArrayList<>();
        if (registers.vendor() != 0xffff) {
            // Version 3; power states D0 and D3hot, between which it forgets nothing.
            all.add(new byte[]{PciRegisters.CAPABILITY_PM, 0, 3, 0, 8, 0, 0, 0});
        }
        PciInterrupts interrupts = traits.interrupts();
        if (interrupts.msiVectors() > 0) {
            byte[] msi = new byte[14];
            msi[0] = PciRegisters.CAPABILITY_MSI;
            put16(msi, 2, Integer.numberOfTrailingZeros(interrupts.msiVectors()) << 1 | 0x80);
            all.add(msi);
        }
        if (interrupts.msixVectors() > 0) {
            byte[] msix = new byte[12];
            msix[0] = PciRegisters.CAPABILITY_MSIX;
            put16(msix, 2, interrupts.msixVectors() - 1);
            put32(msix, 4, interrupts.msixTableOffset() | interrupts.msixTableBar());
            put32(msix, 8,
                    interrupts.msixTableOffset() + interrupts.msixVectors() * MSIX_ENTRY | interrupts.msixTableBar());
            all.add(msix);
        }
        if (traits.express()) {
            byte[] express = new byte[PciRegisters.EXPRESS_LENGTH];
            express[0] = PciRegisters.CAPABILITY_EXPRESS;
            put16(express, 2, 2);
            put32(express, 4, 0x8000 | (traits.resettable() ? 1 << 28 : 0));
            put16(express, 8, 0x2810);
            put32(express, 12, 0x11);
            put16(express, 18, 0x11);
            all.add(express);
        }
        all.addAll(registers.capabilities());
        return all;
    }

    private static void putCapabilities(byte[] bytes, List<byte[]> capabilities) {
        int at = PciRegisters.HEADER_SIZE;
        int link = PciRegisters.CAPABILITIES;
        for (byte[] capability : capabilities) {
            System.arraycopy(capability, 0, bytes, at, capability.length);
            bytes[link] = (byte) at;
            link = at + 1;
            at += Math.ceilDiv(capability.length, Integer.BYTES) * Integer.BYTES;
        }
        put16(bytes, PciRegisters.STATUS, capabilities.isEmpty() ? 0 : PciRegisters.STATUS_CAPABILITIES);
    }

    private void putSriov(byte[] bytes) {
        int at = PciRegisters.CONVENTIONAL_SIZE;
        put32(bytes, at, PciRegisters.EXTENDED_SRIOV | 1 << 16);
        put16(bytes, at + 0x0c, sriov.totalVfs());
        put16(bytes, at + 0x0e, sriov.totalVfs());
        put16(bytes, at + 0x14, sriov.vfOffset());
        put16(bytes, at + 0x16, sriov.vfStride());
        put16(bytes, at + 0x1a, registers.device());
        put32(bytes, at + 0x1c, 1);
        put32(bytes, at + 0x20, 1);
    }
}
