package io.github.vfio4j.feature;

import java.util.List;

/**
 * The index of a device feature: any of 0‥65535, for the kernel's list is open. Those of Linux 7.2 have a constant here
 * ({@code vfio.h}; device-feature semantics §B.0).
 */
public final class FeatureId {

    /** Largest index that fits the 16 bits of the {@code flags} word. */
    public static final int MAX_INDEX = 0xffff;

    /** The VF token of an SR-IOV physical function: SET, 16 bytes. */
    public static final FeatureId PCI_VF_TOKEN = new FeatureId(0, "PCI_VF_TOKEN", 16);
    /** What migration the device is capable of: GET, 8 bytes. */
    public static final FeatureId MIGRATION = new FeatureId(1, "MIGRATION", 8);
    /** The migration state: GET and SET, 8 bytes. */
    public static final FeatureId MIG_DEVICE_STATE = new FeatureId(2, "MIG_DEVICE_STATE", 8);
    /** Lets the device enter low power: SET, no data. */
    public static final FeatureId LOW_POWER_ENTRY = new FeatureId(3, "LOW_POWER_ENTRY", 0);
    /** As {@link #LOW_POWER_ENTRY}, with an eventfd that is signalled at wake-up: SET, 8 bytes. */
    public static final FeatureId LOW_POWER_ENTRY_WITH_WAKEUP = new FeatureId(4, "LOW_POWER_ENTRY_WITH_WAKEUP", 8);
    /** Ends low power: SET, no data. */
    public static final FeatureId LOW_POWER_EXIT = new FeatureId(5, "LOW_POWER_EXIT", 0);
    /** Starts the logging of DMA writes: SET, 24 bytes. */
    public static final FeatureId DMA_LOGGING_START = new FeatureId(6, "DMA_LOGGING_START", 24);
    /** Ends the logging of DMA writes: SET, no data. */
    public static final FeatureId DMA_LOGGING_STOP = new FeatureId(7, "DMA_LOGGING_STOP", 0);
    /** Reads and clears the log of DMA writes: GET, 32 bytes. */
    public static final FeatureId DMA_LOGGING_REPORT = new FeatureId(8, "DMA_LOGGING_REPORT", 32);
    /** How much data a migration would move: GET, 8 bytes. */
    public static final FeatureId MIG_DATA_SIZE = new FeatureId(9, "MIG_DATA_SIZE", 8);
    /** Sets or clears bus mastering (CDX devices): SET, 4 bytes. */
    public static final FeatureId BUS_MASTER = new FeatureId(10, "BUS_MASTER", 4);
    /** Exports device memory as a DMA-buf: GET, 16 bytes and 16 more a range. */
    public static final FeatureId DMA_BUF = new FeatureId(11, "DMA_BUF", 16);
    /** Opts in to the second version of the pre-copy information: SET, no data. */
    public static final FeatureId MIG_PRECOPY_INFOV2 = new FeatureId(12, "MIG_PRECOPY_INFOv2", 0);

    /** The features of Linux 7.2, each at its index. */
    private static final List<FeatureId> KNOWN = List.of(PCI_VF_TOKEN, MIGRATION, MIG_DEVICE_STATE, LOW_POWER_ENTRY,
            LOW_POWER_ENTRY_WITH_WAKEUP, LOW_POWER_EXIT, DMA_LOGGING_START, DMA_LOGGING_STOP, DMA_LOGGING_REPORT,
            MIG_DATA_SIZE, BUS_MASTER, DMA_BUF, MIG_PRECOPY_INFOV2);

    private final int index;
    private final String name;
    private final int minimumPayload;

    private FeatureId(int index, String name, int minimumPayload) {
        this.index = index;
        this.name = name;
        this.minimumPayload = minimumPayload;
    }

    /**
     * The feature with this index.
     *
     * @param index
     *            0‥65535
     * @return the known feature, or one that is called by its number
     * @throws IllegalArgumentException
     *             if the index does not fit 16 bits
     */
    public static FeatureId of(int index) {
        if (index < 0 || index > MAX_INDEX) {
            throw new IllegalArgumentException("There is no device feature " + index
                    + ": the index is 16 bits wide, 0 to " + MAX_INDEX + ". Operations and flags are not part of it");
        }
        return index < KNOWN.size() ? KNOWN.get(index) : new FeatureId(index, "feature " + index, 0);
    }

    /**
     * The features that Linux 7.2 defines.
     *
     * @return 0‥12 in order
     */
    public static List<FeatureId> known() {
        return KNOWN;
    }

    /**
     * The index.
     *
     * @return bits 0‥15 of the {@code flags} word
     */
    public int index() {
        return index;
    }

    /**
     * The name.
     *
     * @return that of {@code vfio.h} without {@code VFIO_DEVICE_FEATURE_}, or {@code feature 13}
     */
    public String name() {
        return name;
    }

    /**
     * The least data with which the kernel carries out GET or SET; probing needs none.
     *
     * @return bytes behind the 8-byte header; 0 for an unknown feature
     */
    public int minimumPayload() {
        return minimumPayload;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof FeatureId id && id.index == index;
    }

    @Override
    public int hashCode() {
        return index;
    }

    @Override
    public String toString() {
        return name;
    }
}
