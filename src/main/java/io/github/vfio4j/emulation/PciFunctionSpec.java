package io.github.vfio4j.emulation;

import io.github.vfio4j.emulation.feature.Bar;
import io.github.vfio4j.emulation.vfio.IommuGroups;
import io.github.vfio4j.emulation.vfio.PciFunction;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a PCI function of an {@link EmulatedKernel} is like. Without further words it is a plain function bound to
 * vfio-pci, in an IOMMU group of its own, without BARs.
 */
public final class PciFunctionSpec {

    /** Where the next BAR goes: any place will do, as long as it is aligned and not 0. */
    private static final long FIRST_BAR_ADDRESS = 0xfe00_0000L;

    private @Nullable String driver = PciFunction.VFIO_PCI;
    private @Nullable String vfDriver;
    private int group = IommuGroups.NEW;
    private PciFunction.Sriov sriov = PciFunction.Sriov.NONE;
    private int numVfs;
    private final List<Bar> bars = new ArrayList<>();

    PciFunctionSpec() {
    }

    /**
     * The driver it is bound to.
     *
     * @param name
     *            {@code vfio-pci}, which makes it usable from user space, or the name of a host driver
     * @return this
     */
    public PciFunctionSpec driver(String name) {
        driver = name;
        return this;
    }

    /**
     * No driver is bound.
     *
     * @return this
     */
    public PciFunctionSpec unbound() {
        driver = null;
        return this;
    }

    /**
     * The IOMMU group.
     *
     * @param number
     *            its number; functions with the same number share it
     * @return this
     */
    public PciFunctionSpec group(int number) {
        if (number < 0) {
            throw new IllegalArgumentException("An IOMMU group has a number from 0 on, not " + number);
        }
        group = number;
        return this;
    }

    /**
     * It is an SR-IOV physical function; virtual function n is n functions after it.
     *
     * @param totalVfs
     *            how many virtual functions it can have, at least 1
     * @return this
     */
    public PciFunctionSpec sriov(int totalVfs) {
        if (totalVfs < 1 || totalVfs > 0xffff) {
            throw new IllegalArgumentException(
                    "An SR-IOV function can have 1 to 65535 virtual functions, not " + totalVfs);
        }
        sriov = new PciFunction.Sriov(totalVfs, 1, 1);
        return this;
    }

    /**
     * Virtual functions that exist from the start. Usually they come when {@code sriov_numvfs} is written; this is for a
     * physical function that a host driver keeps.
     *
     * @param count
     *            how many
     * @param boundTo
     *            their driver
     * @return this
     */
    public PciFunctionSpec virtualFunctions(int count, String boundTo) {
        numVfs = count;
        vfDriver = boundTo;
        return this;
    }

    /**
     * A memory BAR.
     *
     * @param index
     *            0‥5
     * @param size
     *            bytes, a power of two, at least 16
     * @return this
     */
    public PciFunctionSpec memoryBar(int index, long size) {
        return bar(index, size, 16, false);
    }

    /**
     * An I/O-port BAR.
     *
     * @param index
     *            0‥5
     * @param size
     *            ports, a power of two, at least 4
     * @return this
     */
    public PciFunctionSpec ioPortBar(int index, long size) {
        return bar(index, size, 4, true);
    }

    private PciFunctionSpec bar(int index, long size, int smallest, boolean ioPort) {
        if (index < 0 || index > 5 || Long.bitCount(size) != 1 || size < smallest) {
            throw new IllegalArgumentException("There is no BAR " + index + " of " + size
                    + " bytes: the index is 0 to 5, the size a power of two of at least " + smallest);
        }
        long address = bars.isEmpty() ? FIRST_BAR_ADDRESS : bars.getLast().address() + bars.getLast().size();
        bars.add(new Bar(index, size, Math.ceilDiv(address, size) * size, ioPort));
        return this;
    }

    @Nullable
    String driver() {
        return driver;
    }

    @Nullable
    String vfDriver() {
        return vfDriver;
    }

    int group() {
        return group;
    }

    PciFunction.Sriov sriov() {
        return sriov;
    }

    int numVfs() {
        return numVfs;
    }

    List<Bar> bars() {
        return List.copyOf(bars);
    }
}
