package io.github.vfio4j.device;

import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceHost;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.RegionModel;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * The registers of QEMU's educational device without its DMA (docs/specs/edu.rst): identification, liveness check,
 * factorial, and an interrupt that software raises and acknowledges.
 */
final class EduModel implements DeviceModel, RegionModel {

    static final int IDENTIFICATION = 0x00;
    static final int LIVENESS = 0x04;
    static final int FACTORIAL = 0x08;
    static final int STATUS = 0x20;
    static final int INTERRUPT_STATUS = 0x24;
    static final int INTERRUPT_RAISE = 0x60;
    static final int INTERRUPT_ACKNOWLEDGE = 0x64;
    static final int IDENTITY = 0x010000ed;
    private static final int RAISE_WHEN_DONE = 0x80;

    /** The accesses as they came, for example {@code r4@8}. */
    final List<String> accesses = new ArrayList<>();
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
            default -> -1;
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
                // Not a register.
            }
        }
    }

    private void raise(int value) {
        interrupts |= value;
        host.interrupt(0);
        host.intx(interrupts != 0);
    }
}
