package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_GET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIGRATION;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIG_DATA_SIZE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_MIG_GET_PRECOPY_INFO;

import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** The calls that migrate a device, and those on the data descriptors they give out. */
record MigratingDevice(MediatedDevice device) {

    static final int STOP = 1;
    static final int RUNNING = 2;
    static final int STOP_COPY = 3;
    static final int RESUMING = 4;
    static final int RUNNING_P2P = 5;
    static final int PRE_COPY = 6;
    static final int PRE_COPY_P2P = 7;

    private static final int INFO_SIZE = 24;

    private IoctlBackend backend() {
        return device.backend();
    }

    /** Asks for everything that is only read, and returns the state. */
    int state() {
        device.feature(device.argument(VFIO_DEVICE_FEATURE_MIGRATION() | VFIO_DEVICE_FEATURE_GET(), 0, 0));
        device.feature(device.argument(VFIO_DEVICE_FEATURE_MIG_DATA_SIZE() | VFIO_DEVICE_FEATURE_GET(), 0, 0));
        MemorySegment argument = device.argument(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE() | VFIO_DEVICE_FEATURE_GET(), 42,
                42);
        device.feature(argument);
        return argument.get(ValueLayout.JAVA_INT, 8);
    }

    /** Asks for a state; the data descriptor, −1 if there is no new one. */
    int set(int state) {
        MemorySegment argument = device.argument(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE() | VFIO_DEVICE_FEATURE_SET(),
                state, 42);
        device.feature(argument);
        return argument.get(ValueLayout.JAVA_INT, 12);
    }

    /** From RUNNING to a state. */
    int resetAndSet(int state) {
        device.reset();
        return set(state);
    }

    void optIn() {
        device.feature(device.argument(VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2() | VFIO_DEVICE_FEATURE_SET()));
    }

    /** Reads once; what has come. */
    byte[] read(int fd, int length) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(length + 1L).asSlice(0, length);
            long result = backend().read(fd, buffer);
            return buffer.asSlice(0, Math.max(0, result)).toArray(ValueLayout.JAVA_BYTE);
        }
    }

    /** Reads in pieces of this size until there is no more, and once again. */
    void drain(int fd, int piece) {
        while (read(fd, piece).length > 0) {
            // The calls are compared as they are made.
        }
        read(fd, piece);
    }

    /** Writes a part of the bytes once; the result. */
    long write(int fd, byte[] bytes, int from, int to) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(to - from + 1L).asSlice(0, to - from);
            MemorySegment.copy(bytes, from, buffer, ValueLayout.JAVA_BYTE, 0, to - from);
            return backend().write(fd, buffer);
        }
    }

    long write(int fd, byte[] bytes) {
        return write(fd, bytes, 0, bytes.length);
    }

    void info(int fd, int argsz) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment info = arena.allocate(INFO_SIZE, Long.BYTES).fill((byte) 0x55);
            info.set(ValueLayout.JAVA_INT, 0, argsz);
            info.set(ValueLayout.JAVA_INT, 4, 0xdead);
            backend().ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO(), info);
        }
    }

    void info(int fd) {
        info(fd, INFO_SIZE);
    }

    /** Everything that can be tried on a data descriptor, whatever it is for and whether it still works. */
    void tryAll(int fd, int streamSize) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(8);
            for (long offset : new long[]{0, 5, -1}) {
                backend().pread(fd, buffer, offset);
                backend().pwrite(fd, buffer, offset);
            }
            backend().ioctl(fd, VFIO_DEVICE_FEATURE(), device.argument(1 << 18));
            backend().ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO(), MemorySegment.NULL);
            backend().ioctl(fd, 0x3bff, MemorySegment.NULL);
        }
        info(fd);
        read(fd, 0);
        read(fd, 10);
        for (int length : new int[]{0, 1, streamSize - 1, streamSize, streamSize + 1}) {
            write(fd, new byte[length]);
        }
        read(fd, 100);
        info(fd);
    }

    void close(int fd) {
        if (fd >= 0) {
            backend().close(fd);
        }
    }
}
