package io.github.vfio4j;

import io.github.vfio4j.feature.IovaRange;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * Memory that devices of an {@link Iommu} reach by DMA, from when it is mapped until it is unmapped here or the Iommu is
 * closed. Safe for use by many threads.
 */
public final class DmaMapping implements AutoCloseable {

    /** What has become of it. */
    enum State {
        /** Devices reach it. */
        MAPPED,
        /** The kernel has unmapped it, and its owner has not. */
        LOST,
        /** It is over. */
        UNMAPPED
    }

    private final DmaSpace space;
    private final IovaRange range;
    private final MemorySegment memory;
    private final DmaDirection direction;
    private final @Nullable Arena arena;

    /** Guarded by the space. */
    private State state = State.MAPPED;

    /**
     * What has just been mapped.
     *
     * @param arena
     *            that of the memory, if it goes with the mapping
     */
    DmaMapping(DmaSpace space, IovaRange range, MemorySegment memory, DmaDirection direction, @Nullable Arena arena) {
        this.space = space;
        this.range = range;
        this.memory = memory;
        this.direction = direction;
        this.arena = arena;
    }

    /**
     * Where devices find it.
     *
     * @return the first of its I/O virtual addresses
     */
    public long iova() {
        return range.iova();
    }

    /**
     * How long it is.
     *
     * @return bytes, a multiple of the page size
     */
    public long byteSize() {
        return range.length();
    }

    /**
     * Where devices find it, first and last address.
     *
     * @return its I/O virtual addresses
     */
    public IovaRange range() {
        return range;
    }

    /**
     * The memory itself: the caller's own, or what {@link Iommu#allocate} has allocated. The latter can be used until the
     * mapping is closed; later use is an {@link IllegalStateException}.
     *
     * @return a segment of {@link #byteSize()} bytes
     */
    public MemorySegment memory() {
        return memory;
    }

    /**
     * What devices may do with it.
     *
     * @return the direction it was mapped for
     */
    public DmaDirection direction() {
        return direction;
    }

    /**
     * Whether devices reach it.
     *
     * @return false once it is unmapped, or its container has lost its IOMMU with its last group
     */
    public boolean isMapped() {
        return space.isMapped(this);
    }

    /**
     * Ends the mapping. When it returns, no device reaches the memory any more; the memory stays.
     *
     * @throws VfioException
     *             if the kernel refuses; it is still mapped then
     * @throws IllegalStateException
     *             if it has been unmapped already, by this method, by {@link #close} or with its Iommu
     */
    public void unmap() throws VfioException {
        space.unmap(this);
    }

    /**
     * Ends the mapping, if it is not over yet, and frees the memory if {@link Iommu#allocate} has allocated it.
     *
     * @throws VfioException
     *             if the kernel refuses to unmap it, which is still mapped then and not freed; or if a call on another thread
     *             is just using the memory that is to be freed: close it again afterwards
     */
    @Override
    public void close() throws VfioException {
        space.close(this);
    }

    State state() {
        return state;
    }

    void become(State next) {
        state = next;
    }

    /** Frees the memory that goes with it, once no device reaches it any more. */
    void freeMemory() {
        if (arena != null && arena.scope().isAlive()) {
            arena.close();
        }
    }

    /** Whether somebody has freed the memory under the devices. */
    boolean isMemoryGone() {
        return !memory.scope().isAlive();
    }

    /** Where it is and for what. */
    @Override
    public String toString() {
        return "DMA mapping " + range + " " + direction;
    }
}
