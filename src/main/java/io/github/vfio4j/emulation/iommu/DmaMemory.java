package io.github.vfio4j.emulation.iommu;

import io.github.vfio4j.emulation.fs.CallContext;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/**
 * A program's memory that devices are to reach: as much of it as the program has passed along, which may be in several
 * pieces. The rest is not mapped.
 *
 * @param address
 *            the program's
 * @param size
 *            bytes, unsigned
 * @param pieces
 *            the memory from the address on, without a gap, up to where it ends
 * @param ofDevice
 *            whether some of it is a device's: an IOMMU can lead there, but it has no pages that could be pinned
 */
public record DmaMemory(long address, long size, List<MemorySegment> pieces, boolean ofDevice) {

    /** What a call brings along of a range. */
    public static DmaMemory of(CallContext call, long address, long size) {
        List<MemorySegment> pieces = new ArrayList<>();
        long at = 0;
        while (Long.compareUnsigned(at, size) < 0) {
            MemorySegment piece = call.memoryAt(address + at);
            if (piece == null) {
                break;
            }
            long left = size - at;
            pieces.add(left > 0 && left < piece.byteSize() ? piece.asSlice(0, left) : piece);
            at += pieces.getLast().byteSize();
        }
        return new DmaMemory(address, size, List.copyOf(pieces), call.isDeviceMemory(address, size));
    }

    /** Whether all of it is there. */
    public boolean isMapped() {
        return pieces.stream().mapToLong(MemorySegment::byteSize).sum() == size;
    }

    /** Whether all of it can be pinned. */
    public boolean isPinnable() {
        return isMapped() && !ofDevice;
    }

    /** How much counts as locked when a container maps it, which does not need pages of memory. */
    long lockedSize() {
        return ofDevice ? 0 : size;
    }

    /** A part of it. */
    public DmaMemory slice(long offset, long length) {
        List<MemorySegment> part = new ArrayList<>();
        long skip = offset;
        long left = length;
        for (MemorySegment piece : pieces) {
            if (Long.compareUnsigned(skip, piece.byteSize()) < 0 && left != 0) {
                long available = piece.byteSize() - skip;
                long taken = Long.compareUnsigned(left, available) < 0 ? left : available;
                part.add(piece.asSlice(skip, taken));
                left -= taken;
                skip = 0;
            } else {
                skip -= piece.byteSize();
            }
        }
        return new DmaMemory(address + offset, length, List.copyOf(part), ofDevice);
    }
}
