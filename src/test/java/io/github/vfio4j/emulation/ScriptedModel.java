package io.github.vfio4j.emulation;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.emulation.device.ResumeStream;
import io.github.vfio4j.emulation.device.SaveStream;
import io.github.vfio4j.feature.MigrationState;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A migratable device that notes what it is told to do and fails where a test says. Its stream has 8 bytes in each
 * direction.
 */
class ScriptedModel implements DeviceModel, MigrationModel {

    /** In the order of the states' numbers; 0 is ERROR. */
    static final String STATES = "-SRCEPAB";

    private static final int SIZE = 8;

    final StringBuilder log = new StringBuilder();
    private final int flags;
    private final Map<String, DeviceFailure> failures = new HashMap<>();
    @Nullable
    Stream stream;

    /** What it is capable of: STOP_COPY 1, P2P 2, PRE_COPY 4. */
    ScriptedModel(int flags) {
        this.flags = flags;
    }

    /** From now on this fails: a step as the letter of the state it leads to, anything else by its name. */
    ScriptedModel failing(String what, DeviceFailure failure) {
        failures.put(what, failure);
        return this;
    }

    ScriptedModel failing(String what, Errno errno) {
        return failing(what, new DeviceFailure(errno));
    }

    void failNoMore() {
        failures.clear();
    }

    /** What it has noted since it was last asked. */
    String takeLog() {
        String taken = log.toString();
        log.setLength(0);
        return taken;
    }

    private void failIfToldTo(String what) throws DeviceFailure {
        DeviceFailure failure = failures.get(what);
        if (failure != null) {
            throw failure;
        }
    }

    @Override
    public MigrationModel migration() {
        return this;
    }

    @Override
    public boolean hasP2p() {
        return (flags & 2) != 0;
    }

    @Override
    public boolean hasPreCopy() {
        return (flags & 4) != 0;
    }

    @Override
    public void reset() throws DeviceFailure {
        failIfToldTo("reset");
    }

    @Override
    public void check() throws DeviceFailure {
        failIfToldTo("check");
    }

    @Override
    public void step(MigrationState from, MigrationState to) throws DeviceFailure {
        failIfToldTo(STATES.substring(to.value(), to.value() + 1));
        log.append(STATES.charAt(to.value()));
    }

    @Override
    public SaveStream save() throws DeviceFailure {
        failIfToldTo("save");
        Stream created = new Stream();
        stream = created;
        return created;
    }

    @Override
    public ResumeStream resume() throws DeviceFailure {
        failIfToldTo("resume");
        Stream created = new Stream();
        stream = created;
        return created;
    }

    @Override
    public long stopCopySize() throws DeviceFailure {
        failIfToldTo("size");
        return 0x1_0000_0001L;
    }

    /** Either direction. */
    final class Stream implements SaveStream, ResumeStream {

        private long moved;
        int closings;

        @Override
        public long read(MemorySegment buffer) throws DeviceFailure {
            failIfToldTo("read");
            long length = Math.min(SIZE - moved, buffer.byteSize());
            moved += length;
            return length;
        }

        @Override
        public Remaining remaining() throws DeviceFailure {
            failIfToldTo("remaining");
            return new Remaining(SIZE - moved, 0x2_0000_0002L, true);
        }

        @Override
        public long write(MemorySegment data) throws DeviceFailure {
            failIfToldTo("write");
            long length = Math.min(SIZE - moved, data.byteSize());
            moved += length;
            return length;
        }

        @Override
        public void finish() throws DeviceFailure {
            failIfToldTo("finish");
        }

        @Override
        public void close() {
            closings++;
        }
    }
}
