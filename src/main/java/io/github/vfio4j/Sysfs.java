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
    Optional<String> linkName(String path) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PAGE);
            long length = backend.readlink(path, buffer);
            if (length == -Errno.ENOENT.code() || length == -Errno.EINVAL.code()) {
                return Optional.empty();
            }
            String target = text(buffer, Verdict.check("readlink " + path, (int) length));
            return Optional.of(target.substring(target.lastIndexOf('/') + 1));
        }
    }

    /** The same for a link whose name ends with a number, or has one for a name. */
    OptionalInt linkNumber(String path) throws VfioException {
        Optional<String> name = linkName(path);
        return name.isEmpty() ? OptionalInt.empty() : OptionalInt.of(number(path, name.get()));
    }

    /** The same for a link to a PCI function. */
    Optional<PciAddress> linkAddress(String path) throws VfioException {
        Optional<String> name = linkName(path);
        try {
            return name.map(PciAddress::parse);
        } catch (IllegalArgumentException e) {
            throw malformed("readlink " + path, name.orElse(""), "an address");
        }
    }

    /** Whether there is anything of this name: a link, or what is none ({@code EINVAL}). */
    boolean exists(String path) throws VfioException {
        try (Arena arena = Arena.ofConfined()) {
            int result = (int) backend.readlink(path, arena.allocate(1));
            return result != -Errno.ENOENT.code()
                    && (result == -Errno.EINVAL.code() || Verdict.check("readlink " + path, result) >= 0);
        }
    }

    private static int number(String path, String text) throws VfioException {
        if (!text.matches("[0-9]{1,9}")) {
            throw malformed("read " + path, text, "a number");
        }
        return Integer.parseInt(text);
    }

    private static VfioException malformed(String operation, String text, String expected) {
        return new VfioException(operation, null,
                "The kernel's answer is malformed: '" + text.replaceAll("[^ -~]", "?") + "' is not " + expected);
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

    /** An attribute that is a number from 0 on. */
    int readNumber(String path) throws VfioException {
        return number(path, read(path));
    }

    /**
     * The text of an attribute, without the newline. It ends with one; where a read has brought less, another brings the
     * rest.
     */
    String read(String path) throws VfioException {
        int fd = Verdict.check("open " + path, backend.open(path, Fcntl.O_RDONLY | Fcntl.O_CLOEXEC));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PAGE);
            long length = 0;
            long read = 1;
            while (read > 0 && length < PAGE && !endsWithNewline(buffer, length)) {
                read = Verdict.check("read " + path, (int) backend.read(fd, buffer.asSlice(length)));
                length += read;
            }
            return text(buffer, length).strip();
        } finally {
            backend.close(fd);
        }
    }

    private static boolean endsWithNewline(MemorySegment buffer, long length) {
        return length > 0 && buffer.get(ValueLayout.JAVA_BYTE, length - 1) == '\n';
    }

    /** Writes an attribute, which takes it in one piece. */
    void write(String path, String value, Map<Errno, String> remedies) throws VfioException {
        int fd = Verdict.check("open " + path, backend.open(path, Fcntl.O_WRONLY | Fcntl.O_CLOEXEC), remedies);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment text = arena.allocateFrom(value);
            long written = backend.write(fd, text.asSlice(0, text.byteSize() - 1));
            String operation = "write " + value + " to " + path;
            Verdict.check(operation, (int) written, remedies);
            if (written != value.length()) {
                throw new VfioException(operation, null,
                        "The kernel has taken " + written + " of the " + value.length() + " characters");
            }
        } finally {
            backend.close(fd);
        }
    }

    private static String text(MemorySegment buffer, long length) {
        return new String(buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII);
    }
}
