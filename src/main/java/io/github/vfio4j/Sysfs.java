package io.github.vfio4j;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Reads and writes sysfs through the backend, so that an emulated kernel has its own. Every attribute fits a page
 * (sysfs(5)).
 */
final class Sysfs {

    private static final int PAGE = 4096;

    /** As many as there are minor numbers. */
    private static final int MAX_VFIO_DEVICES = 1 << 20;

    private final IoctlBackend backend;

    Sysfs(IoctlBackend backend) {
        this.backend = backend;
    }

    /** The last name of the path a link points to; empty if there is no such link. */
    Optional<String> linkName(String path) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PAGE);
            long length = backend.readlink(path, buffer);
            if (length < 0) {
                return Optional.empty();
            }
            String target = text(buffer, length);
            return Optional.of(target.substring(target.lastIndexOf('/') + 1));
        }
    }

    /** Whether there is anything of this name: a link, or what is none ({@code EINVAL}). */
    boolean exists(String path) throws VfioException {
        int result = readlink(path);
        return result != -Errno.ENOENT.code()
                && (result == -Errno.EINVAL.code() || Verdict.check("readlink " + path, result) >= 0);
    }

    /** The same for messages, where another error does not matter any more. */
    boolean isThere(String path) {
        int result = readlink(path);
        return result >= 0 || result == -Errno.EINVAL.code();
    }

    private int readlink(String path) {
        try (Arena arena = Arena.ofConfined()) {
            return (int) backend.readlink(path, arena.allocate(1));
        }
    }

    /**
     * The N of a device that has a directory {@code vfio-dev/vfioN}. Instead of listing {@code vfio-dev}, which holds this
     * one name, names are tried from 0 on: listing takes a call of another kind, that nothing else here needs, and the
     * kernel gives out the lowest number that is free, so the N of a machine's devices are small.
     *
     * @param device
     *            its directory
     * @return empty if no VFIO driver has the device
     */
    OptionalInt vfioDevice(String device) throws VfioException {
        String directory = device + "/vfio-dev";
        if (exists(directory)) {
            for (int number = 0; number < MAX_VFIO_DEVICES; number++) {
                if (exists(directory + "/vfio" + number)) {
                    return OptionalInt.of(number);
                }
            }
        }
        return OptionalInt.empty();
    }

    /** The text of an attribute, without the newline. */
    String read(String path) throws VfioException {
        int fd = Verdict.check("open " + path, backend.open(path, Fcntl.O_RDONLY | Fcntl.O_CLOEXEC));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PAGE);
            int length = Verdict.check("read " + path, (int) backend.read(fd, buffer));
            return text(buffer, length).strip();
        } finally {
            backend.close(fd);
        }
    }

    /** Writes an attribute. */
    void write(String path, String value, Map<Errno, String> remedies) throws VfioException {
        int fd = Verdict.check("open " + path, backend.open(path, Fcntl.O_WRONLY | Fcntl.O_CLOEXEC), remedies);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(value);
            long written = backend.write(fd, text.asSlice(0, text.byteSize() - 1));
            Verdict.check("write " + value + " to " + path, (int) written, remedies);
        } finally {
            backend.close(fd);
        }
    }

    private static String text(MemorySegment buffer, long length) {
        return new String(buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII);
    }
}
