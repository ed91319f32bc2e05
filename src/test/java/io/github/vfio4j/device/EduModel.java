package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_INT_UNALIGNED;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.DmaFault;
import io.github.vfio4j.emulation.device.RegionModel;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * QEMU's educational device (docs/specs/edu.rst): identification, liveness check, factorial, an interrupt that software
 * raises and acknowledges, and DMA between memory and a page of its own. Its DMA is over at once.
 */
final class EduModel implements DeviceModel, RegionModel {

    static final int IDENTIFICATION = 0x00;
    static final int LIVENESS = 0x04;
    static final int FACTORIAL = 0x08;
    static final int STATUS = 0x20;
    static final int INTERRUPT_STATUS = 0x24;
    static final int INTERRUPT_RAISE = 0x60;
    static final int INTERRUPT_ACKNOWLEDGE = 0x64;
    static final int DMA_SOURCE = 0x80;
    static final int DMA_DESTINATION = 0x88;
    static final int DMA_COUNT = 0x90;
    static final int DMA_COMMAND = 0x98;
    static final int DMA_START = 1;
    static final int DMA_TO_MEMORY = 2;
    static final int DMA_RAISE = 4;
    static final int DMA_DONE = 0x100;
    /** Where in the device's own addresses its page is. */
    static final int DMA_BUFFER = 0x40000;
    private static final int DMA_END = 0xa0;
    static final int IDENTITY = 0x010000ed;
    private static final int RAISE_WHEN_DONE = 0x80;

    /** The accesses as they came, for example {@code r4@8}. */
    final List<String> accesses = new ArrayList<>();

    /** What the IOMMU did not let through. */
    final List<DmaFault> faults = new ArrayList<>();

    private final MemorySegment dma = MemorySegment.ofArray(new byte[DMA_END - DMA_SOURCE]);
    private final MemorySegment buffer = MemorySegment.ofArray(new byte[4096]);
    @SuppressWarnings("NullAway.Init") // the opening comes first
    private DeviceHost host;
    private int liveness;
    private int factorial;
    private int status;
    private int interrupts;

    @Override
    public void open(DeviceHost machine) throws DeviceFailure {
        host = machine;
        reset();
    }

    @Override
    public void reset() throws DeviceFailure {
        liveness = 0;
        factorial = 0;
        status = 0;
        interrupts = 0;
        dma.fill((byte) 0);
        buffer.fill((byte) 0);
    }

    @Override
    public Map<Integer, RegionModel> regions() {
        return Map.of(0, this);
    }

    @Override
    public long read(long offset, int size) {
        accesses.add("r" + size + "@" + offset);
        return switch ((int) offset) {
            case IDENTIFICATION -> IDENTITY;
            case LIVENESS -> ~liveness;
            case FACTORIAL -> factorial;
            case STATUS -> status;
            case INTERRUPT_STATUS -> interrupts;
            default -> isDma(offset) ? register(offset, size) : -1;
        };
    }

    @Override
    public void write(long offset, int size, long value) {
        accesses.add("w" + size + "@" + offset);
        switch ((int) offset) {
            case LIVENESS -> liveness = (int) value;
            case FACTORIAL -> {
                factorial = 1;
                for (int factor = 2; factor <= (int) value; factor++) {
                    factorial *= factor;
                }
                if ((status & RAISE_WHEN_DONE) != 0) {
                    raise(1);
                }
            }
            case STATUS -> status = (int) value & RAISE_WHEN_DONE;
            case INTERRUPT_RAISE -> raise((int) value);
            case INTERRUPT_ACKNOWLEDGE -> {
                interrupts &= ~(int) value;
                host.intx(interrupts != 0);
            }
            default -> {
                if (isDma(offset)) {
                    writeDma(offset, size, value);
                }
            }
        }
    }

    private static boolean isDma(long offset) {
        return offset >= DMA_SOURCE && offset < DMA_END;
    }

    private long register(long offset, int size) {
        return size == Long.BYTES
                ? dma.get(JAVA_LONG_UNALIGNED, offset - DMA_SOURCE)
                : dma.get(JAVA_INT_UNALIGNED, offset - DMA_SOURCE);
    }

    /** The registers have 64 bits, and can be written by halves. */
    private void writeDma(long offset, int size, long value) {
        if (size == Long.BYTES) {
            dma.set(JAVA_LONG_UNALIGNED, offset - DMA_SOURCE, value);
        } else {
            dma.set(JAVA_INT_UNALIGNED, offset - DMA_SOURCE, (int) value);
        }
        if (offset == DMA_COMMAND && (value & DMA_START) != 0) {
            transfer((int) value);
        }
    }

    private void transfer(int command) {
        long source = register(DMA_SOURCE, Long.BYTES);
        long destination = register(DMA_DESTINATION, Long.BYTES);
        long count = register(DMA_COUNT, Long.BYTES);
        try {
            if ((command & DMA_TO_MEMORY) != 0) {
                host.dmaWrite(destination, buffer.asSlice(source - DMA_BUFFER, count));
            } else {
                host.dmaRead(source, buffer.asSlice(destination - DMA_BUFFER, count));
            }
        } catch (DmaFault e) {
            faults.add(e);
        }
        dma.set(JAVA_LONG_UNALIGNED, DMA_COMMAND - DMA_SOURCE, command & ~DMA_START);
        if ((command & DMA_RAISE) != 0) {
            raise(DMA_DONE);
        }
    }

    private void raise(int value) {
        interrupts |= value;
        host.interrupt(0);
        host.intx(interrupts != 0);
    }
}
