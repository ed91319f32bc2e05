package io.github.vfio4j.backend;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.vfio4j.Errno;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** Real calls to libc, on files that every Linux has. */
@EnabledOnOs(OS.LINUX)
class NativeBackendTest {

    private static final long FEATURE_IOCTL = 0x3b75;

    private final IoctlBackend backend = NativeBackend.create();

    @Test
    void otherSystemsAreRefusedWithTheAlternative() {
        assertThatThrownBy(() -> NativeBackend.create("Mac OS X", true, "ALL-UNNAMED"))
                .isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("Mac OS X")
                .hasMessageContaining("EmulatedKernel");
    }

    @Test
    void missingNativeAccessIsRefusedWithTheFlag() {
        assertThatThrownBy(() -> NativeBackend.create("Linux", false, "io.github.vfio4j"))
                .isInstanceOf(UnsupportedOperationException.class)
                .hasMessageEndingWith("--enable-native-access=io.github.vfio4j");
    }

    @Test
    void openReportsErrno() {
        assertThat(backend.open("/nonexistent/file", Fcntl.O_RDONLY)).isEqualTo(-Errno.ENOENT.code());
        assertThat(backend.open("/proc/self", Fcntl.O_WRONLY)).isEqualTo(-Errno.EISDIR.code());
    }

    @Test
    void descriptorsAreOpenedAndClosed() {
        int fd = backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        assertThat(fd).isNotNegative();
        assertThat(backend.close(fd)).isZero();
        assertThat(backend.close(fd)).isEqualTo(-Errno.EBADF.code());
    }

    @Test
    void aDescriptorThatKnowsNoIoctlSaysSo() {
        try (Arena arena = Arena.ofConfined()) {
            int fd = backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
            assertThat(backend.ioctl(fd, FEATURE_IOCTL, arena.allocate(24))).isEqualTo(-Errno.ENOTTY.code());
            assertThat(backend.ioctl(fd, FEATURE_IOCTL, MemorySegment.NULL)).isEqualTo(-Errno.ENOTTY.code());
            backend.close(fd);
        }
    }

    @Test
    void filesAreReadAndWrittenAtAPositionAndWithoutOne(@TempDir Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "abcdef");
        int fd = backend.open(file.toString(), Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(2);
            assertThat(backend.read(fd, buffer)).isEqualTo(2);
            assertThat(buffer.toArray(JAVA_BYTE)).isEqualTo(new byte[]{'a', 'b'});
            assertThat(backend.pread(fd, buffer, 4)).isEqualTo(2);
            assertThat(buffer.toArray(JAVA_BYTE)).isEqualTo(new byte[]{'e', 'f'});
            assertThat(backend.write(fd, arena.allocateFrom("X").asSlice(0, 1))).isEqualTo(1);
            assertThat(backend.pwrite(fd, arena.allocateFrom("Y").asSlice(0, 1), 5)).isEqualTo(1);
        } finally {
            backend.close(fd);
        }
        assertThat(file).hasContent("abXdeY");
    }

    @Test
    void filesAreMapped(@TempDir Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("file"), "mapped");
        int fd = backend.open(file.toString(), Fcntl.O_RDONLY | Fcntl.O_CLOEXEC);
        Arena arena = Arena.ofConfined();
        MemorySegment mapping = backend.mmap(arena, 6, Mman.PROT_READ, Mman.MAP_PRIVATE, fd, 0);
        assertThat(mapping.byteSize()).isEqualTo(6);
        assertThat(mapping.get(JAVA_BYTE, 5)).isEqualTo((byte) 'd');
        arena.close();
        assertThatIllegalStateException().isThrownBy(() -> mapping.get(JAVA_BYTE, 5));
        assertThat(Files.readString(Path.of("/proc/self/maps"))).doesNotContain(file.toString());
        assertThat(backend.close(fd)).isZero();
    }

    @Test
    void aFailedMappingIsAnErrorPointer() {
        MemorySegment mapping = backend.mmap(Arena.global(), 4096, Mman.PROT_READ, Mman.MAP_PRIVATE, -1, 0);
        assertThat(mapping.byteSize()).isZero();
        assertThat(mapping.address()).isEqualTo(-Errno.EBADF.code());
    }

    @Test
    void eventfdsCount() {
        int fd = backend.eventfd(3, Fcntl.EFD_CLOEXEC | Fcntl.EFD_NONBLOCK);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment counter = arena.allocate(JAVA_LONG);
            assertThat(backend.read(fd, counter)).isEqualTo(8);
            assertThat(counter.get(JAVA_LONG, 0)).isEqualTo(3);
            assertThat(backend.read(fd, counter)).isEqualTo(-Errno.EAGAIN.code());
        } finally {
            backend.close(fd);
        }
    }

    /** On this machine as on every one since Linux 4.14; a sandbox may refuse all of it. */
    @Test
    void theKernelSaysWhichMemoryBarriersItHas() {
        int commands = backend.membarrier(Membarrier.MEMBARRIER_CMD_QUERY);
        if (commands == -IoctlBackend.ENOSYS || commands == -1) {
            assertThat(backend.membarrier(Membarrier.MEMBARRIER_CMD_PRIVATE_EXPEDITED)).isEqualTo(commands);
            return;
        }
        assertThat(commands & Membarrier.MEMBARRIER_CMD_PRIVATE_EXPEDITED).isNotZero();
        assertThat(backend.membarrier(Membarrier.MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)).isZero();
        assertThat(backend.membarrier(Membarrier.MEMBARRIER_CMD_PRIVATE_EXPEDITED)).isZero();
        assertThat(backend.membarrier(3)).as("no single command").isEqualTo(-22);
    }

    @Test
    void linksAreRead(@TempDir Path directory) throws IOException {
        Path link = Files.createSymbolicLink(directory.resolve("link"), Path.of("some/target"));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment buffer = arena.allocate(64);
            assertThat(backend.readlink(link.toString(), buffer)).isEqualTo("some/target".length());
            assertThat(buffer.getString(0)).isEqualTo("some/target");
            assertThat(backend.readlink(directory.toString(), buffer)).isEqualTo(-Errno.EINVAL.code());
        }
    }

    @Test
    void memoryThatCantBeUsedIsRefusedBeforeTheCall() {
        int fd = backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        MemorySegment closed;
        try (Arena arena = Arena.ofConfined()) {
            closed = arena.allocate(8);
        }
        assertThatIllegalStateException().isThrownBy(() -> backend.ioctl(fd, FEATURE_IOCTL, closed));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> backend.ioctl(fd, FEATURE_IOCTL, MemorySegment.ofArray(new byte[8])));
        backend.close(fd);
    }

    @Test
    void twoThreadsEachSeeTheirOwnErrno() throws Exception {
        int calls = 1_000_000;
        int open = backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        try (ExecutorService threads = Executors.newFixedThreadPool(2)) {
            Future<Integer> inappropriate = threads.submit(failing(open, calls, Errno.ENOTTY));
            Future<Integer> bad = threads.submit(failing(-1, calls, Errno.EBADF));
            assertThat(inappropriate.get()).isZero();
            assertThat(bad.get()).isZero();
        }
        backend.close(open);
    }

    /** Counts the calls that answered with another errno than they must. */
    private Callable<Integer> failing(int fd, int calls, Errno expected) {
        return () -> {
            int wrong = 0;
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment argument = arena.allocate(8);
                for (int i = 0; i < calls; i++) {
                    wrong += backend.ioctl(fd, FEATURE_IOCTL, argument) == -expected.code() ? 0 : 1;
                }
            }
            return wrong;
        };
    }

    @Test
    void anIoctlAllocatesNothing() throws Exception {
        assertThat(FreshJvm.run(AllocationProbe.class, "--enable-native-access=ALL-UNNAMED"))
                .isEqualToIgnoringNewLines("0");
    }

    @Test
    void aJvmStartedWithoutNativeAccessIsToldTheFlag() throws Exception {
        assertThat(FreshJvm.run(OpenProbe.class)).isEqualToIgnoringNewLines(
                "Calls to libc need native access: start java with" + " --enable-native-access=ALL-UNNAMED");
    }

    @Test
    void nativeAccessIsEnoughWhereTheJvmDeniesItToOthers() throws Exception {
        String deny = Runtime.version().feature() >= 24 ? "--illegal-native-access=deny" : "-ea";
        assertThat(FreshJvm.run(OpenProbe.class, "--enable-native-access=ALL-UNNAMED", deny))
                .startsWith("native Linux ");
    }
}
