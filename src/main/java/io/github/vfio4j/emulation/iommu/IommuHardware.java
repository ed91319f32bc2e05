package io.github.vfio4j.emulation.iommu;

import java.util.List;

/**
 * The machine's IOMMU, as far as programs see it.
 *
 * @param pageSizes
 *            a bit for every page size
 * @param ranges
 *            the addresses that can be mapped, in order
 */
public record IommuHardware(long pageSizes, List<IovaRange> ranges) {

    /** Pages of 4 KiB, 2 MiB and 1 GiB. */
    private static final long INTEL_PAGE_SIZES = 0x40201000L;

    /** Where a write is an interrupt and never reaches memory. */
    private static final long FIRST_INTERRUPT = 0xfee00000L;
    private static final long AFTER_INTERRUPTS = 0xfef00000L;

    /**
     * An IOMMU of Intel's.
     *
     * @param addressBits
     *            how many bits the addresses have that it translates
     */
    public static IommuHardware intel(int addressBits) {
        return new IommuHardware(INTEL_PAGE_SIZES, List.of(new IovaRange(0, FIRST_INTERRUPT - 1),
                new IovaRange(AFTER_INTERRUPTS, (1L << addressBits) - 1)));
    }
}
