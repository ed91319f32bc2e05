package io.github.vfio4j.examples.nvme;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * A command as it stands in a submission queue (NVM Express Base Specification, "Submission Queue Entry"), made field by field.
 *
 * @param opcode
 *            which command, in the admin or the I/O command set
 * @param namespace
 *            0 where none is concerned
 * @param prp1
 *            address of the first page of data as the controller sees it
 * @param prp2
 *            address of the second page, or of the list of those that follow the first
 * @param dword10
 *            the command's own
 */
record NvmeCommand(int opcode, int namespace, long prp1, long prp2, int dword10, int dword11, int dword12) {

    /** Bytes in a submission queue. */
    static final int SIZE = 64;

    static final int DELETE_SUBMISSION_QUEUE = 0x00;
    static final int CREATE_SUBMISSION_QUEUE = 0x01;
    static final int DELETE_COMPLETION_QUEUE = 0x04;
    static final int CREATE_COMPLETION_QUEUE = 0x05;
    static final int IDENTIFY = 0x06;

    static final int FLUSH = 0x00;
    static final int WRITE = 0x01;
    static final int READ = 0x02;

    static final int IDENTIFY_NAMESPACE = 0;
    static final int IDENTIFY_CONTROLLER = 1;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final int ID_SHIFT = 16;

    /** Writes the command into its place in a queue; the controller finds it when the doorbell has been rung. */
    void putInto(MemorySegment entry, int id) {
        entry.fill((byte) 0);
        entry.set(INT, 0, opcode | id << ID_SHIFT);
        entry.set(INT, 4, namespace);
        entry.set(LONG, 24, prp1);
        entry.set(LONG, 32, prp2);
        entry.set(INT, 40, dword10);
        entry.set(INT, 44, dword11);
        entry.set(INT, 48, dword12);
    }

    /** Reads a command out of a queue, as a controller does. */
    static NvmeCommand from(MemorySegment entry) {
        return new NvmeCommand(entry.get(INT, 0) & 0xff, entry.get(INT, 4), entry.get(LONG, 24), entry.get(LONG, 32),
                entry.get(INT, 40), entry.get(INT, 44), entry.get(INT, 48));
    }

    /** The identifier that its completion will name. */
    static int id(MemorySegment entry) {
        return entry.get(INT, 0) >>> ID_SHIFT;
    }
}
