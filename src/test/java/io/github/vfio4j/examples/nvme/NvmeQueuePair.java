package io.github.vfio4j.examples.nvme;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.device.DeviceInterrupts;
import io.github.vfio4j.device.RegisterAccess;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.VarHandle;
import java.time.Duration;

/**
 * A submission queue and the completion queue that answers it: rings in memory that the controller reaches by DMA, and a
 * doorbell register for each. One command at a time is under way; used by one thread.
 */
final class NvmeQueuePair implements AutoCloseable {

    private static final Duration TIMEOUT = Duration.ofSeconds(10);

    private final String name;
    private final RegisterAccess registers;
    private final long tailDoorbell;
    private final long headDoorbell;
    private final int depth;
    private final DeviceInterrupts interrupts;
    private final int vector;
    private final DmaMapping submissions;
    private final DmaMapping completions;
    private int tail;
    private int head;
    private boolean phase = true;
    private int nextId;

    /**
     * Memory for a pair of queues; the controller has yet to be told of them.
     *
     * @param number
     *            0 for the admin queues
     * @param stride
     *            bytes from one doorbell to the next
     * @param vector
     *            the interrupt that tells of completions
     */
    NvmeQueuePair(Iommu iommu, RegisterAccess registers, int number, int depth, int stride, DeviceInterrupts interrupts,
            int vector) throws VfioException {
        name = number == 0 ? "the admin queue" : "I/O queue " + number;
        this.registers = registers;
        this.depth = depth;
        this.interrupts = interrupts;
        this.vector = vector;
        tailDoorbell = NvmeController.DOORBELLS + 2L * number * stride;
        headDoorbell = tailDoorbell + stride;
        submissions = iommu.allocate((long) depth * NvmeCommand.SIZE, DmaDirection.TO_DEVICE);
        try {
            completions = iommu.allocate((long) depth * NvmeCompletion.SIZE, DmaDirection.FROM_DEVICE);
        } catch (VfioException | RuntimeException e) {
            submissions.close();
            throw e;
        }
    }

    int depth() {
        return depth;
    }

    /** Where the controller finds the commands. */
    long submissionAddress() {
        return submissions.iova();
    }

    /** Where the controller puts the answers. */
    long completionAddress() {
        return completions.iova();
    }

    /**
     * Has a command carried out, and waits for the interrupt that tells of it.
     *
     * @throws NvmeException
     *             if the controller refuses, or does not answer
     */
    NvmeCompletion execute(NvmeCommand command) throws IOException, InterruptedException {
        int id = nextId++ & 0xffff;
        command.putInto(entry(submissions, tail, NvmeCommand.SIZE), id);
        tail = (tail + 1) % depth;
        // The command has to be in memory before the controller looks for it.
        VarHandle.releaseFence();
        registers.put32(tailDoorbell, tail);
        NvmeCompletion completion = await(command);
        if (completion.id() != id) {
            throw new NvmeException(name + " has answered command " + completion.id() + " instead of " + id);
        }
        if (completion.status() != 0) {
            throw new NvmeException(name + " refuses command 0x" + Integer.toHexString(command.opcode())
                    + " with status 0x" + Integer.toHexString(completion.status()));
        }
        return completion;
    }

    private NvmeCompletion await(NvmeCommand command) throws IOException, InterruptedException {
        MemorySegment entry = entry(completions, head, NvmeCompletion.SIZE);
        long end = System.nanoTime() + TIMEOUT.toNanos();
        // An interrupt may tell of what has been seen already, and there may be none for what comes right after it.
        while (!NvmeCompletion.isThere(entry, phase)) {
            Duration left = Duration.ofNanos(end - System.nanoTime());
            if (left.isNegative() || (interrupts.await(vector, left) == 0 && !NvmeCompletion.isThere(entry, phase))) {
                throw new NvmeException(name + " has not answered command 0x" + Integer.toHexString(command.opcode())
                        + " in " + TIMEOUT.toSeconds() + " s");
            }
        }
        NvmeCompletion completion = NvmeCompletion.from(entry);
        head = (head + 1) % depth;
        if (head == 0) {
            phase = !phase;
        }
        registers.put32(headDoorbell, head);
        return completion;
    }

    private static MemorySegment entry(DmaMapping queue, int index, int size) {
        return queue.memory().asSlice((long) index * size, size);
    }

    /** Frees the memory; the controller must not know it any more. */
    @Override
    public void close() throws VfioException {
        try (submissions) {
            completions.close();
        }
    }
}
