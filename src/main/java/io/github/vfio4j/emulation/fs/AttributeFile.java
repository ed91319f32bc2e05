package io.github.vfio4j.emulation.fs;

import io.github.vfio4j.Errno;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.function.Supplier;
import java.util.function.ToIntFunction;

/** An open sysfs attribute: its text is made at the first read, and every write is a request of its own. */
public final class AttributeFile extends OpenFile {

    private final String path;
    private final Supplier<String> show;
    private final ToIntFunction<String> store;
    private int position;

    /**
     * Opens an attribute.
     *
     * @param path
     *            where it is
     * @param show
     *            makes the text, without the newline
     * @param store
     *            takes a written text as it is; 0 or −errno
     */
    public AttributeFile(String path, boolean readable, boolean writable, Supplier<String> show,
            ToIntFunction<String> store) {
        super(readable, writable);
        this.path = path;
        this.show = show;
        this.store = store;
    }

    @Override
    public String toString() {
        return path;
    }

    @Override
    protected synchronized long doRead(MemorySegment buffer) {
        long read = doPread(buffer, position);
        position += (int) Math.max(0, read);
        return read;
    }

    @Override
    protected long doPread(MemorySegment buffer, long offset) {
        byte[] text = (show.get() + "\n").getBytes(StandardCharsets.US_ASCII);
        int length = (int) Math.clamp(text.length - offset, 0, buffer.byteSize());
        MemorySegment.copy(text, (int) Math.min(offset, text.length), buffer, ValueLayout.JAVA_BYTE, 0, length);
        return length;
    }

    @Override
    protected long doWrite(MemorySegment buffer) {
        byte[] text = buffer.toArray(ValueLayout.JAVA_BYTE);
        int result = text.length == 0 ? 0 : store.applyAsInt(new String(text, StandardCharsets.US_ASCII));
        return result < 0 ? result : text.length;
    }

    @Override
    protected long doPwrite(MemorySegment buffer, long offset) {
        return doWrite(buffer);
    }

    /** For attributes that can't be written. */
    public static int readOnly(String text) {
        return -Errno.EIO.code();
    }
}
