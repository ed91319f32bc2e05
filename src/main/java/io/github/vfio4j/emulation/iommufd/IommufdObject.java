package io.github.vfio4j.emulation.iommufd;

import io.github.vfio4j.emulation.iommu.DmaOwnership;
import org.jspecify.annotations.Nullable;

/** What has a number in an iommufd (struct iommufd_object). */
abstract sealed class IommufdObject {

    private final int id;

    private IommufdObject(int id) {
        this.id = id;
    }

    int id() {
        return id;
    }

    /** An I/O address space: what programs map memory in. */
    static final class Ioas extends IommufdObject {

        private final AddressSpace space;

        Ioas(int id, AddressSpace space) {
            super(id);
            this.space = space;
        }

        AddressSpace space() {
            return space;
        }
    }

    /**
     * An I/O address space as the IOMMU has it (struct iommufd_hwpt_paging). It comes with the first device attached to the
     * space, and goes with the last: one IOMMU needs no second one.
     */
    static final class PageTable extends IommufdObject {

        private final Ioas ioas;

        PageTable(int id, Ioas ioas) {
            super(id);
            this.ioas = ioas;
        }

        Ioas ioas() {
            return ioas;
        }
    }

    /** A device behind the IOMMU (struct iommufd_device). */
    static final class BoundDevice extends IommufdObject {

        private final DmaOwnership group;
        private boolean attached;

        BoundDevice(int id, DmaOwnership group) {
            super(id);
            this.group = group;
        }

        /** All attached devices of a group have the same page table. */
        DmaOwnership group() {
            return group;
        }

        boolean isAttached() {
            return attached;
        }

        void setAttached(boolean attached) {
            this.attached = attached;
        }
    }

    /** A device whose driver imitates DMA (struct iommufd_access). */
    static final class Access extends IommufdObject {

        private @Nullable Ioas ioas;

        Access(int id) {
            super(id);
        }

        @Nullable
        Ioas ioas() {
            return ioas;
        }

        void setIoas(@Nullable Ioas ioas) {
            this.ioas = ioas;
        }
    }
}
