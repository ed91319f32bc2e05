package io.github.vfio4j.examples.nvme;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * The answer to a command (NVM Express Base Specification, "Completion Queue Entry").
 *
 * @param result
 *            the command's own
 * @param submissionHead
 *            up to where the controller has taken commands out of the submission queue
 * @param id
 *            of the command
 * @param status
 *            0 if it succeeded: the status code type above the code
 */
record NvmeCompletion(int result, int submissionHead, int id, int status) {

    /** Bytes in a completion queue. */
    static final int SIZE = 16;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle WORD = INT.varHandle();
    private static final int HALF = 0xffff;
    private static final int PHASE = 1 << 16;
    private static final int STATUS_SHIFT = 17;
    private static final int STATUS = 0x7ff;

    /** Whether the controller has written this entry in its present round through the queue. */
    static boolean isThere(MemorySegment entry, boolean phase) {
        // Acquired: the rest of the entry, and the data, are not read before.
        return ((int) WORD.getAcquire(entry, 12L) & PHASE) != 0 == phase;
    }

    static NvmeCompletion from(MemorySegment entry) {
        int last = entry.get(INT, 12);
        return new NvmeCompletion(entry.get(INT, 0), entry.get(INT, 8) & HALF, last & HALF,
                last >>> STATUS_SHIFT & STATUS);
    }

    /** Writes the answer, as a controller does. */
    void putInto(MemorySegment entry, int submissionQueue, boolean phase) {
        entry.set(INT, 0, result);
        entry.set(INT, 4, 0);
        entry.set(INT, 8, submissionHead | submissionQueue << 16);
        entry.set(INT, 12, id | (phase ? PHASE : 0) | status << STATUS_SHIFT);
    }
}
