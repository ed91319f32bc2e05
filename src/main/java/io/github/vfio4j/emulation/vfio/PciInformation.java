package io.github.vfio4j.emulation.vfio;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FLAGS_PCI;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FLAGS_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_INFO_AUTOMASKED;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_INFO_EVENTFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_INFO_MASKABLE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_INFO_NORESIZE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_CONFIG_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_ERR_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_INTX_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_MSIX_IRQ_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_NUM_IRQS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_PCI_ROM_REGION_INDEX;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_CAP_MSIX_MAPPABLE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_MMAP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_READ;
import static io.github.vfio4j.uapi.vfio_h.VFIO_REGION_INFO_FLAG_WRITE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.emulation.feature.Bar;
import java.lang.foreign.MemorySegment;

/** What vfio-pci tells about a device: the device, its regions, its interrupts (semantics §E.4). */
record PciInformation(KernelProfile profile, PciTraits traits, PciRegions regions, PciIrqs irqs) {

    private static final int EXPRESS_CONFIG_SIZE = 4096;
    private static final int CONVENTIONAL_CONFIG_SIZE = 256;
    private static final int REGION_SHIFT = 40;

    /** VFIO_DEVICE_GET_INFO. */
    int device(MemorySegment argument) {
        int error = InfoArgument.checkDevice(argument);
        if (error != 0) {
            return error;
        }
        int flags = VFIO_DEVICE_FLAGS_PCI() | (traits.resettable() ? VFIO_DEVICE_FLAGS_RESET() : 0);
        return InfoArgument.writeDevice(argument, flags, profile.deviceInfoSize(), profile.deviceInfoCut());
    }

    /** VFIO_DEVICE_GET_REGION_INFO. */
    int region(MemorySegment argument) {
        return InfoArgument.region(argument, index -> {
            if (Integer.compareUnsigned(index, VFIO_PCI_ROM_REGION_INDEX()) < 0) {
                return bar(index);
            }
            int readWrite = VFIO_REGION_INFO_FLAG_READ() | VFIO_REGION_INFO_FLAG_WRITE();
            if (index == VFIO_PCI_ROM_REGION_INDEX()) {
                return RegionInfo.of(traits.romSize() == 0 ? 0 : VFIO_REGION_INFO_FLAG_READ(), traits.romSize(),
                        offset(index));
            }
            if (index == VFIO_PCI_CONFIG_REGION_INDEX()) {
                return RegionInfo.of(readWrite, traits.express() ? EXPRESS_CONFIG_SIZE : CONVENTIONAL_CONFIG_SIZE,
                        offset(index));
            }
            // VGA, which no function here has, and what devices of some vendors have beyond.
            return null;
        });
    }

    private RegionInfo bar(int index) {
        Bar bar = traits.bar(index);
        if (bar == null) {
            return RegionInfo.of(0, 0, offset(index));
        }
        int flags = VFIO_REGION_INFO_FLAG_READ() | VFIO_REGION_INFO_FLAG_WRITE();
        if (!regions.isMappable(bar)) {
            return RegionInfo.of(flags, bar.size(), offset(index));
        }
        int capability = traits.interrupts().hasMsixTableIn(index) ? VFIO_REGION_INFO_CAP_MSIX_MAPPABLE() : 0;
        return new RegionInfo(flags | VFIO_REGION_INFO_FLAG_MMAP(), bar.size(), offset(index), capability);
    }

    private static long offset(int index) {
        return (long) index << REGION_SHIFT;
    }

    /** VFIO_DEVICE_GET_IRQ_INFO. */
    int irq(MemorySegment argument) {
        int error = InfoArgument.checkIrq(argument, VFIO_PCI_NUM_IRQS());
        if (error != 0) {
            return error;
        }
        int index = InfoArgument.irqIndex(argument);
        if (index == VFIO_PCI_ERR_IRQ_INDEX() && !traits.express()) {
            return -Errno.EINVAL.code();
        }
        int flags = VFIO_IRQ_INFO_EVENTFD();
        if (index == VFIO_PCI_INTX_IRQ_INDEX()) {
            flags |= VFIO_IRQ_INFO_MASKABLE() | VFIO_IRQ_INFO_AUTOMASKED();
        } else if (index != VFIO_PCI_MSIX_IRQ_INDEX() || !hasDynamicMsix()) {
            flags |= VFIO_IRQ_INFO_NORESIZE();
        }
        return InfoArgument.writeIrq(argument, flags, irqs.count(index));
    }

    /** Asked only of functions that have MSI-X at all. */
    private boolean hasDynamicMsix() {
        return profile.dynamicMsix() && traits.interrupts().msixVectors() > 0;
    }
}
