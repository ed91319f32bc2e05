package io.github.vfio4j.examples.edu;

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
public final class EduModel implements DeviceModel, RegionModel {

    private static final int DMA_END = 0xa0;

    /** The accesses as they came, for example {@code r4@8}. */
    public final List<String> accesses = new ArrayList<>();

    /** What the IOMMU did not let through. */
    public final List<DmaFault> faults = new ArrayList<>();

    private final MemorySegment dma = MemorySegment.ofArray(new byte[DMA_END - EduDevice.DMA_SOURCE]);
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
            case EduDevice.IDENTIFICATION -> EduDevice.IDENTITY;
            case EduDevice.LIVENESS -> ~liveness;
            case EduDevice.FACTORIAL -> factorial;
            case EduDevice.STATUS -> status;
            case EduDevice.INTERRUPT_STATUS -> interrupts;
            default -> isDma(offset) ? register(offset, size) : -1;
        };
    }

    @Override
    public void write(long offset, int size, long value) {
        accesses.add("w" + size + "@" + offset);
        switch ((int) offset) {
            case EduDevice.LIVENESS -> liveness = (int) value;
            case EduDevice.FACTORIAL -> {
                factorial = 1;
                for (int factor = 2; factor <= (int) value; factor++) {
                    factorial *= factor;
                }
                if ((status & EduDevice.RAISE_WHEN_DONE) != 0) {
                    raise(EduDevice.FACTORIAL_DONE);
                }
            }
            case EduDevice.STATUS -> status = (int) value & EduDevice.RAISE_WHEN_DONE;
            case EduDevice.INTERRUPT_RAISE -> raise((int) value);
            case EduDevice.INTERRUPT_ACKNOWLEDGE -> {
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
        return offset >= EduDevice.DMA_SOURCE && offset < DMA_END;
    }

    private long register(long offset, int size) {
        return size == Long.BYTES
                ? dma.get(JAVA_LONG_UNALIGNED, offset - EduDevice.DMA_SOURCE)
                : dma.get(JAVA_INT_UNALIGNED, offset - EduDevice.DMA_SOURCE);
    }

    /** The registers have 64 bits, and can be written by halves. */
    private void writeDma(long offset, int size, long value) {
        if (size == Long.BYTES) {
            dma.set(JAVA_LONG_UNALIGNED, offset - EduDevice.DMA_SOURCE, value);
        } else {
            dma.set(JAVA_INT_UNALIGNED, offset - EduDevice.DMA_SOURCE, (int) value);
        }
        if (offset == EduDevice.DMA_COMMAND && (value & EduDevice.DMA_START) != 0) {
            transfer((int) value);
        }
    }

    private void transfer(int command) {
        long source = register(EduDevice.DMA_SOURCE, Long.BYTES);
        long destination = register(EduDevice.DMA_DESTINATION, Long.BYTES);
        long count = register(EduDevice.DMA_COUNT, Long.BYTES);
        try {
            if ((command & EduDevice.DMA_TO_MEMORY) != 0) {
                host.dmaWrite(destination, buffer.asSlice(source - EduDevice.DMA_BUFFER, count));
            } else {
                host.dmaRead(source, buffer.asSlice(destination - EduDevice.DMA_BUFFER, count));
            }
        } catch (DmaFault e) {
            faults.add(e);
        }
        dma.set(JAVA_LONG_UNALIGNED, EduDevice.DMA_COMMAND - EduDevice.DMA_SOURCE, command & ~EduDevice.DMA_START);
        if ((command & EduDevice.DMA_RAISE) != 0) {
            raise(EduDevice.DMA_DONE);
        }
    }

    private void raise(int value) {
        interrupts |= value;
        host.interrupt(0);
        host.intx(interrupts != 0);
    }
}
