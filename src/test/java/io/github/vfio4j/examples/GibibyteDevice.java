package io.github.vfio4j.examples;

import static io.github.vfio4j.feature.MigrationState.PRE_COPY;
import static io.github.vfio4j.feature.MigrationState.RUNNING;
import static java.lang.foreign.ValueLayout.JAVA_LONG_UNALIGNED;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.emulation.device.ResumeStream;
import io.github.vfio4j.emulation.device.SaveStream;
import io.github.vfio4j.feature.MigrationState;
import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.CRC32C;

/**
 * How to model a device: one with 1 GiB of memory that migrates with pre-copy.
 *
 * <p>
 * The memory is not there. What a page holds is computed from its number and from how often the device has written to it,
 * and only that is kept, for pages that have been written to. In the stream a page is its number and its contents; a
 * restore believes no page whose contents are not what they have to be.
 */
class GibibyteDevice implements DeviceModel, MigrationModel {

    static final int PAGE_SIZE = 4096;
    static final int PAGES = 1 << 18;
    /** A page in the stream. */
    static final int RECORD_SIZE = Long.BYTES + PAGE_SIZE;

    private final MemorySegment scratch = MemorySegment.ofArray(new byte[PAGE_SIZE]);
    private Map<Integer, Long> writes = new HashMap<>();
    private final BitSet writtenSinceSent = new BitSet();
    private boolean active = true;

    /** The device works: it writes to a page of its memory. A test calls this from outside, so it takes the monitor. */
    synchronized void write(int page) {
        if (!active) {
            throw new IllegalStateException("a stopped device writes nothing");
        }
        writes.merge(page, 1L, Long::sum);
        writtenSinceSent.set(page);
    }

    /** A checksum of all of the memory. */
    synchronized long digest() {
        CRC32C digest = new CRC32C();
        for (int page = 0; page < PAGES; page++) {
            fill(scratch, page, writes.getOrDefault(page, 0L));
            digest.update(scratch.asByteBuffer());
        }
        return digest.getValue();
    }

    /** What a page holds: how often it was written to, then words that depend on that and on the page. */
    private static void fill(MemorySegment memory, int page, long writes) {
        memory.set(JAVA_LONG_UNALIGNED, 0, writes);
        long word = (page + (writes << 32)) * 0x9e37_79b9_7f4a_7c15L;
        for (int offset = Long.BYTES; offset < PAGE_SIZE; offset += Long.BYTES) {
            word = word * 0xd134_2543_de82_ef95L + 1;
            memory.set(JAVA_LONG_UNALIGNED, offset, word);
        }
    }

    @Override
    public MigrationModel migration() {
        return this;
    }

    @Override
    public boolean hasPreCopy() {
        return true;
    }

    /** The only thing that the states mean to this device is whether it works. */
    @Override
    public void step(MigrationState from, MigrationState to) throws DeviceFailure {
        active = to == RUNNING || to == PRE_COPY;
    }

    @Override
    public void reset() {
        active = true;
    }

    @Override
    public long stopCopySize() {
        return (long) PAGES * RECORD_SIZE;
    }

    @Override
    public SaveStream save() {
        writtenSinceSent.clear();
        return new Save();
    }

    @Override
    public ResumeStream resume() {
        return new Restore();
    }

    /** Sends every page once, and again those that were written to since. */
    private final class Save implements SaveStream {

        private final MemorySegment record = MemorySegment.ofArray(new byte[RECORD_SIZE]);
        private int sent = RECORD_SIZE;
        private int firstRound;

        @Override
        public long read(MemorySegment buffer) throws DeviceFailure {
            long read = 0;
            while (read < buffer.byteSize() && (sent < RECORD_SIZE || next())) {
                long length = Math.min(buffer.byteSize() - read, RECORD_SIZE - sent);
                MemorySegment.copy(record, sent, buffer, read, length);
                sent += (int) length;
                read += length;
            }
            if (read == 0 && active) {
                throw new DeviceFailure(Errno.ENOMSG); // The end so far: the device may go on writing.
            }
            return read;
        }

        private boolean next() {
            int page = firstRound < PAGES ? firstRound++ : writtenSinceSent.nextSetBit(0);
            if (page < 0) {
                return false;
            }
            writtenSinceSent.clear(page);
            record.set(JAVA_LONG_UNALIGNED, 0, page);
            fill(record.asSlice(Long.BYTES), page, writes.getOrDefault(page, 0L));
            sent = 0;
            return true;
        }

        @Override
        public Remaining remaining() {
            long initial = (long) (PAGES - firstRound) * RECORD_SIZE;
            long dirty = (long) writtenSinceSent.get(0, firstRound).cardinality() * RECORD_SIZE;
            return new Remaining(initial, dirty + RECORD_SIZE - sent, false);
        }
    }

    /** Takes pages, the last of each, and makes them the device's memory when all are there. */
    private final class Restore implements ResumeStream {

        private final MemorySegment record = MemorySegment.ofArray(new byte[RECORD_SIZE]);
        private final Map<Integer, Long> received = new HashMap<>();
        private final BitSet pages = new BitSet();
        private int filled;

        @Override
        public long write(MemorySegment data) throws DeviceFailure {
            for (long taken = 0; taken < data.byteSize();) {
                long length = Math.min(data.byteSize() - taken, RECORD_SIZE - filled);
                MemorySegment.copy(data, taken, record, filled, length);
                filled += (int) length;
                taken += length;
                if (filled == RECORD_SIZE) {
                    take();
                }
            }
            return data.byteSize();
        }

        private void take() throws DeviceFailure {
            int page = (int) record.get(JAVA_LONG_UNALIGNED, 0);
            MemorySegment contents = record.asSlice(Long.BYTES);
            long count = contents.get(JAVA_LONG_UNALIGNED, 0);
            fill(scratch, page, count);
            if (page < 0 || page >= PAGES || scratch.mismatch(contents) != -1) {
                throw DeviceFailure.fatal(Errno.EIO); // Whoever sends such a stream can't go on with it.
            }
            pages.set(page);
            if (count > 0) {
                received.put(page, count);
            }
            filled = 0;
        }

        @Override
        public void finish() throws DeviceFailure {
            if (pages.cardinality() < PAGES || filled > 0) {
                throw new DeviceFailure(Errno.EINVAL);
            }
            writes = received;
        }
    }
}
