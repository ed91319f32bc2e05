package io.github.vfio4j.examples.nvme;

import io.github.vfio4j.DmaDirection;
import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.device.DeviceInterrupts;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.PciIrq;
import io.github.vfio4j.device.RegisterAccess;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * A driver for NVMe disks in Java (NVM Express Base Specification 1.4): resets the controller, asks it who it is, makes a pair
 * of I/O queues with an MSI-X interrupt, reads and writes blocks. It is written against {@link Iommu}, so it runs on both
 * interfaces of the kernel, and on an emulated controller without any.
 *
 * <pre>{@code
 * try (Iommu iommu = vfio.openIommu();
 *         VfioDevice device = iommu.openDevice(PciAddress.parse("0000:01:00.0"));
 *         NvmeController disk = NvmeController.start(iommu, device)) {
 *     System.out.println(disk.model() + ", " + disk.blocks() + " blocks of " + disk.blockSize() + " bytes");
 *     try (DmaMapping data = iommu.allocate(1 << 20, DmaDirection.FROM_DEVICE)) {
 *         disk.read(0, data);
 *     }
 * }
 * }</pre>
 *
 * <p>
 * Used by one thread.
 */
public final class NvmeController implements AutoCloseable {

    /** Where the doorbells begin. */
    static final long DOORBELLS = 0x1000;

    static final long CAPABILITIES = 0x00;
    static final long CONFIGURATION = 0x14;
    static final long STATUS = 0x1c;
    static final long ADMIN_QUEUE_SIZES = 0x24;
    static final long ADMIN_SUBMISSIONS = 0x28;
    static final long ADMIN_COMPLETIONS = 0x30;

    static final int ENABLE = 1;
    static final int READY = 1;
    static final int FATAL = 2;
    /** Pages of 4 KiB; entries of 64 and of 16 bytes, as powers of two. */
    private static final int ENTRY_SIZES = 6 << 16 | 4 << 20;
    private static final int SHUTDOWN = 1 << 14;
    private static final int SHUTDOWN_STATE = 3 << 2;
    private static final int SHUTDOWN_COMPLETE = 2 << 2;

    private static final int PAGE = 4096;
    private static final int DEPTH = 32;
    private static final int ADMIN_VECTOR = 0;
    private static final int IO_VECTOR = 1;
    private static final int NAMESPACE = 1;
    private static final int CONTIGUOUS = 1;
    private static final int INTERRUPTS_ENABLED = 2;
    /** What is transferred at once: as many pages as a list of one page can name, and no more than this. */
    private static final int MOST_BYTES = 128 << 10;

    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final RegisterAccess registers;
    private final long capabilities;
    /** What is to be closed, the first one last. */
    private final List<AutoCloseable> parts = new ArrayList<>();

    private NvmeQueuePair admin;
    private NvmeQueuePair io;
    private DmaMapping list;
    private String serialNumber;
    private String model;
    private long blocks;
    private int blockSize;
    private int mostBytes;

    private NvmeController(RegisterAccess registers) throws VfioException {
        this.registers = registers;
        capabilities = registers.get64(CAPABILITIES);
    }

    /**
     * Takes a controller into operation, in whatever state it is.
     *
     * @param iommu
     *            through which the device was opened
     * @param device
     *            an NVMe controller
     * @return a controller that reads and writes its first namespace
     * @throws IOException
     *             if the device or the kernel does not do what it should
     */
    public static NvmeController start(Iommu iommu, VfioDevice device) throws IOException, InterruptedException {
        NvmeController controller = new NvmeController(device.region(DeviceRegion.BAR0).registers());
        try {
            controller.disable();
            device.config().setBusMaster(true);
            DeviceInterrupts interrupts = device.interrupts(PciIrq.MSIX);
            interrupts.enable(IO_VECTOR + 1);
            controller.parts.add(interrupts::disable);
            controller.enable(iommu, interrupts);
            controller.identify(iommu);
            controller.createQueues(iommu, interrupts);
        } catch (IOException | InterruptedException | RuntimeException e) {
            try {
                controller.close();
            } catch (IOException again) {
                e.addSuppressed(again);
            }
            throw e;
        }
        return controller;
    }

    private void disable() throws IOException, InterruptedException {
        registers.put32(CONFIGURATION, 0);
        awaitStatus(READY, 0, "be disabled");
    }

    private void enable(Iommu iommu, DeviceInterrupts interrupts) throws IOException, InterruptedException {
        admin = new NvmeQueuePair(iommu, registers, 0, DEPTH, stride(), interrupts, ADMIN_VECTOR);
        parts.add(admin);
        // While it is enabled it may write there: it is stopped before the memory goes.
        parts.add(this::shutDown);
        registers.put32(ADMIN_QUEUE_SIZES, DEPTH - 1 | (DEPTH - 1) << 16);
        registers.put64(ADMIN_SUBMISSIONS, admin.submissionAddress());
        registers.put64(ADMIN_COMPLETIONS, admin.completionAddress());
        registers.put32(CONFIGURATION, ENTRY_SIZES | ENABLE);
        awaitStatus(READY, READY, "become ready");
    }

    /** Bytes from one doorbell to the next. */
    private int stride() {
        return 4 << (int) (capabilities >>> 32 & 0xf);
    }

    /** The controller says itself how long it may take. */
    private void awaitStatus(int mask, int value, String what) throws IOException, InterruptedException {
        Duration limit = Duration.ofMillis(500).multipliedBy((capabilities >>> 24 & 0xff) + 1);
        long end = System.nanoTime() + limit.toNanos();
        int status = registers.get32(STATUS);
        while ((status & mask) != value) {
            if ((status & FATAL) != 0) {
                throw new NvmeException("The controller reports a fatal error while it is to " + what);
            }
            if (System.nanoTime() - end > 0) {
                throw new NvmeException("The controller did not " + what + " in " + limit.toMillis() + " ms");
            }
            Thread.sleep(1);
            status = registers.get32(STATUS);
        }
    }

    private void identify(Iommu iommu) throws IOException, InterruptedException {
        try (DmaMapping answer = iommu.allocate(PAGE, DmaDirection.FROM_DEVICE)) {
            MemorySegment data = answer.memory();
            admin.execute(
                    new NvmeCommand(NvmeCommand.IDENTIFY, 0, answer.iova(), 0, NvmeCommand.IDENTIFY_CONTROLLER, 0, 0));
            serialNumber = text(data, 4, 20);
            model = text(data, 24, 40);
            int maximum = Byte.toUnsignedInt(data.get(ValueLayout.JAVA_BYTE, 77));
            long smallestPage = 4096L << (capabilities >>> 48 & 0xf);
            mostBytes = (int) (maximum == 0 ? MOST_BYTES : Math.min(MOST_BYTES, smallestPage << maximum));

            admin.execute(new NvmeCommand(NvmeCommand.IDENTIFY, NAMESPACE, answer.iova(), 0,
                    NvmeCommand.IDENTIFY_NAMESPACE, 0, 0));
            blocks = data.get(LONG, 0);
            int format = data.get(ValueLayout.JAVA_BYTE, 26) & 0xf;
            blockSize = 1 << (data.get(INT, 128 + 4L * format) >>> 16 & 0xff);
        }
    }

    private static String text(MemorySegment data, long at, int length) {
        return new String(data.asSlice(at, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII).strip();
    }

    private void createQueues(Iommu iommu, DeviceInterrupts interrupts) throws IOException, InterruptedException {
        io = new NvmeQueuePair(iommu, registers, 1, DEPTH, stride(), interrupts, IO_VECTOR);
        // Behind what stops the controller, which then does not know it any more.
        parts.add(0, io);
        list = iommu.allocate(PAGE, DmaDirection.TO_DEVICE);
        parts.add(0, list);
        int numberAndSize = 1 | (DEPTH - 1) << 16;
        admin.execute(new NvmeCommand(NvmeCommand.CREATE_COMPLETION_QUEUE, 0, io.completionAddress(), 0, numberAndSize,
                CONTIGUOUS | INTERRUPTS_ENABLED | IO_VECTOR << 16, 0));
        admin.execute(new NvmeCommand(NvmeCommand.CREATE_SUBMISSION_QUEUE, 0, io.submissionAddress(), 0, numberAndSize,
                CONTIGUOUS | 1 << 16, 0));
    }

    /**
     * What the controller says its serial number is.
     *
     * @return without the spaces behind
     */
    public String serialNumber() {
        return serialNumber;
    }

    /**
     * What the controller says it is.
     *
     * @return without the spaces behind
     */
    public String model() {
        return model;
    }

    /**
     * The size of the first namespace.
     *
     * @return in blocks
     */
    public long blocks() {
        return blocks;
    }

    /**
     * The size of a block.
     *
     * @return in bytes
     */
    public int blockSize() {
        return blockSize;
    }

    /**
     * Reads blocks, as many as fit.
     *
     * @param first
     *            the first block
     * @param target
     *            memory of whole pages that the device may write
     */
    public void read(long first, DmaMapping target) throws IOException, InterruptedException {
        transfer(NvmeCommand.READ, first, target);
    }

    /**
     * Writes blocks.
     *
     * @param first
     *            the first block
     * @param source
     *            memory of whole pages that the device may read
     */
    public void write(long first, DmaMapping source) throws IOException, InterruptedException {
        transfer(NvmeCommand.WRITE, first, source);
    }

    /** Makes what has been written last. */
    public void flush() throws IOException, InterruptedException {
        io.execute(new NvmeCommand(NvmeCommand.FLUSH, NAMESPACE, 0, 0, 0, 0, 0));
    }

    private void transfer(int opcode, long first, DmaMapping data) throws IOException, InterruptedException {
        long count = data.byteSize() / blockSize;
        if (first < 0 || count > blocks - first) {
            throw new IndexOutOfBoundsException(
                    "The disk has blocks 0 to " + (blocks - 1) + ", not " + count + " from " + first + " on");
        }
        for (long done = 0; done < data.byteSize(); done += mostBytes) {
            long address = data.iova() + done;
            int bytes = (int) Math.min(mostBytes, data.byteSize() - done);
            long block = first + done / blockSize;
            io.execute(new NvmeCommand(opcode, NAMESPACE, address, furtherPages(address, bytes), (int) block,
                    (int) (block >>> 32), bytes / blockSize - 1));
        }
    }

    /** The second page, or a list of all from the second one on. */
    private long furtherPages(long address, int bytes) {
        if (bytes <= 2 * PAGE) {
            return bytes <= PAGE ? 0 : address + PAGE;
        }
        for (int page = 1; page * PAGE < bytes; page++) {
            list.memory().set(LONG, (page - 1) * (long) Long.BYTES, address + (long) page * PAGE);
        }
        return list.iova();
    }

    private void shutDown() throws IOException {
        registers.put32(CONFIGURATION, ENTRY_SIZES | ENABLE | SHUTDOWN);
        try {
            awaitStatus(SHUTDOWN_STATE, SHUTDOWN_COMPLETE, "shut down");
            disable();
        } catch (InterruptedException e) {
            // Disabled without waiting: it stops all the same.
            registers.put32(CONFIGURATION, 0);
            Thread.currentThread().interrupt();
        }
    }

    /** Shuts the controller down, and then frees what it has used. */
    @Override
    public void close() throws IOException {
        IOException failure = null;
        for (AutoCloseable part : parts.reversed()) {
            try {
                part.close();
            } catch (IOException | RuntimeException e) {
                failure = keep(failure, e instanceof IOException io ? io : new IOException(e));
            } catch (Exception e) {
                failure = keep(failure, new IOException(e));
            }
        }
        parts.clear();
        if (failure != null) {
            throw failure;
        }
    }

    private static IOException keep(IOException first, IOException next) {
        if (first == null) {
            return next;
        }
        first.addSuppressed(next);
        return first;
    }
}
