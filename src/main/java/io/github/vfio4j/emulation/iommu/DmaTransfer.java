package io.github.vfio4j.emulation.iommu;

import io.github.vfio4j.emulation.device.DmaFault;
import java.lang.foreign.MemorySegment;

/**
 * A device's access to what is mapped, which may be several mappings behind each other.
 *
 * @param mappings
 *            those of its address space, which its caller guards
 * @param iova
 *            the first address
 * @param buffer
 *            takes what is read, or has what is written
 * @param write
 *            which of both
 */
public record DmaTransfer(DmaMappings<?> mappings, long iova, MemorySegment buffer, boolean write) {

    /** Copies as much as it may. */
    public void run() throws DmaFault {
        long done = 0;
        while (done < buffer.byteSize()) {
            DmaMapping mapping = mappings.containing(iova + done);
            if (mapping == null) {
                throw new DmaFault(iova + done, "nothing is mapped there");
            }
            if (write ? !mapping.access().write() : !mapping.access().read()) {
                throw new DmaFault(iova + done, "what is mapped there is not for devices to " + verb());
            }
            done += copy(mapping, done);
        }
    }

    private String verb() {
        return write ? "write" : "read";
    }

    private long copy(DmaMapping mapping, long done) throws DmaFault {
        long offset = iova + done - mapping.iova();
        long left = buffer.byteSize() - done;
        long length = Long.compareUnsigned(mapping.size() - offset, left) < 0 ? mapping.size() - offset : left;
        long at = done;
        for (MemorySegment piece : mapping.memory().slice(offset, length).pieces()) {
            copy(piece, at);
            at += piece.byteSize();
        }
        if (at != done + length) {
            throw new DmaFault(iova + at, "the program has no memory where it has mapped some");
        }
        return length;
    }

    private void copy(MemorySegment piece, long at) {
        try {
            if (write) {
                MemorySegment.copy(buffer, at, piece, 0, piece.byteSize());
            } else {
                MemorySegment.copy(piece, 0, buffer, at, piece.byteSize());
            }
        } catch (IllegalStateException e) {
            throw new IllegalStateException("A device is to " + verb() + " the memory that is mapped at IOVA 0x"
                    + Long.toHexString(iova + at) + ", and the program has freed it. A real device would " + verb()
                    + " whatever is there now: unmap memory before it is freed", e);
        } catch (WrongThreadException e) {
            throw new IllegalStateException("A device is to " + verb() + " the memory that is mapped at IOVA 0x"
                    + Long.toHexString(iova + at) + " from another thread than the one its arena is confined to. Map"
                    + " memory of a shared or automatic arena, or of Iommu.allocate", e);
        }
    }
}
