package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_CONFIG_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_NUM_REGIONS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_ROM_REGION_INDEX;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Mman;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.device.RegionModel;
import io.github.vfio4j.emulation.feature.Bar;
import io.github.vfio4j.emulation.feature.ModelledDevice;
import io.github.vfio4j.emulation.fs.Mapping;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Reading, writing and mapping the regions of a device on vfio-pci (vfio_pci_rw, vfio_pci_bar_rw of vfio_pci_rdwr.c,
 * vfio_pci_core_mmap).
 */
final class PciRegions {

    private static final int REGION_SHIFT = 40;
    private static final long REGION_MASK = (1L << REGION_SHIFT) - 1;
    private static final long PAGE_SIZE = 4096;
    private static final byte NOTHING_THERE = (byte) 0xff;

    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED
            .withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

    private final KernelProfile profile;
    private final PciHardware hardware;
    private final @Nullable ModelledDevice model;
    private final Supplier<VirtualConfig> config;
    private final Runnable wake;

    /**
     * Those of a device.
     *
     * @param model
     *            what answers for some of them; null if nothing does
     * @param config
     *            configuration space of the device that is open
     * @param wake
     *            called before every access
     */
    PciRegions(KernelProfile profile, PciHardware hardware, @Nullable ModelledDevice model,
            Supplier<VirtualConfig> config, Runnable wake) {
        this.profile = profile;
        this.hardware = hardware;
        this.model = model;
        this.config = config;
        this.wake = wake;
    }

    /** read(2) and write(2): how many bytes, or −errno. */
    long access(MemorySegment buffer, long offset, boolean write) {
        if (buffer.byteSize() == 0) {
            return 0;
        }
        long index = offset >>> REGION_SHIFT;
        if (index >= VFIO_PCI_NUM_REGIONS()) {
            return -Errno.EINVAL.code();
        }
        wake.run();
        long position = offset & REGION_MASK;
        if (index == VFIO_PCI_CONFIG_REGION_INDEX()) {
            return config.get().access(buffer, position, write);
        }
        if (index == VFIO_PCI_ROM_REGION_INDEX()) {
            return write || hardware.traits().romSize() == 0 || position >= hardware.traits().romSize()
                    ? -Errno.EINVAL.code()
                    : rom();
        }
        // VGA, which no function here has, and the BARs.
        Bar bar = hardware.traits().bar((int) index);
        if (bar == null || position >= bar.size()) {
            return -Errno.EINVAL.code();
        }
        long length = Math.min(buffer.byteSize(), bar.size() - position);
        return access(bar, buffer.asSlice(0, length), position, write);
    }

    private static long rom() {
        throw new NotModelledException("what is in an expansion ROM");
    }

    private boolean isMemoryEnabled() {
        boolean awake = !profile.guardedPowerState() || !hardware.isInD3hot();
        return awake && config.get().isMemoryEnabled();
    }

    /** In aligned pieces, around the MSI-X table: what is written there is dropped, and read it is all ones. */
    private long access(Bar bar, MemorySegment buffer, long position, boolean write) {
        boolean hasTable = hardware.msixBar() == bar.index();
        long tableStart = hasTable ? hardware.msixTable() : 0;
        long tableEnd = hasTable ? tableStart + hardware.msixTableSize() : 0;
        long done = 0;
        while (done < buffer.byteSize()) {
            long at = position + done;
            long rest = buffer.byteSize() - done;
            long free = at < tableStart ? Math.min(rest, tableStart - at) : at >= tableEnd ? rest : 0;
            if (free == 0) {
                long dropped = Math.min(rest, tableEnd - at);
                if (!write) {
                    buffer.asSlice(done, dropped).fill(NOTHING_THERE);
                }
                done += dropped;
                continue;
            }
            int size = size(at, free);
            if (!bar.ioPort() && !isMemoryEnabled()) {
                if (profile.memoryChecked()) {
                    return -Errno.EIO.code();
                }
                // Nobody on the bus answers.
                if (!write) {
                    buffer.asSlice(done, size).fill(NOTHING_THERE);
                }
            } else if (write) {
                put(bar, at, size, get(buffer, done, size));
            } else {
                set(buffer, done, size, get(bar, at, size));
            }
            done += size;
        }
        return done;
    }

    private int size(long at, long free) {
        for (int size = profile.widestRegionAccess(); size > 1; size /= 2) {
            if (free >= size && at % size == 0) {
                return size;
            }
        }
        return 1;
    }

    private @Nullable RegionModel modelOf(Bar bar) {
        return model == null ? null : model.regions().get(bar.index());
    }

    private long get(Bar bar, long offset, int size) {
        RegionModel registers = modelOf(bar);
        ModelledDevice device = model;
        if (registers != null && device != null) {
            synchronized (device.lock()) {
                return registers.read(offset, size);
            }
        }
        BarMemory memory = memory(bar);
        synchronized (memory) {
            return get(memory.memory(), offset, size);
        }
    }

    private void put(Bar bar, long offset, int size, long value) {
        RegionModel registers = modelOf(bar);
        ModelledDevice device = model;
        if (registers != null && device != null) {
            synchronized (device.lock()) {
                registers.write(offset, size, value);
            }
            return;
        }
        BarMemory memory = memory(bar);
        synchronized (memory) {
            set(memory.memory(), offset, size, value);
        }
    }

    private BarMemory memory(Bar bar) {
        BarMemory memory = hardware.memory(bar.index());
        if (memory == null) {
            throw new NotModelledException("what is behind the I/O ports of a device without a model");
        }
        return memory;
    }

    private static long get(MemorySegment memory, long offset, int size) {
        return switch (size) {
            case 1 -> Byte.toUnsignedLong(memory.get(ValueLayout.JAVA_BYTE, offset));
            case 2 -> Short.toUnsignedLong(memory.get(SHORT, offset));
            case 4 -> Integer.toUnsignedLong(memory.get(INT, offset));
            default -> memory.get(LONG, offset);
        };
    }

    private static void set(MemorySegment memory, long offset, int size, long value) {
        switch (size) {
            case 1 -> memory.set(ValueLayout.JAVA_BYTE, offset, (byte) value);
            case 2 -> memory.set(SHORT, offset, (short) value);
            case 4 -> memory.set(INT, offset, (int) value);
            default -> memory.set(LONG, offset, value);
        }
    }

    /** Whether a BAR can be mapped: whoever answers for registers has to see every access. */
    boolean isMappable(Bar bar) {
        return modelOf(bar) == null && hardware.traits().isMappable(bar);
    }

    /** mmap(2): memory, or an address that is −errno. */
    MemorySegment map(Arena arena, Mapping mapping) {
        long index = mapping.offset() >>> REGION_SHIFT;
        Bar bar = index < VFIO_PCI_ROM_REGION_INDEX() ? hardware.traits().bar((int) index) : null;
        BarMemory memory = bar == null ? null : hardware.memory(bar.index());
        long position = mapping.offset() & REGION_MASK;
        if (!mapping.isShared() || bar == null || memory == null || !isMappable(bar)
                || position + mapping.pages() > Math.ceilDiv(bar.size(), PAGE_SIZE) * PAGE_SIZE) {
            return MemorySegment.ofAddress(-Errno.EINVAL.code());
        }
        boolean writable = (mapping.protection() & Mman.PROT_WRITE) != 0;
        return memory.map(arena, writable, position, mapping.length());
    }
}
