package io.github.vfio4j.emulation.mdev;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The data descriptor of a save: read only, without a position to seek. Its end in PRE_COPY is temporary, and still a
 * read of 0 bytes: mtty has no ENOMSG (semantics §B.8, §C.1).
 */
final class MttySaveFile extends OpenFile {

    private static final int PRECOPY_INFO_SIZE = 24;
    private static final int GET_PRECOPY_INFO = 0x3b79;

    private final MttyMigration migration;
    private final ByteArrayOutputStream data = new ByteArrayOutputStream();
    private int position;
    private boolean killed;

    MttySaveFile(MttyMigration migration, byte[] header) {
        super(true, false);
        this.migration = migration;
        data.writeBytes(header);
    }

    /** Adds what is known only when the device has stopped. */
    synchronized void append(byte[] bytes) {
        data.writeBytes(bytes);
    }

    /** The session is over: there is nothing to be had here any more. */
    synchronized void kill() {
        killed = true;
        data.reset();
        position = 0;
    }

    @Override
    protected boolean isPositional() {
        return false;
    }

    @Override
    protected synchronized long doRead(MemorySegment buffer) {
        if (killed) {
            return -Errno.ENODEV.code();
        }
        int length = (int) Math.min(buffer.byteSize(), data.size() - position);
        MemorySegment.copy(data.toByteArray(), position, buffer, ValueLayout.JAVA_BYTE, 0, length);
        position += length;
        return length;
    }

    @Override
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        if (request != GET_PRECOPY_INFO) {
            return -Errno.ENOTTY.code();
        }
        if (!UserMemory.mapped(argument, 0, PRECOPY_INFO_SIZE)) {
            return -Errno.EFAULT.code();
        }
        if (Integer.compareUnsigned(UserMemory.getInt(argument, 0), PRECOPY_INFO_SIZE) < 0) {
            return -Errno.EINVAL.code();
        }
        return migration.precopyInfo(this, argument);
    }

    /** The rest of the ioctl, once the device's state has been found right. */
    synchronized int precopyInfo(MemorySegment argument, boolean version2) {
        if (killed) {
            return -Errno.ENODEV.code();
        }
        if (version2) {
            UserMemory.putInt(argument, 4, 0);
        }
        UserMemory.putLong(argument, 8, data.size() - position);
        UserMemory.putLong(argument, 16, 0);
        return 0;
    }
}
