package io.github.vfio4j.device;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A part of a region that is mapped into memory: registers without system calls. Made by {@link DeviceRegion#map}. Safe
 * for use by many threads, as far as the device is.
 *
 * <p>
 * {@code get} and {@code put} are volatile accesses: each is made, in the order of the program, and is one access on the
 * bus. The {@code Acquire} and {@code Release} forms cost less; a doorbell rung by a release is seen by the device after
 * everything that the thread wrote before.
 *
 * <p>
 * It lives until it is closed, or the device is closed, reset, put into low power or D3hot, or its memory decoding is
 * switched off by this object of the device: each of these closes it first. Later use is an
 * {@link IllegalStateException} and never SIGBUS, also in the middle of an access by another thread. Another process that
 * has the same device can still do that.
 */
public final class RegionView implements RegisterAccess, AutoCloseable {

    private static final VarHandle BYTE = ValueLayout.JAVA_BYTE.varHandle();
    private static final VarHandle SHORT = ValueLayout.JAVA_SHORT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
    private static final VarHandle INT = ValueLayout.JAVA_INT.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();
    private static final VarHandle LONG = ValueLayout.JAVA_LONG.withOrder(ByteOrder.LITTLE_ENDIAN).varHandle();

    private static final long PAUSE_NANOS = 100_000;

    private final String name;
    private final DeviceViews views;
    private final Arena arena;
    private final MemorySegment memory;
    private volatile @Nullable String closedBecause;

    /** A view of memory that lives as long as the arena, which is closed with the view. */
    RegionView(String name, DeviceViews views, Arena arena, MemorySegment memory) {
        this.name = name;
        this.views = views;
        this.arena = arena;
        this.memory = memory;
    }

    /**
     * The memory itself, for bulk copies and for {@code VarHandle}s of one's own. It can be used until the view is closed.
     *
     * @return a segment of the view's size
     */
    public MemorySegment segment() {
        return memory;
    }

    @Override
    public long size() {
        return memory.byteSize();
    }

    /**
     * Whether it can be used.
     *
     * @return false once it was closed, by whomever
     */
    public boolean isOpen() {
        return arena.scope().isAlive();
    }

    /** What is wrong with an access that the JVM has refused. The JVM checks all that anyhow, and what is right goes on. */
    private RuntimeException refused(long offset, int width, RuntimeException cause) {
        Bounds.checkRegister(name, memory.byteSize(), offset, width);
        String reason = closedBecause;
        // What the JVM says of closed memory does not say why.
        return reason == null
                ? cause
                : new IllegalStateException("The view of " + name + " is closed: " + reason + "; map it again", cause);
    }

    @Override
    public byte get8(long offset) {
        try {
            return (byte) BYTE.getVolatile(memory, offset);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Byte.BYTES, e);
        }
    }

    @Override
    public short get16(long offset) {
        try {
            return (short) SHORT.getVolatile(memory, offset);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Short.BYTES, e);
        }
    }

    @Override
    public int get32(long offset) {
        try {
            return (int) INT.getVolatile(memory, offset);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Integer.BYTES, e);
        }
    }

    @Override
    public long get64(long offset) {
        try {
            return (long) LONG.getVolatile(memory, offset);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Long.BYTES, e);
        }
    }

    @Override
    public void put8(long offset, byte value) {
        try {
            BYTE.setVolatile(memory, offset, value);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Byte.BYTES, e);
        }
    }

    @Override
    public void put16(long offset, short value) {
        try {
            SHORT.setVolatile(memory, offset, value);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Short.BYTES, e);
        }
    }

    @Override
    public void put32(long offset, int value) {
        try {
            INT.setVolatile(memory, offset, value);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Integer.BYTES, e);
        }
    }

    @Override
    public void put64(long offset, long value) {
        try {
            LONG.setVolatile(memory, offset, value);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Long.BYTES, e);
        }
    }

    /**
     * Reads 8 bits; what follows in the program is done after it.
     *
     * @param offset
     *            where
     * @return the value
     */
    public byte get8Acquire(long offset) {
        try {
            return (byte) BYTE.getAcquire(memory, offset);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Byte.BYTES, e);
        }
    }

    /**
     * Reads 16 bits; what follows in the program is done after it.
     *
     * @param offset
     *            where, a multiple of 2
     * @return the value
     */
    public short get16Acquire(long offset) {
        try {
            return (short) SHORT.getAcquire(memory, offset);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Short.BYTES, e);
        }
    }

    /**
     * Reads 32 bits; what follows in the program is done after it.
     *
     * @param offset
     *            where, a multiple of 4
     * @return the value
     */
    public int get32Acquire(long offset) {
        try {
            return (int) INT.getAcquire(memory, offset);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Integer.BYTES, e);
        }
    }

    /**
     * Reads 64 bits; what follows in the program is done after it.
     *
     * @param offset
     *            where, a multiple of 8
     * @return the value
     */
    public long get64Acquire(long offset) {
        try {
            return (long) LONG.getAcquire(memory, offset);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Long.BYTES, e);
        }
    }

    /**
     * Writes 8 bits; what comes before in the program is done before it.
     *
     * @param offset
     *            where
     * @param value
     *            the value
     */
    public void put8Release(long offset, byte value) {
        try {
            BYTE.setRelease(memory, offset, value);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Byte.BYTES, e);
        }
    }

    /**
     * Writes 16 bits; what comes before in the program is done before it.
     *
     * @param offset
     *            where, a multiple of 2
     * @param value
     *            the value
     */
    public void put16Release(long offset, short value) {
        try {
            SHORT.setRelease(memory, offset, value);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Short.BYTES, e);
        }
    }

    /**
     * Writes 32 bits; what comes before in the program is done before it.
     *
     * @param offset
     *            where, a multiple of 4
     * @param value
     *            the value
     */
    public void put32Release(long offset, int value) {
        try {
            INT.setRelease(memory, offset, value);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Integer.BYTES, e);
        }
    }

    /**
     * Writes 64 bits; what comes before in the program is done before it.
     *
     * @param offset
     *            where, a multiple of 8
     * @param value
     *            the value
     */
    public void put64Release(long offset, long value) {
        try {
            LONG.setRelease(memory, offset, value);
        } catch (IllegalStateException | IndexOutOfBoundsException | IllegalArgumentException e) {
            throw refused(offset, Long.BYTES, e);
        }
    }

    /** Ends the mapping, once. Waits for system calls that work on the memory. */
    @Override
    public void close() {
        views.remove(this);
        close("close() was called");
    }

    synchronized void close(String reason) {
        if (!arena.scope().isAlive()) {
            return;
        }
        closedBecause = reason;
        boolean closed = false;
        while (!closed) {
            try {
                arena.close();
                closed = true;
            } catch (IllegalStateException inUse) {
                // Of a native call, which may be long: unmapping under it would be SIGBUS, or a hole in memory.
                LockSupport.parkNanos(PAUSE_NANOS);
            }
        }
    }

    /** What it is a view of. */
    @Override
    public String toString() {
        return "view of " + name;
    }
}
