package io.github.vfio4j.device;

import io.github.vfio4j.VfioException;

/**
 * Registers of a device, by their offset: a {@link DeviceRegion}, through the kernel, or a {@link RegionView}, directly. A
 * driver that is written for this works with either, and with emulated devices that have no memory to be mapped.
 *
 * <p>
 * Values of 16, 32 and 64 bits are little-endian, as PCI registers are, on every machine. An offset is a multiple of the
 * access's size: registers are not reached in pieces. Every access is made, once, in the order of the program, and is one
 * access on the bus; 64 bits may be two of 32 by {@link DeviceRegion}, lower half first (the kernel's choice by version).
 *
 * <p>
 * All of them throw an {@link IndexOutOfBoundsException} for what is outside, an {@link IllegalArgumentException} for an
 * offset that is no multiple of the size, and an {@link IllegalStateException} once the device or the view is closed.
 */
public interface RegisterAccess {

    /**
     * How many bytes there are.
     *
     * @return at least 0
     */
    long size();

    /**
     * Reads 8 bits.
     *
     * @param offset
     *            where
     * @return the value
     * @throws VfioException
     *             if the kernel refuses
     */
    byte get8(long offset) throws VfioException;

    /**
     * Reads 16 bits.
     *
     * @param offset
     *            where, a multiple of 2
     * @return the value
     * @throws VfioException
     *             if the kernel refuses
     */
    short get16(long offset) throws VfioException;

    /**
     * Reads 32 bits.
     *
     * @param offset
     *            where, a multiple of 4
     * @return the value
     * @throws VfioException
     *             if the kernel refuses
     */
    int get32(long offset) throws VfioException;

    /**
     * Reads 64 bits.
     *
     * @param offset
     *            where, a multiple of 8
     * @return the value
     * @throws VfioException
     *             if the kernel refuses
     */
    long get64(long offset) throws VfioException;

    /**
     * Writes 8 bits.
     *
     * @param offset
     *            where
     * @param value
     *            the value
     * @throws VfioException
     *             if the kernel refuses
     */
    void put8(long offset, byte value) throws VfioException;

    /**
     * Writes 16 bits.
     *
     * @param offset
     *            where, a multiple of 2
     * @param value
     *            the value
     * @throws VfioException
     *             if the kernel refuses
     */
    void put16(long offset, short value) throws VfioException;

    /**
     * Writes 32 bits.
     *
     * @param offset
     *            where, a multiple of 4
     * @param value
     *            the value
     * @throws VfioException
     *             if the kernel refuses
     */
    void put32(long offset, int value) throws VfioException;

    /**
     * Writes 64 bits.
     *
     * @param offset
     *            where, a multiple of 8
     * @param value
     *            the value
     * @throws VfioException
     *             if the kernel refuses
     */
    void put64(long offset, long value) throws VfioException;
}
