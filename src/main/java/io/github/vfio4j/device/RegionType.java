package io.github.vfio4j.device;

/**
 * What a region beyond the bus's own is ({@code VFIO_REGION_INFO_CAP_TYPE}).
 *
 * @param type
 *            the type; with the highest bit it is a PCI vendor's, whose id is in bits 0‥15
 * @param subtype
 *            what of that type
 */
public record RegionType(int type, int subtype) {
}
