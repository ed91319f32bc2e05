package io.github.vfio4j.migration;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;

import io.github.vfio4j.Errno;
import io.github.vfio4j.emulation.device.DeviceFailure;
import io.github.vfio4j.emulation.device.DeviceModel;
import io.github.vfio4j.emulation.device.MigrationModel;
import io.github.vfio4j.emulation.device.ResumeStream;
import io.github.vfio4j.emulation.device.SaveStream;
import io.github.vfio4j.feature.MigrationState;
import java.io.ByteArrayOutputStream;
import java.lang.foreign.MemorySegment;
import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A device with all states and a few bytes to move, most of them in pre-copy, that ends its rounds with ENOMSG. It fails
 * once, at the place it is told to.
 */
final class FailingDevice implements DeviceModel, MigrationModel {

    static final int SIZE = 100;
    private static final int PIECE = 40;

    /** Every place the device has come by, in the order of the first time. */
    final Set<String> places = new LinkedHashSet<>();
    private byte[] contents = new byte[SIZE];
    private @Nullable String failing;
    private @Nullable DeviceFailure failure;
    private boolean stopped;

    /** Fails when it comes by there. */
    synchronized void failAt(String place, DeviceFailure how) {
        failing = place;
        failure = how;
    }

    synchronized byte[] contents() {
        return contents.clone();
    }

    synchronized void setContents(byte[] bytes) {
        contents = bytes.clone();
    }

    /** Whether it has still to fail. */
    synchronized boolean isArmed() {
        return failure != null;
    }

    private void pass(String place) throws DeviceFailure {
        places.add(place);
        DeviceFailure now = failure;
        if (now != null && place.equals(failing)) {
            failure = null;
            throw now;
        }
    }

    @Override
    public MigrationModel migration() {
        return this;
    }

    @Override
    public boolean hasP2p() {
        return true;
    }

    @Override
    public boolean hasPreCopy() {
        return true;
    }

    @Override
    public void step(MigrationState from, MigrationState to) throws DeviceFailure {
        pass(from + " to " + to);
        stopped = to == MigrationState.STOP_COPY;
    }

    @Override
    public long stopCopySize() {
        return SIZE;
    }

    @Override
    public SaveStream save() throws DeviceFailure {
        pass("save");
        return new SaveStream() {
            private int position;

            @Override
            public long read(MemorySegment buffer) throws DeviceFailure {
                pass(stopped ? "read stopped" : "read");
                int available = (stopped ? SIZE : SIZE - PIECE) - position;
                if (available == 0 && !stopped) {
                    throw new DeviceFailure(Errno.ENOMSG);
                }
                int length = (int) Math.min(Math.min(available, PIECE), buffer.byteSize());
                MemorySegment.copy(contents, position, buffer, JAVA_BYTE, 0, length);
                position += length;
                return length;
            }

            @Override
            public Remaining remaining() throws DeviceFailure {
                pass("remaining");
                return new Remaining(SIZE - PIECE - position, 0, false);
            }
        };
    }

    @Override
    public ResumeStream resume() throws DeviceFailure {
        pass("resume");
        return new ResumeStream() {
            private final ByteArrayOutputStream received = new ByteArrayOutputStream();

            @Override
            public long write(MemorySegment data) throws DeviceFailure {
                pass("write");
                received.writeBytes(data.toArray(JAVA_BYTE));
                return data.byteSize();
            }

            @Override
            public void finish() throws DeviceFailure {
                pass("finish");
                if (received.size() != SIZE) {
                    throw new DeviceFailure(Errno.EINVAL);
                }
                contents = received.toByteArray();
            }
        };
    }
}
