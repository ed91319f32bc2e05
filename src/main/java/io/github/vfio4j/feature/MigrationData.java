package io.github.vfio4j.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.uapi.vfio_h;
import io.github.vfio4j.uapi.vfio_precopy_info;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.channels.ByteChannel;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.NonReadableChannelException;
import java.nio.channels.NonWritableChannelException;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The data descriptor of a migration (semantics §C): an opaque stream that a save is read from, in the states STOP_COPY,
 * PRE_COPY and PRE_COPY_P2P, or that a restore is written to, in RESUMING. Order matters, segmentation does not.
 *
 * <p>
 * Owned by whoever has it, and to be closed. The device ends the session by itself when it leaves these states, is reset
 * or closed: {@code ENODEV} from then on. Safe for use by many threads; closing waits for calls under way, and the device
 * may make these wait.
 */
public final class MigrationData implements ByteChannel {

    /** From {@link #read(MemorySegment)}: the end, which in the pre-copy states may be temporary. */
    public static final long END = -1;

    /** From {@link #read(MemorySegment)}: all that there is for now has been read ({@code ENOMSG}; only in pre-copy). */
    public static final long TEMPORARY_END = -2;

    /** What goes through memory that the kernel can reach, where the caller's is on the heap. */
    private static final int COPIED_AT_ONCE = 64 << 10;

    private static final String OVER = "The session is over: the device has left the state to which the data belong, was"
            + " reset, or was closed";
    private static final String NOT_ITS_OWN = "The device does not take these data: they are of another kind or version of"
            + " device, damaged, or too many";
    private static final Map<Errno, String> READ_REMEDIES = Map.of(Errno.ENODEV, OVER);
    private static final Map<Errno, String> WRITE_REMEDIES = Map.of(Errno.ENODEV, OVER, Errno.ENOMEM, NOT_ITS_OWN,
            Errno.ENOSPC, NOT_ITS_OWN, Errno.EINVAL, NOT_ITS_OWN, Errno.EFAULT, NOT_ITS_OWN);
    private static final Map<Errno, String> INFO_REMEDIES = Map.of(Errno.ENODEV, OVER, Errno.EINVAL,
            "The device tells only in PRE_COPY and PRE_COPY_P2P");

    private final OwnedDescriptor descriptor;
    private final boolean resuming;
    private @Nullable MemorySegment copy;

    MigrationData(OwnedDescriptor descriptor, boolean resuming) {
        this.descriptor = descriptor;
        this.resuming = resuming;
    }

    /** A call on the descriptor. None of them captures anything: a stream is no reason to allocate. */
    private interface Call {

        Call READ = OwnedDescriptor::read;
        Call WRITE = OwnedDescriptor::write;
        Call PRECOPY_INFO = (descriptor, info) -> descriptor.ioctl(vfio_h.VFIO_MIG_GET_PRECOPY_INFO(), info);

        long make(OwnedDescriptor descriptor, MemorySegment memory);
    }

    /**
     * Reads the next data of a save. May wait for the device.
     *
     * @param target
     *            takes them: native memory, or an array, which is filled by way of some that is
     * @return bytes read, at least 1; {@link #END}; {@link #TEMPORARY_END}; 0 if the device has none yet
     *         ({@code EAGAIN}), or the target has no room
     * @throws VfioException
     *             {@code ENODEV} if the session is over, and what the device's driver answers
     * @throws NonReadableChannelException
     *             if this is a restore's
     * @throws ClosedChannelException
     *             if it is closed
     */
    public long read(MemorySegment target) throws IOException {
        if (resuming) {
            throw new NonReadableChannelException();
        }
        if (target.isReadOnly()) {
            throw new IllegalArgumentException("What is read needs memory that can be written");
        }
        if (target.byteSize() == 0) {
            return 0;
        }
        long result = target.isNative() ? call(Call.READ, target) : readByCopy(target);
        if (result > 0) {
            return result;
        }
        if (result == 0) {
            return END;
        }
        Errno errno = Errno.ofResult(result);
        if (errno.equals(Errno.ENOMSG)) {
            return TEMPORARY_END;
        }
        return nothingYet("read", errno, READ_REMEDIES);
    }

    /**
     * Reads the next data of a save.
     *
     * @param target
     *            takes them
     * @return bytes read; −1 at the end, temporary or not: in pre-copy a later read may bring more; 0 if the device has
     *         none yet, or the target has no room
     * @throws IOException
     *             as {@link #read(MemorySegment)}
     */
    @Override
    public int read(ByteBuffer target) throws IOException {
        long result = read(MemorySegment.ofBuffer(target));
        if (result < 0) {
            return -1;
        }
        target.position(target.position() + (int) result);
        return (int) result;
    }

    /**
     * Writes the next data of a restore. May wait for the device.
     *
     * @param source
     *            the data: native memory, or an array, which is copied to some that is
     * @return bytes written, perhaps not all; 0 if the device takes none yet ({@code EAGAIN}), or there are none
     * @throws VfioException
     *             {@code ENODEV} if the session is over; {@code ENOMEM}, {@code ENOSPC}, {@code EINVAL} or {@code EFAULT},
     *             depending on the driver, for more data than the device takes or not its own
     * @throws NonWritableChannelException
     *             if this is a save's
     * @throws ClosedChannelException
     *             if it is closed
     */
    public long write(MemorySegment source) throws IOException {
        if (!resuming) {
            throw new NonWritableChannelException();
        }
        if (source.byteSize() == 0) {
            return 0;
        }
        long result = source.isNative() ? call(Call.WRITE, source) : writeByCopy(source);
        return result >= 0 ? result : nothingYet("write", Errno.ofResult(result), WRITE_REMEDIES);
    }

    /**
     * Writes the next data of a restore.
     *
     * @param source
     *            the data
     * @return bytes written, perhaps not all; 0 if the device takes none yet, or there are none
     * @throws IOException
     *             as {@link #write(MemorySegment)}
     */
    @Override
    public int write(ByteBuffer source) throws IOException {
        int written = (int) write(MemorySegment.ofBuffer(source));
        source.position(source.position() + written);
        return written;
    }

    private static long nothingYet(String what, Errno errno, Map<Errno, String> remedies) throws VfioException {
        if (errno.equals(Errno.EAGAIN)) {
            return 0;
        }
        throw new VfioException(what + " migration data", errno, remedies.get(errno));
    }

    /**
     * How much there is to be read before the device is stopped ({@code VFIO_MIG_GET_PRECOPY_INFO}).
     *
     * @return the device's estimates
     * @throws VfioException
     *             {@code EINVAL} outside of PRE_COPY and PRE_COPY_P2P, {@code ENOTTY} for a restore's descriptor,
     *             {@code ENODEV} if the session is over
     * @throws ClosedChannelException
     *             if it is closed
     */
    public PrecopyInfo precopyInfo() throws IOException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = vfio_precopy_info.allocate(arena);
            vfio_precopy_info.argsz(info, (int) vfio_precopy_info.sizeof());
            long result = call(Call.PRECOPY_INFO, info);
            if (result < 0) {
                Errno errno = Errno.ofResult(result);
                throw new VfioException("VFIO_MIG_GET_PRECOPY_INFO", errno, INFO_REMEDIES.get(errno));
            }
            return new PrecopyInfo(vfio_precopy_info.initial_bytes(info), vfio_precopy_info.dirty_bytes(info),
                    (vfio_precopy_info.flags(info) & vfio_h.VFIO_PRECOPY_INFO_REINIT()) != 0);
        }
    }

    private synchronized long readByCopy(MemorySegment target) throws ClosedChannelException {
        MemorySegment part = copy(target.byteSize());
        long result = call(Call.READ, part);
        if (result > 0) {
            MemorySegment.copy(part, 0, target, 0, result);
        }
        return result;
    }

    private synchronized long writeByCopy(MemorySegment source) throws ClosedChannelException {
        MemorySegment part = copy(source.byteSize());
        return call(Call.WRITE, part.copyFrom(source.asSlice(0, part.byteSize())));
    }

    /** Only where it is needed, and only once. */
    private synchronized MemorySegment copy(long size) {
        if (copy == null) {
            copy = Arena.ofAuto().allocate(COPIED_AT_ONCE, Long.BYTES);
        }
        return copy.asSlice(0, Math.min(size, COPIED_AT_ONCE));
    }

    /** The guard of the descriptor knows best whether it is open; here a channel's own exception is expected. */
    private long call(Call call, MemorySegment memory) throws ClosedChannelException {
        try {
            return call.make(descriptor, memory);
        } catch (IllegalStateException e) {
            if (descriptor.isOpen()) {
                throw e;
            }
            ClosedChannelException closed = new ClosedChannelException();
            closed.initCause(e);
            throw closed;
        }
    }

    @Override
    public boolean isOpen() {
        return descriptor.isOpen();
    }

    /**
     * Closes the descriptor, once. The device stays in its state.
     *
     * @throws VfioException
     *             if close(2) reports an error; the descriptor is gone all the same
     */
    @Override
    public void close() throws VfioException {
        descriptor.close();
    }
}
