package io.github.vfio4j.emulation.mdev;

import io.github.vfio4j.emulation.device.SaveStream;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What a save of mtty delivers. Its end in PRE_COPY is temporary, and still a read of 0 bytes: mtty has no ENOMSG
 * (semantics §B.8, §C.1).
 */
final class MttySaveStream implements SaveStream {

    private final ByteArrayOutputStream data = new ByteArrayOutputStream();
    private int position;

    MttySaveStream(byte[] header) {
        data.writeBytes(header);
    }

    /** Adds what is known only when the device has stopped. */
    void append(byte[] bytes) {
        data.writeBytes(bytes);
    }

    @Override
    public long read(MemorySegment buffer) {
        int length = (int) Math.min(buffer.byteSize(), data.size() - position);
        MemorySegment.copy(data.toByteArray(), position, buffer, ValueLayout.JAVA_BYTE, 0, length);
        position += length;
        return length;
    }

    @Override
    public Remaining remaining() {
        return new Remaining(data.size() - position, 0, false);
    }
}
