package io.github.vfio4j.examples.edu;

import io.github.vfio4j.DmaMapping;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.device.DeviceInterrupts;
import io.github.vfio4j.device.DeviceRegion;
import io.github.vfio4j.device.PciIrq;
import io.github.vfio4j.device.RegisterAccess;
import java.io.IOException;
import java.time.Duration;
import java.util.Objects;

/**
 * A driver for QEMU's educational device ({@code -device edu}; docs/specs/edu.rst): everything a driver does, in its
 * smallest form. It inverts a number, computes factorials, raises interrupts, and copies by DMA to and from a page of its
 * own.
 *
 * <pre>{@code
 * try (Iommu iommu = vfio.openIommu();
 *         VfioDevice device = iommu.openDevice(PciAddress.parse("0000:02:00.0"));
 *         EduDevice edu = EduDevice.start(device, PciIrq.MSI)) {
 *     int product = edu.factorial(10);
 * }
 * }</pre>
 *
 * <p>
 * Used by one thread.
 */
public final class EduDevice implements AutoCloseable {

    /** The first byte of its page that DMA does not reach: some versions of QEMU take the last one for being beyond. */
    public static final int BUFFER_SIZE = 4095;

    /** What {@link #IDENTIFICATION} reads as, version 1.0. */
    public static final int IDENTITY = 0x010000ed;

    /** Register: which device this is. */
    public static final int IDENTIFICATION = 0x00;
    /** Register: reads as the inverse of what was written. */
    public static final int LIVENESS = 0x04;
    /** Register: takes a number, and has its factorial a little later. */
    public static final int FACTORIAL = 0x08;
    /** Register: bit 0 while it computes, bit 7 for an interrupt afterwards. */
    public static final int STATUS = 0x20;
    /** Register: the causes of the interrupt. */
    public static final int INTERRUPT_STATUS = 0x24;
    /** Register: adds causes, and raises the interrupt. */
    public static final int INTERRUPT_RAISE = 0x60;
    /** Register: takes causes away. */
    public static final int INTERRUPT_ACKNOWLEDGE = 0x64;
    /** Register: where DMA reads. */
    public static final int DMA_SOURCE = 0x80;
    /** Register: where DMA writes. */
    public static final int DMA_DESTINATION = 0x88;
    /** Register: how many bytes. */
    public static final int DMA_COUNT = 0x90;
    /** Register: begins DMA. */
    public static final int DMA_COMMAND = 0x98;

    /** In {@link #STATUS}: an interrupt when a factorial is computed. */
    static final int RAISE_WHEN_DONE = 0x80;
    /** Cause: a factorial is computed. */
    static final int FACTORIAL_DONE = 1;
    /** In {@link #DMA_COMMAND}: begin; reads as set until it is over. */
    public static final int DMA_START = 1;
    /** In {@link #DMA_COMMAND}: from the device to memory. */
    public static final int DMA_TO_MEMORY = 2;
    /** In {@link #DMA_COMMAND}: an interrupt afterwards. */
    public static final int DMA_RAISE = 4;
    /** Cause: DMA is over. */
    public static final int DMA_DONE = 0x100;
    /** Where in the device's own addresses its page is. */
    public static final int DMA_BUFFER = 0x40000;

    /** It has 28 address lines: the upper bits of an address are lost. */
    private static final long HIGHEST_IOVA = (1L << 28) - 1;

    /** DMA takes it a tenth of a second; an emulated processor on a busy machine takes its time. */
    private static final Duration LIMIT = Duration.ofSeconds(30);

    private final RegisterAccess registers;
    private final DeviceInterrupts interrupts;
    private final boolean isLevelTriggered;

    private EduDevice(RegisterAccess registers, DeviceInterrupts interrupts, boolean isLevelTriggered) {
        this.registers = registers;
        this.interrupts = interrupts;
        this.isLevelTriggered = isLevelTriggered;
    }

    /**
     * Takes a device into operation.
     *
     * @param device
     *            QEMU's educational device
     * @param kind
     *            INTx or MSI
     * @return its driver
     * @throws IOException
     *             if it is another device, or the kernel refuses
     */
    public static EduDevice start(VfioDevice device, PciIrq kind) throws IOException {
        RegisterAccess registers = device.region(DeviceRegion.BAR0).registers();
        int identification = registers.get32(IDENTIFICATION);
        if (identification != IDENTITY) {
            throw new IOException(String.format("%s is no educational device: it identifies itself as %#x, not %#x",
                    device, identification, IDENTITY));
        }
        // MSI is DMA, too.
        device.config().setBusMaster(true);
        registers.put32(STATUS, 0);
        registers.put32(INTERRUPT_ACKNOWLEDGE, -1);
        DeviceInterrupts interrupts = device.interrupts(kind);
        interrupts.enable(1);
        return new EduDevice(registers, interrupts, kind == PciIrq.INTX);
    }

    /**
     * Whether it answers.
     *
     * @param number
     *            any
     * @return true if it inverts the number
     */
    public boolean isAlive(int number) throws VfioException {
        registers.put32(LIVENESS, number);
        return registers.get32(LIVENESS) == ~number;
    }

    /**
     * Has it compute a factorial, and waits for the interrupt that says it is there.
     *
     * @param number
     *            of which
     * @return the lower 32 bits of the product
     * @throws IOException
     *             if it is not done in time
     */
    public int factorial(int number) throws IOException, InterruptedException {
        registers.put32(STATUS, RAISE_WHEN_DONE);
        registers.put32(FACTORIAL, number);
        await(FACTORIAL_DONE, "compute the factorial of " + number);
        return registers.get32(FACTORIAL);
    }

    /**
     * Copies memory into the page of the device, and waits until that is done.
     *
     * @param source
     *            memory that the device may read, below 256 MiB
     * @param position
     *            where to in the page
     * @param count
     *            how many bytes from the beginning of the memory
     * @throws IOException
     *             if it is not done in time
     */
    public void write(DmaMapping source, int position, int count) throws IOException, InterruptedException {
        check(source, position, count);
        transfer(source.iova(), DMA_BUFFER + position, count, DMA_START | DMA_RAISE);
    }

    /**
     * Copies from the page of the device into memory, and waits until that is done.
     *
     * @param target
     *            memory that the device may write, below 256 MiB
     * @param position
     *            where from in the page
     * @param count
     *            how many bytes
     * @throws IOException
     *             if it is not done in time
     */
    public void read(DmaMapping target, int position, int count) throws IOException, InterruptedException {
        check(target, position, count);
        transfer(DMA_BUFFER + position, target.iova(), count, DMA_START | DMA_TO_MEMORY | DMA_RAISE);
    }

    /** QEMU itself ends if the page is left, and where an address has too many bits it writes somewhere else. */
    private static void check(DmaMapping memory, int position, int count) {
        Objects.checkFromIndexSize(position, count, BUFFER_SIZE);
        Objects.checkFromIndexSize(0, count, memory.byteSize());
        if (Long.compareUnsigned(memory.range().last(), HIGHEST_IOVA) > 0) {
            throw new IllegalArgumentException("The device reaches IOVA 0 to 0x" + Long.toHexString(HIGHEST_IOVA)
                    + " only, not all of " + memory + ": map it at a lower address, Iommu.map(iova, …)");
        }
    }

    /** All addresses have at most 28 bits: the lower halves of the registers do. */
    private void transfer(long source, long destination, int count, int command)
            throws IOException, InterruptedException {
        registers.put32(DMA_SOURCE, (int) source);
        registers.put32(DMA_DESTINATION, (int) destination);
        registers.put32(DMA_COUNT, count);
        registers.put32(DMA_COMMAND, command);
        await(DMA_DONE, "copy " + count + " bytes");
    }

    /** Clears the cause before it lets the next interrupt through: one that is level-triggered would come at once. */
    private void await(int cause, String what) throws IOException, InterruptedException {
        int causes;
        do {
            if (interrupts.await(0, LIMIT) == 0) {
                throw new IOException("The device did not " + what + " in " + LIMIT.toSeconds() + " s");
            }
            causes = registers.get32(INTERRUPT_STATUS);
            registers.put32(INTERRUPT_ACKNOWLEDGE, causes);
            if (isLevelTriggered) {
                interrupts.unmask();
            }
        } while ((causes & cause) == 0);
    }

    /** Switches interrupts off. */
    @Override
    public void close() throws VfioException {
        registers.put32(STATUS, 0);
        interrupts.disable();
    }
}
