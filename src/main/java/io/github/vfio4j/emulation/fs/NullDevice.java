package io.github.vfio4j.emulation.fs;

import java.lang.foreign.MemorySegment;

/** /dev/null, which the standard descriptors of an emulated process stand for too. */
public final class NullDevice extends OpenFile {

    /** Opens it. */
    public NullDevice(boolean readable, boolean writable) {
        super(readable, writable);
    }

    @Override
    public String toString() {
        return "/dev/null";
    }

    @Override
    protected long doRead(MemorySegment buffer) {
        return 0;
    }

    @Override
    protected long doWrite(MemorySegment buffer) {
        return buffer.byteSize();
    }

    @Override
    protected long doPread(MemorySegment buffer, long offset) {
        return 0;
    }

    @Override
    protected long doPwrite(MemorySegment buffer, long offset) {
        return buffer.byteSize();
    }
}
