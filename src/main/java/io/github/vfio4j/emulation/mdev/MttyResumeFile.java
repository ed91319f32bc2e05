package io.github.vfio4j.emulation.mdev;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.fs.OpenFile;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The data descriptor of a restore: write only, with the quirks of mtty (semantics §B.8). */
final class MttyResumeFile extends OpenFile {

    private final MttyData device;
    private final byte[] stream;
    private int accepted;
    private boolean killed;

    MttyResumeFile(MttyData device) {
        super(false, true);
        this.device = device;
        stream = new byte[device.streamSize()];
    }

    /** The session is over. */
    synchronized void kill() {
        killed = true;
        accepted = 0;
    }

    /** Everything that was written, if it is enough; nothing if not. */
    synchronized byte[] received() {
        return accepted < stream.length ? new byte[0] : stream.clone();
    }

    @Override
    public String toString() {
        return "migration data of a device that resumes";
    }

    @Override
    protected boolean isPositional() {
        return false;
    }

    /** The size is looked at before anything else; the header only once, and what has been taken stays taken. */
    @Override
    protected synchronized long doWrite(MemorySegment buffer) {
        long length = buffer.byteSize();
        if (accepted + length > stream.length) {
            return -Errno.ENOMEM.code();
        }
        if (killed) {
            return -Errno.ENODEV.code();
        }
        MemorySegment.copy(buffer, ValueLayout.JAVA_BYTE, 0, stream, accepted, (int) length);
        boolean headerComplete = accepted < MttyData.HEADER_SIZE && accepted + length >= MttyData.HEADER_SIZE;
        accepted += (int) length;
        return headerComplete && !device.matches(stream) ? -Errno.EFAULT.code() : length;
    }
}
