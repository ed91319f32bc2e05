package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.ResumeStream;
import io.github.vfio4j.emulation.fs.OpenFile;
import java.lang.foreign.MemorySegment;

/** The data descriptor of a restore: write only, without a position to seek. */
final class ResumeFile extends OpenFile {

    private final Migration migration;
    private final ResumeStream stream;
    private boolean ended;

    ResumeFile(Migration migration, ResumeStream stream) {
        super(false, true);
        this.migration = migration;
        this.stream = stream;
    }

    /** The device is to go on with what was written. Called under the migration's lock. */
    void finish() throws DeviceFailure {
        stream.finish();
    }

    /** The transfer is over. Called under the migration's lock. */
    void end() {
        ended = true;
        stream.close();
    }

    @Override
    public String toString() {
        return "migration data of a device that resumes";
    }

    @Override
    protected boolean isPositional() {
        return false;
    }

    @Override
    protected long doWrite(MemorySegment buffer) {
        return migration.run(() -> {
            if (ended) {
                throw new DeviceFailure(Errno.ENODEV);
            }
            long written = stream.write(buffer.asReadOnly());
            if (ended) { // while it waited
                throw new DeviceFailure(Errno.ENODEV);
            }
            return Transferred.check(written, buffer, stream);
        });
    }
}
