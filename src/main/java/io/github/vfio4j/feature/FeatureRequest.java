package io.github.vfio4j.feature;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_PROBE;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.uapi.vfio_device_feature;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One {@code VFIO_DEVICE_FEATURE} request, laid out in one segment as {@code struct vfio_device_feature} wants it:
 * {@code argsz} and {@code flags}, 4 bytes each, then the feature's data.
 *
 * <p>
 * A request is made once and may be sent any number of times, with its {@linkplain #put data} rewritten in between;
 * sending it allocates nothing. It lives as long as the arena it was allocated in. Not safe for use by several threads
 * at once: they would write the same bytes.
 *
 * {@snippet file="io/github/vfio4j/examples/guide/Snippets.java" region="request"}
 */
public final class FeatureRequest {

    /** Bytes before the data. */
    private static final long HEADER = vfio_device_feature.sizeof();

    /** More than any feature takes, and the most that is certain to fit argsz and a signed size. */
    private static final long MAX_PAYLOAD = Integer.MAX_VALUE - HEADER;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

    private final MemorySegment segment;
    private final boolean raw;
    private MemorySegment[] pointees = IoctlBackend.NO_POINTEES;

    private FeatureRequest(MemorySegment segment, boolean raw) {
        this.segment = segment;
        this.raw = raw;
    }

    /**
     * Starts a request for a feature.
     *
     * @param feature
     *            known or not
     * @return a builder that has no operation yet
     */
    public static Builder of(FeatureId feature) {
        return new Builder(feature);
    }

    /**
     * The raw lane: sends these bytes as they are, whatever they say. For conformance work, where malformed headers and
     * lengths are the point; nothing is checked or written here.
     *
     * @param bytes
     *            native memory; its size is what the kernel may touch, which may be less than a header
     * @return a request over that very segment
     */
    public static FeatureRequest raw(MemorySegment bytes) {
        return new FeatureRequest(bytes, true);
    }

    /**
     * The bytes that go to the kernel.
     *
     * @return the segment itself, header included
     */
    public MemorySegment segment() {
        return segment;
    }

    /**
     * The data behind the header, where the kernel reads and writes.
     *
     * @return a slice of {@link #segment}; empty if the request carries no data
     */
    public MemorySegment payload() {
        return segment.asSlice(Math.min(HEADER, segment.byteSize()));
    }

    /**
     * Lays a value out in the data.
     *
     * @param codec
     *            how it stands there
     * @param value
     *            the value
     * @param <T>
     *            its type
     * @return this request
     * @throws IllegalArgumentException
     *             if the value takes more room than the request has; nothing is written then
     */
    public <T> FeatureRequest put(PayloadCodec<T> codec, T value) {
        long needed = codec.byteSize(value);
        long room = segment.byteSize() - HEADER;
        if (needed > room) {
            throw new IllegalArgumentException(
                    "This value takes " + needed + " bytes, but the " + describe() + " request has room for " + room
                            + ": allocate it with payload(codec, value) or payloadSize(" + needed + ")");
        }
        codec.encode(value, payload());
        return this;
    }

    /**
     * Reads a value from the data.
     *
     * @param codec
     *            how it stands there
     * @param <T>
     *            its type
     * @return the value
     */
    public <T> T get(PayloadCodec<T> codec) {
        return codec.decode(payload());
    }

    /**
     * Names the memory to which the data holds pointers, such as the bitmap of {@link FeatureId#DMA_LOGGING_REPORT}, in
     * place of what was named before. The pointers themselves are part of the data. An emulated kernel reaches no memory
     * but this; the real one follows the pointers by itself, so the memory must stay open until the call has returned.
     *
     * @param memory
     *            native memory; the kernel may touch all of it
     * @return this request
     * @throws IllegalArgumentException
     *             if some of it is on the heap, where it has no address
     */
    public FeatureRequest pointees(MemorySegment... memory) {
        for (MemorySegment pointee : memory) {
            if (!pointee.isNative()) {
                throw new IllegalArgumentException(
                        "A pointer in a feature request leads to native memory: allocate it in an Arena");
            }
        }
        pointees = memory.clone();
        return this;
    }

    /**
     * The memory to which the data holds pointers.
     *
     * @return the segments themselves; none for most requests
     */
    public MemorySegment[] pointees() {
        return pointees.length == 0 ? pointees : pointees.clone();
    }

    /**
     * Whether everything the kernel would touch is still there.
     *
     * @return false once an arena that it needs is closed
     */
    public boolean isAlive() {
        boolean alive = segment.scope().isAlive();
        for (MemorySegment pointee : pointees) {
            alive &= pointee.scope().isAlive();
        }
        return alive;
    }

    /** Overwrites the data with zeros, as is right for a secret that has been sent. */
    public void clearPayload() {
        payload().fill((byte) 0);
    }

    /**
     * The feature that {@code flags} names.
     *
     * @return its index and name; feature 0 for a raw request too short to have flags
     */
    public FeatureId feature() {
        return FeatureId.of(flags() & VFIO_DEVICE_FEATURE_MASK());
    }

    /**
     * The {@code flags} word as it stands in the header.
     *
     * @return index in bits 0‥15, GET in bit 16, SET in bit 17, PROBE in bit 18
     */
    public int flags() {
        return headerWord(vfio_device_feature.flags$offset());
    }

    /**
     * The {@code argsz} word as it stands in the header.
     *
     * @return bytes, unsigned
     */
    public int argsz() {
        return headerWord(vfio_device_feature.argsz$offset());
    }

    private int headerWord(long offset) {
        return segment.byteSize() < HEADER ? 0 : segment.get(INT, offset);
    }

    /**
     * Operations and feature in words.
     *
     * @return for example {@code PROBE|SET PCI_VF_TOKEN}
     */
    public String describe() {
        StringBuilder words = new StringBuilder();
        int flags = flags();
        append(words, (flags & VFIO_DEVICE_FEATURE_PROBE()) != 0, "PROBE");
        for (FeatureOperation operation : FeatureOperation.values()) {
            append(words, (flags & operation.flag()) != 0, operation.name());
        }
        return words.append(words.isEmpty() ? "no operation on " : " ").append(feature().name()).toString();
    }

    private static void append(StringBuilder words, boolean present, String word) {
        if (present) {
            words.append(words.isEmpty() ? "" : "|").append(word);
        }
    }

    /** Feature, operations and argsz in words; never the data. */
    @Override
    public String toString() {
        if (!segment.scope().isAlive()) {
            return "FeatureRequest[memory closed]";
        }
        String size = ", argsz " + Integer.toUnsignedString(argsz());
        return "FeatureRequest[" + (raw ? "raw, " + segment.byteSize() + " bytes, " : "") + describe() + size + "]";
    }

    /** Collects what a request is to say. Each part is checked when the request is allocated. */
    public static final class Builder {

        private final FeatureId feature;
        private boolean probe;
        private final Set<FeatureOperation> operations = EnumSet.noneOf(FeatureOperation.class);
        private long payloadSize = -1;
        private @Nullable Payload<?> payload;

        private Builder(FeatureId feature) {
            this.feature = feature;
        }

        /**
         * Ask whether the feature exists; with {@link #get} or {@link #set} also whether it has these operations.
         * Nothing is read from or written to the device.
         *
         * @return this builder
         */
        public Builder probe() {
            probe = true;
            return this;
        }

        /**
         * Read the feature's data; after {@link #probe}, ask whether that is possible.
         *
         * @return this builder
         */
        public Builder get() {
            return operation(FeatureOperation.GET);
        }

        /**
         * Hand over the feature's data; after {@link #probe}, ask whether that is possible.
         *
         * @return this builder
         */
        public Builder set() {
            return operation(FeatureOperation.SET);
        }

        /**
         * As {@link #get} or {@link #set}.
         *
         * @param operation
         *            which
         * @return this builder
         */
        public Builder operation(FeatureOperation operation) {
            operations.add(operation);
            return this;
        }

        /**
         * How much data follows the header, where it is not the feature's minimum.
         *
         * @param bytes
         *            size of the data
         * @return this builder
         * @throws IllegalArgumentException
         *             if it is negative or argsz can't say it
         */
        public Builder payloadSize(long bytes) {
            if (bytes < 0 || bytes > MAX_PAYLOAD) {
                throw new IllegalArgumentException(
                        "A request carries 0 to " + MAX_PAYLOAD + " bytes of data, not " + bytes);
            }
            payloadSize = bytes;
            return this;
        }

        /**
         * The data itself; its size is that of the value.
         *
         * @param codec
         *            how the value stands in the data
         * @param value
         *            the value
         * @param <T>
         *            its type
         * @return this builder
         */
        public <T> Builder payload(PayloadCodec<T> codec, T value) {
            payload = new Payload<>(codec, value);
            return payloadSize(codec.byteSize(value));
        }

        /**
         * Checks the request and lays it out.
         *
         * @param allocator
         *            where the bytes are to be: an arena, as long as which the request lives, or memory of the caller's
         *            through {@link SegmentAllocator#prefixAllocator}
         * @return the request, its data all zero where no payload was given
         * @throws IllegalStateException
         *             if no operation, or GET and SET together without PROBE, were asked for, or the arena is closed
         * @throws IllegalArgumentException
         *             if there is less data than the feature needs, or the memory is on the heap, not aligned to 8 bytes
         *             or too small
         */
        public FeatureRequest allocate(SegmentAllocator allocator) {
            if (!probe && operations.isEmpty()) {
                throw new IllegalStateException("A request for " + feature
                        + " must say what to do: call probe(), get() or set() before allocate()");
            }
            if (!probe && operations.size() > 1) {
                throw new IllegalStateException("GET and SET of " + feature
                        + " are two requests: the kernel takes both flags together only with PROBE. Call probe() too, or"
                        + " allocate one request for each");
            }
            if (allocator instanceof Arena arena && !arena.scope().isAlive()) {
                throw new IllegalStateException("The arena for this " + feature
                        + " request is closed: allocate it in one that lives as long as the request is used");
            }
            int minimum = probe ? 0 : feature.minimumPayload();
            long size = payloadSize < 0 ? minimum : payloadSize;
            if (size < minimum) {
                throw new IllegalArgumentException(feature + " needs at least " + minimum + " bytes of data, not "
                        + size + ": pass a larger payloadSize, or none to get the minimum");
            }
            MemorySegment segment = bytes(allocator, HEADER + size).fill((byte) 0);
            int flags = feature.index() | (probe ? VFIO_DEVICE_FEATURE_PROBE() : 0);
            for (FeatureOperation operation : operations) {
                flags |= operation.flag();
            }
            vfio_device_feature.argsz(segment, Math.toIntExact(segment.byteSize()));
            vfio_device_feature.flags(segment, flags);
            FeatureRequest request = new FeatureRequest(segment, false);
            if (payload != null) {
                payload.putInto(request);
            }
            return request;
        }
    }

    private static MemorySegment bytes(SegmentAllocator allocator, long size) {
        MemorySegment segment;
        try {
            segment = allocator.allocate(size, Long.BYTES);
        } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
            throw new IllegalArgumentException(needs(size), e);
        }
        if (!segment.isNative()) {
            throw new IllegalArgumentException(needs(size));
        }
        return segment;
    }

    private static String needs(long size) {
        return "This request needs " + size + " bytes of native memory, aligned to 8, where the kernel can reach it:"
                + " allocate it in an Arena, or in a larger segment of one";
    }

    private record Payload<T>(PayloadCodec<T> codec, T value) {
        void putInto(FeatureRequest request) {
            request.put(codec, value);
        }
    }
}
