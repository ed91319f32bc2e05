package io.github.vfio4j.device;

import io.github.vfio4j.VfioException;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/** A capability of a device, a region or an IOMMU: an element of the chain behind the kernel's answer (struct vfio_info_cap_header). */
public final class InfoCapability {

    private final int id;
    private final int version;
    private final byte[] data;

    InfoCapability(int id, int version, byte[] data) {
        this.id = id;
        this.version = version;
        this.data = data;
    }

    /**
     * Reads the chain of capabilities behind an answer of the kernel. Nothing outside of the answer is read, and a chain that
     * does not end is an error.
     *
     * @param operation
     *            what was asked, for messages
     * @param answer
     *            the answer, up to its end
     * @param fixed
     *            how many bytes of it are fields; capabilities begin behind
     * @param first
     *            the offset in the answer at which the chain begins, 0 for none
     * @return the capabilities in the order of the chain
     * @throws VfioException
     *             if the chain leaves the answer, overlaps itself or does not end; without an errno
     */
    public static List<InfoCapability> chain(String operation, MemorySegment answer, long fixed, int first)
            throws VfioException {
        return CapabilityChain.read(operation, answer, fixed, first);
    }

    /**
     * What it is; for devices, regions and IOMMUs these are different numbers.
     *
     * @return 0‥0xffff
     */
    public int id() {
        return id;
    }

    /**
     * Of its layout.
     *
     * @return 0‥0xffff
     */
    public int version() {
        return version;
    }

    /**
     * What follows the header, up to the next capability or the end of the answer: as it is, in the machine's byte order,
     * possibly with padding behind.
     *
     * @return a copy
     */
    public byte[] data() {
        return data.clone();
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof InfoCapability capability && id == capability.id && version == capability.version
                && Arrays.equals(data, capability.data);
    }

    @Override
    public int hashCode() {
        return Objects.hash(id, version, Arrays.hashCode(data));
    }

    /** Id, version and size. */
    @Override
    public String toString() {
        return "capability " + id + " version " + version + ", " + data.length + " bytes";
    }
}
