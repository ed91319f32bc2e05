package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_SHORT_UNALIGNED;

import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_info_cap_header;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/**
 * The capabilities behind an answer of the kernel. A driver made the chain, and drivers have mistakes: nothing outside of
 * the answer is read, and a chain that does not end is an error.
 */
final class CapabilityChain {

    private static final long HEADER = vfio_info_cap_header.sizeof();

    private CapabilityChain() {
    }

    /**
     * Reads a chain.
     *
     * @param operation
     *            what was asked, for messages
     * @param answer
     *            the answer, up to its end
     * @param fixed
     *            how much of it are fields; capabilities begin behind
     * @param first
     *            where the chain begins, 0 for none
     */
    static List<InfoCapability> read(String operation, MemorySegment answer, long fixed, int first)
            throws VfioException {
        List<Long> offsets = new ArrayList<>();
        TreeSet<Long> boundaries = new TreeSet<>();
        boundaries.add(answer.byteSize());
        long at = Integer.toUnsignedLong(first);
        while (at != 0) {
            if (at < fixed || at > answer.byteSize() - HEADER) {
                throw malformed(operation,
                        "a capability at " + at + ", outside of bytes " + fixed + " to " + answer.byteSize());
            }
            if (!boundaries.add(at)) {
                throw malformed(operation, "the capability at " + at + " comes twice");
            }
            offsets.add(at);
            at = Integer.toUnsignedLong(answer.get(JAVA_INT_UNALIGNED, at + vfio_info_cap_header.next$offset()));
        }
        List<InfoCapability> capabilities = new ArrayList<>();
        for (long offset : offsets) {
            Long end = boundaries.higher(offset);
            if (end == null || end < offset + HEADER) {
                throw malformed(operation, "the capability at " + offset + " overlaps the one behind");
            }
            int id = answer.get(JAVA_SHORT_UNALIGNED, offset + vfio_info_cap_header.id$offset());
            int version = answer.get(JAVA_SHORT_UNALIGNED, offset + vfio_info_cap_header.version$offset());
            capabilities.add(new InfoCapability(id & 0xffff, version & 0xffff,
                    answer.asSlice(offset + HEADER, end - offset - HEADER).toArray(JAVA_BYTE)));
        }
        return List.copyOf(capabilities);
    }

    static VfioException malformed(String operation, String what) {
        return new VfioException(operation, null,
                "The kernel's answer is malformed: " + what + ". That is a mistake of a driver in it");
    }
}
