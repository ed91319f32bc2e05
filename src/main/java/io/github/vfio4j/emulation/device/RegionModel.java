package io.github.vfio4j.emulation.device;

/**
 * The registers in a BAR of a device of one's own. Called under the {@link DeviceModel}'s monitor.
 *
 * <p>
 * Accesses come as the kernel makes them: a program's read or write is split into aligned ones of 1, 2, 4 or, from Linux
 * 7.2 on, 8 bytes, the lowest first; what is outside of the BAR, or in the MSI-X table, never gets here, nor does anything
 * while memory decoding is off. The region can't be mapped into a program's memory, for nobody would notice what is done
 * there.
 */
public interface RegionModel {

    /**
     * A read.
     *
     * @param offset
     *            where in the BAR, a multiple of the size
     * @param size
     *            1, 2, 4 or 8 bytes
     * @return the value; bits beyond the size do not matter
     */
    long read(long offset, int size);

    /**
     * A write.
     *
     * @param offset
     *            where in the BAR, a multiple of the size
     * @param size
     *            1, 2, 4 or 8 bytes
     * @param value
     *            the value; bits beyond the size are 0
     */
    void write(long offset, int size, long value);
}
