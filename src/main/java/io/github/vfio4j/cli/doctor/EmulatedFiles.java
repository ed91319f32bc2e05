package io.github.vfio4j.cli.doctor;

import io.github.vfio4j.Errno;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.emulation.EmulatedProcess;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.function.IntFunction;
import java.util.stream.IntStream;

/** The files of an emulated kernel, as one of its processes sees them. */
final class EmulatedFiles implements SystemFiles {

    private static final int PAGE = 4096;
    private static final String PCI_DEVICES = "/sys/bus/pci/devices";
    private static final String GROUPS = "/sys/kernel/iommu_groups";

    /** More than there are devices on any emulated machine. */
    private static final int NUMBERS = 256;

    private final EmulatedProcess process;

    EmulatedFiles(EmulatedProcess process) {
        this.process = process;
    }

    @Override
    public boolean exists(String path) {
        try (Arena arena = Arena.ofConfined()) {
            return process.readlink(path, arena.allocate(1)) != -Errno.ENOENT.code();
        }
    }

    @Override
    public Optional<String> target(String path) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PAGE);
            return text(buffer, process.readlink(path, buffer));
        }
    }

    @Override
    public Optional<String> read(String path) {
        int fd = exists(path) ? process.open(path, Fcntl.O_RDONLY) : -1;
        if (fd < 0) {
            return Optional.empty();
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(PAGE);
            return text(buffer, process.read(fd, buffer)).map(String::strip);
        } finally {
            process.close(fd);
        }
    }

    private static Optional<String> text(MemorySegment buffer, long length) {
        return length < 0
                ? Optional.empty()
                : Optional.of(new String(buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE),
                        StandardCharsets.US_ASCII));
    }

    /** An emulated process can't list a directory; the few that are of interest have names that can be tried or told. */
    @Override
    public List<String> list(String path) {
        if (path.equals(PCI_DEVICES)) {
            return functions();
        }
        if (path.equals(GROUPS)) {
            return functions().stream().map(this::group).flatMap(Optional::stream).distinct().toList();
        }
        if (path.startsWith(GROUPS + "/")) {
            return functions().stream().filter(function -> group(function)
                    .filter(number -> path.equals(GROUPS + "/" + number + "/devices")).isPresent()).toList();
        }
        return path.equals("/sys/class/iommu")
                ? existing(path, number -> "dmar" + number)
                : path.endsWith("/vfio-dev") ? existing(path, number -> "vfio" + number) : List.of();
    }

    private List<String> functions() {
        return process.kernel().pciFunctions().stream().map(Object::toString).toList();
    }

    private Optional<String> group(String function) {
        return link(PCI_DEVICES + "/" + function + "/iommu_group");
    }

    private List<String> existing(String directory, IntFunction<String> name) {
        return IntStream.range(0, NUMBERS).mapToObj(name).filter(entry -> exists(directory + "/" + entry)).toList();
    }

    @Override
    public Access access(String path) {
        int fd = process.open(path, Fcntl.O_RDWR);
        if (fd >= 0) {
            process.close(fd);
        }
        return fd == -Errno.ENOENT.code() ? Access.ABSENT : fd == -Errno.EACCES.code() ? Access.DENIED : Access.ALLOWED;
    }
}
