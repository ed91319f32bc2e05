package io.github.vfio4j.device;

import io.github.vfio4j.VfioException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The MSI-X table in a BAR, which kernels without VFIO_REGION_INFO_CAP_MSIX_MAPPABLE (before 4.16) let nobody map: what
 * is around it can be.
 */
final class MsixHole {

    private static final long PAGE_SIZE = 4096;
    private static final int ENTRY_SIZE = 16;
    /** Up to the place of the table. */
    private static final int CAPABILITY_SIZE = 8;

    private MsixHole() {
    }

    /** Where the table is in this BAR; null if it is in another, or there is none. */
    static @Nullable RegionArea table(PciConfigSpace config, int bar) throws VfioException {
        Optional<PciCapability> msix = config.capability(PciCapability.MSIX);
        // A list of capabilities may lead to the last bytes there are.
        if (msix.isEmpty() || msix.get().offset() + CAPABILITY_SIZE > config.size()) {
            return null;
        }
        int control = config.get16(msix.get().offset() + 2) & 0xffff;
        int table = config.get32(msix.get().offset() + 4);
        return (table & 7) == bar
                ? new RegionArea(Integer.toUnsignedLong(table & ~7), ((control & 0x7ff) + 1L) * ENTRY_SIZE)
                : null;
    }

    /** What is left of an area by whole pages. */
    static List<RegionArea> around(RegionArea table, RegionArea area) {
        long start = table.offset() - table.offset() % PAGE_SIZE;
        long end = Math.ceilDiv(table.end(), PAGE_SIZE) * PAGE_SIZE;
        List<RegionArea> left = new ArrayList<>();
        if (start > area.offset()) {
            left.add(new RegionArea(area.offset(), Math.min(start, area.end()) - area.offset()));
        }
        if (end < area.end()) {
            left.add(new RegionArea(Math.max(end, area.offset()), area.end() - Math.max(end, area.offset())));
        }
        return List.copyOf(left);
    }
}
