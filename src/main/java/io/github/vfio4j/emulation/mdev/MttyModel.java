package io.github.vfio4j.emulation.mdev;

import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_INFO_AUTOMASKED;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_INFO_EVENTFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_INFO_MASKABLE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_INFO_NORESIZE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_BAR0_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_BAR1_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_CONFIG_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_INTX_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_NUM_REGIONS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_READ;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_WRITE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.emulation.fs.FdTable;
import io.github.vfio4j.emulation.fs.Mapping;
import io.github.vfio4j.emulation.vfio.InfoArgument;
import io.github.vfio4j.emulation.vfio.IrqSet;
import io.github.vfio4j.emulation.vfio.RegionInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/** mtty as a device: 8 registers in a BAR for each port, and one interrupt (semantics §E.4). */
record MttyModel(KernelProfile profile, int ports, MttyIrqs irqs, MttyConfig config) implements MdevModel {

    private static final int CONFIG_SIZE = 255;
    private static final int PORT_SIZE = 8;
    private static final int REGION_SHIFT = 40;

    @Override
    public @Nullable RegionInfo region(int index) {
        if (Integer.compareUnsigned(index, VFIO_PCI_NUM_REGIONS()) >= 0) {
            return null;
        }
        // Regions that it does not have are said to be readable and writable, too.
        return RegionInfo.of(VFIO_REGION_INFO_FLAG_READ() | VFIO_REGION_INFO_FLAG_WRITE(), size(index),
                (long) index << REGION_SHIFT);
    }

    private int size(int index) {
        if (index == VFIO_PCI_CONFIG_REGION_INDEX()) {
            return CONFIG_SIZE;
        }
        boolean isPort = index == VFIO_PCI_BAR0_REGION_INDEX() || (index == VFIO_PCI_BAR1_REGION_INDEX() && ports == 2);
        return isPort ? PORT_SIZE : 0;
    }

    @Override
    public int irqInfo(MemorySegment argument) {
        int index = InfoArgument.irqIndex(argument);
        if (!profile.mttyIrqs().contains(index)) {
            return -Errno.EINVAL.code();
        }
        int kind = index == VFIO_PCI_INTX_IRQ_INDEX()
                ? VFIO_IRQ_INFO_MASKABLE() | VFIO_IRQ_INFO_AUTOMASKED()
                : VFIO_IRQ_INFO_NORESIZE();
        return InfoArgument.writeIrq(argument, VFIO_IRQ_INFO_EVENTFD() | kind, 1);
    }

    @Override
    public int setIrqs(FdTable descriptors, MemorySegment argument, int interrupts) {
        return IrqSet.check(argument, index -> interrupts, set -> {
            if (!profile.mttyIrqsChecked()) {
                throw new NotModelledException("the interrupts of mtty before Linux 6.7");
            }
            return irqs.set(descriptors, set);
        });
    }

    @Override
    public long access(MemorySegment buffer, long offset, boolean write) {
        return config.access(buffer, offset, write);
    }

    /** The driver has none. */
    @Override
    public MemorySegment map(Arena arena, Mapping mapping) {
        return MemorySegment.ofAddress(-Errno.EINVAL.code());
    }

    @Override
    public int queryPlane() {
        return -Errno.ENOTTY.code();
    }

    @Override
    public void close() {
        irqs.close();
    }
}
