package io.github.vfio4j.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.vfio4j.VfioException;
import java.lang.foreign.MemorySegment;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Writes to configuration space after which the memory of the function does not answer, or is not the same as before: they
 * end the views. The kernel forbids access at the same places (vfio_pci_config.c).
 */
final class ConfigEffects {

    private static final int COMMAND = 4;
    private static final int COMMAND_MEMORY = 2;
    /** The power management capability: the state of power. */
    private static final int PM_CONTROL = 4;
    private static final int PM_STATE = 3;
    /** The PCI Express capability: device control, upper half, with function level reset. */
    private static final int EXPRESS_CONTROL = 9;
    private static final int EXPRESS_RESET = 0x80;
    /** Advanced features: control, with function level reset. */
    private static final int AF_CONTROL = 4;
    private static final int AF_RESET = 1;

    private final DeviceRegion config;
    /** What a function has does not change. */
    private volatile @Nullable List<PciCapability> capabilities;

    ConfigEffects(DeviceRegion config) {
        this.config = config;
    }

    /** Why a write ends the views; null if it does not. */
    @Nullable
    String endOfViews(long offset, MemorySegment bytes) throws VfioException {
        int command = written(offset, bytes, COMMAND);
        if (command >= 0 && (command & COMMAND_MEMORY) == 0) {
            return "memory decoding was switched off";
        }
        for (PciCapability capability : capabilities()) {
            switch (capability.id()) {
                case PciCapability.POWER_MANAGEMENT -> {
                    int control = written(offset, bytes, capability.offset() + PM_CONTROL);
                    if (control >= 0 && (control & PM_STATE) == PM_STATE) {
                        return "the device was put into D3hot";
                    }
                }
                case PciCapability.EXPRESS -> {
                    int control = written(offset, bytes, capability.offset() + EXPRESS_CONTROL);
                    if (control >= 0 && (control & EXPRESS_RESET) != 0) {
                        return "the device was reset by its PCI Express capability";
                    }
                }
                case PciCapability.ADVANCED_FEATURES -> {
                    int control = written(offset, bytes, capability.offset() + AF_CONTROL);
                    if (control >= 0 && (control & AF_RESET) != 0) {
                        return "the device was reset by its Advanced Features capability";
                    }
                }
                default -> {
                    // Of no effect on memory.
                }
            }
        }
        return null;
    }

    /** The byte that is written at a place; −1 if none is. */
    private static int written(long offset, MemorySegment bytes, long place) {
        return place >= offset && place < offset + bytes.byteSize()
                ? Byte.toUnsignedInt(bytes.get(JAVA_BYTE, place - offset))
                : -1;
    }

    private List<PciCapability> capabilities() throws VfioException {
        List<PciCapability> known = capabilities;
        if (known == null) {
            known = PciConfigSpace.standardCapabilities(config);
            capabilities = known;
        }
        return known;
    }
}
