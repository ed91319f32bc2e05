package io.github.vfio4j.emulation.mdev;

import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_CONFIG_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_ROM_REGION_INDEX;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.NotModelledException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/**
 * What can be read and written of mtty (mtty_read, mdev_access of samples/vfio-mdev/mtty.c): a configuration space that is
 * a copy, of which BARs and interrupt line can be written, and nothing is done with it.
 */
final class MttyConfig {

    private static final int REGION_SHIFT = 40;
    private static final long REGION_MASK = (1L << REGION_SHIFT) - 1;
    private static final int SIZE = 255;
    private static final int FIRST_BAR = 0x10;
    private static final int SECOND_BAR = 0x14;
    private static final int LAST_BAR_CLEARED = 0x20;
    private static final int INTERRUPT_LINE = 0x3c;
    private static final int BAR_MASK = -8;
    private static final int BAR_KIND = 3;

    private final int ports;
    private final byte[] bytes = new byte[SIZE];

    /** That of a card with one port or two. */
    MttyConfig(int ports) {
        this.ports = ports;
        put(0x00, 0x48, 0x43, 0x53, 0x32, 0x01, 0x00, 0x00, 0x02, 0x10, 0x02, 0x00, 0x07);
        put(FIRST_BAR, 1);
        put(SECOND_BAR, ports == 2 ? 1 : 0);
        put(0x2c, 0x48, 0x43, 0x53, 0x32);
        put(0x3d, 1);
        put(0x40, 0x23, 0, 0, 0x80, 0x23, 0, 0, 0, 0x23, 0, 0, 0, 0x23);
        byte[] name = "PCI Serial/UART".getBytes(StandardCharsets.US_ASCII);
        System.arraycopy(name, 0, bytes, 0x60, name.length);
    }

    private void put(int offset, int... values) {
        for (int i = 0; i < values.length; i++) {
            bytes[offset + i] = (byte) values[i];
        }
    }

    /** A read or a write in aligned pieces of up to 4 bytes: how many, or −errno. */
    synchronized long access(MemorySegment buffer, long offset, boolean write) {
        long done = 0;
        while (done < buffer.byteSize()) {
            long at = offset + done;
            long rest = buffer.byteSize() - done;
            int size = rest >= 4 && at % 4 == 0 ? 4 : rest >= 2 && at % 2 == 0 ? 2 : 1;
            if (!piece(buffer.asSlice(done, size), at, write)) {
                return -Errno.EFAULT.code();
            }
            done += size;
        }
        return done;
    }

    private boolean piece(MemorySegment piece, long offset, boolean write) {
        long region = offset >>> REGION_SHIFT;
        if (region < VFIO_PCI_ROM_REGION_INDEX()) {
            throw new NotModelledException("the registers of mtty's ports");
        }
        if (region != VFIO_PCI_CONFIG_REGION_INDEX()) {
            return false;
        }
        long position = offset & REGION_MASK;
        if (write) {
            // The kernel looks at 16 bits of the offset.
            write((int) position & 0xffff, piece);
        } else if (position + piece.byteSize() > SIZE) {
            throw new KernelHazardException("mtty's configuration space read beyond its 255 bytes, which shows memory"
                    + " of the kernel. Stay within");
        } else {
            MemorySegment.copy(bytes, (int) position, piece, ValueLayout.JAVA_BYTE, 0, (int) piece.byteSize());
        }
        return true;
    }

    private void write(int position, MemorySegment piece) {
        if (position == INTERRUPT_LINE) {
            bytes[position] = piece.get(ValueLayout.JAVA_BYTE, 0);
        } else if (position == FIRST_BAR || (position == SECOND_BAR && ports == 2)) {
            if (piece.byteSize() < Integer.BYTES) {
                throw new KernelHazardException("a BAR of mtty written in part, of which the rest is taken from beyond"
                        + " what was written. Write 4 bytes");
            }
            int address = piece.get(ValueLayout.JAVA_INT_UNALIGNED, 0);
            int stored = (address == -1 ? address & BAR_MASK : address) | (bytes[position] & BAR_KIND);
            put(position, stored, stored >>> 8, stored >>> 16, stored >>> 24);
        } else if (position == SECOND_BAR
                || (position > SECOND_BAR && position <= LAST_BAR_CLEARED && position % 4 == 0)) {
            put(position, 0, 0, 0, 0);
        }
    }
}
