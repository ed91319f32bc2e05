package io.github.vfio4j.emulation.feature;

import java.lang.foreign.MemorySegment;

/** How much a model says it has read or written. */
final class Transferred {

    private Transferred() {
    }

    /** The same number, unless no read or write of this buffer could end with it. */
    static long check(long bytes, MemorySegment buffer, Object stream) {
        if (bytes < 0 || bytes > buffer.byteSize()) {
            throw new IllegalStateException(stream.getClass().getName() + " says it has moved " + bytes + " bytes of "
                    + buffer.byteSize() + ". To fail, throw a DeviceFailure");
        }
        return bytes;
    }
}
