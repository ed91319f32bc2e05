package io.github.vfio4j;

import io.github.vfio4j.uapi.vfio_h;

/** The IOMMU interfaces that a container can have ({@code VFIO_SET_IOMMU}). */
public enum IommuType {

    /** Type1, first version: to unmap the beginning of a mapping is to unmap all of it, to unmap a later part does nothing. */
    TYPE1(vfio_h.VFIO_TYPE1_IOMMU(), "type1"),
    /** Type1, second version: a range to unmap that cuts a mapping is refused. Only this one tells which pages are dirty. */
    TYPE1V2(vfio_h.VFIO_TYPE1v2_IOMMU(), "type1v2");

    private final int number;
    private final String text;

    IommuType(int number, String text) {
        this.number = number;
        this.text = text;
    }

    /** Its number in {@code vfio.h}. */
    int number() {
        return number;
    }

    /** For example {@code type1v2}. */
    @Override
    public String toString() {
        return text;
    }
}
