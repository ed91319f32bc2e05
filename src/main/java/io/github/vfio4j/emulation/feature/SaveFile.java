package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.SaveStream;
import io.github.vfio4j.emulation.fs.CallContext;
import io.github.vfio4j.emulation.fs.OpenFile;
import io.github.vfio4j.emulation.fs.UserMemory;
import io.github.vfio4j.uapi.vfio_precopy_info;
import java.lang.foreign.MemorySegment;

/** The data descriptor of a save: read only, without a position to seek (semantics §C.1). */
public final class SaveFile extends OpenFile {

    private static final int GET_PRECOPY_INFO = 0x3b79;
    private static final long PRECOPY_INFO_SIZE = vfio_precopy_info.sizeof();
    private static final int REINIT = 1;

    private final Migration migration;
    private final SaveStream stream;
    private boolean ended;

    /** A file whose transfer is under way. */
    public SaveFile(Migration migration, SaveStream stream) {
        super(true, false);
        this.migration = migration;
        this.stream = stream;
    }

    /** The transfer is over: there is nothing to be had here any more. Called under the migration's lock. */
    public void end() {
        ended = true;
        stream.close();
    }

    @Override
    public String toString() {
        return "migration data of a device that saves";
    }

    @Override
    protected boolean isPositional() {
        return false;
    }

    @Override
    protected long doRead(MemorySegment buffer) {
        return migration.run(() -> {
            if (ended) {
                throw new DeviceFailure(Errno.ENODEV);
            }
            long read = stream.read(buffer);
            if (ended) { // while it waited
                throw new DeviceFailure(Errno.ENODEV);
            }
            return Transferred.check(read, buffer, stream);
        });
    }

    @Override
    public int ioctl(CallContext call, int request, MemorySegment argument) {
        if (request != GET_PRECOPY_INFO || !migration.hasPreCopy()) {
            return -Errno.ENOTTY.code();
        }
        if (!UserMemory.mapped(argument, 0, PRECOPY_INFO_SIZE)) {
            return -Errno.EFAULT.code();
        }
        if (Integer.toUnsignedLong(UserMemory.getInt(argument, vfio_precopy_info.argsz$offset())) < PRECOPY_INFO_SIZE) {
            return -Errno.EINVAL.code();
        }
        return (int) migration.run(() -> precopyInfo(argument));
    }

    private int precopyInfo(MemorySegment argument) throws DeviceFailure {
        if (!migration.isPreCopying()) {
            throw new DeviceFailure(Errno.EINVAL);
        }
        if (ended) {
            throw new DeviceFailure(Errno.ENODEV);
        }
        SaveStream.Remaining remaining = stream.remaining();
        // Who has not opted in gets back what he happened to have there.
        if (migration.isPrecopyV2()) {
            UserMemory.putInt(argument, vfio_precopy_info.flags$offset(), remaining.reinitialized() ? REINIT : 0);
        }
        UserMemory.putLong(argument, vfio_precopy_info.initial_bytes$offset(), remaining.initialBytes());
        UserMemory.putLong(argument, vfio_precopy_info.dirty_bytes$offset(), remaining.dirtyBytes());
        return 0;
    }
}
