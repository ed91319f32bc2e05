package io.github.vfio4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import io.github.vfio4j.Errno;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.Iommu;
import io.github.vfio4j.PciAddress;
import io.github.vfio4j.TokenTraces;
import io.github.vfio4j.VfToken;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.FreshJvm;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.VfTokenFeature;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;

/** A VF token is in nothing that the library prints, and in no memory that it has given back. */
class SecretsTest {

    private static final PciAddress OWNER = PciAddress.parse("0000:01:00.0");
    private static final PciAddress VIRTUAL = PciAddress.parse("0000:01:00.1");

    @Test
    void nothingThatIsPrintedHasATokenInIt() throws IOException, InterruptedException {
        String printed = FreshJvm.run(TokenScenarios.class,
                List.of(CommandLine.class, JsonFactory.class, LoggerFactory.getILoggerFactory().getClass()),
                "-Dorg.slf4j.simpleLogger.defaultLogLevel=trace");
        assertThat(printed).as("everything was done, and the logger says all")
                .contains("VFIO_DEVICE_FEATURE", "INFO", "VfToken[redacted]", "\tat ", "0xdecafbad".substring(2),
                        "exit code 0", "exit code 1", "exit code 2", "exit code 3", "vf_token")
                .hasSizeGreaterThan(50_000).doesNotContain("NoClassDefFoundError");
        TokenTraces.assertNoneIn(printed, TokenScenarios.TOKENS);
    }

    /** Reads memory whether or not it is still allocated: where it is not even mapped, there is an error. */
    private static byte[] memory(long address, int length) {
        byte[] bytes = new byte[length];
        try (RandomAccessFile memory = new RandomAccessFile("/proc/self/mem", "r")) {
            memory.seek(address);
            memory.readFully(bytes);
        } catch (IOException e) {
            return new byte[length];
        }
        return bytes;
    }

    /** Whether any four bytes of the token are there, as bytes or as text. */
    private static boolean holds(byte[] memory, VfToken token) {
        String there = HexFormat.of().formatHex(memory);
        byte[] bytes = token.toBytes();
        byte[] text = token.toText().getBytes(StandardCharsets.US_ASCII);
        for (int at = 0; at + 4 <= bytes.length; at += 4) {
            if (there.contains(HexFormat.of().formatHex(bytes, at, at + 4))) {
                return true;
            }
        }
        for (int at = 0; at + 6 <= text.length; at++) {
            if (there.contains(HexFormat.of().formatHex(text, at, at + 6))) {
                return true;
            }
        }
        return false;
    }

    /** Remembers where a token has been in native memory. */
    private static final class Spy extends ForwardingBackend {

        private record Place(long address, int length) {
        }

        private final VfToken token;
        private final List<Place> places = new ArrayList<>();
        private final List<Place> left = new ArrayList<>();
        private boolean failing;

        Spy(IoctlBackend next, VfToken token) {
            super(next);
            this.token = token;
        }

        private boolean note(MemorySegment segment) {
            Place place = new Place(segment.address(), (int) segment.byteSize());
            boolean found = segment.byteSize() > 0 && segment.byteSize() < 4096
                    && holds(memory(place.address(), place.length()), token);
            if (found) {
                places.add(place);
                fillFreeList(segment.byteSize());
            }
            return found;
        }

        /**
         * What free(3) writes into memory would hide 16 bytes that were not wiped. It writes less once the thread's own list
         * of free memory of that size is full, which holds 7 with glibc.
         */
        private static void fillFreeList(long size) {
            List<Arena> arenas = Stream.generate(Arena::ofConfined).limit(16).toList();
            arenas.forEach(arena -> assertThat(arena.allocate(size).byteSize()).isEqualTo(size));
            arenas.forEach(Arena::close);
        }

        @Override
        public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            look(Stream.concat(Stream.of(argument), Stream.of(pointees)).map(MemorySegment::address).toList());
            boolean secret = note(argument);
            for (MemorySegment pointee : pointees) {
                secret |= note(pointee);
            }
            return secret && failing ? -Errno.EINTR.code() : super.ioctl(fd, request, argument, pointees);
        }

        @Override
        public int close(int fd) {
            look(List.of());
            return super.close(fd);
        }

        @Override
        public long readlink(String path, MemorySegment buffer) {
            look(List.of());
            return super.readlink(path, buffer);
        }

        /** The sooner, the less has been written over what was given back. */
        private void look(List<Long> inUseAgain) {
            places.stream().filter(place -> !inUseAgain.contains(place.address()))
                    .filter(place -> holds(memory(place.address(), place.length()), token)).forEach(left::add);
        }

        void assertWiped(int atLeast) {
            look(List.of());
            assertThat(places).as("places in which the token was seen during a call")
                    .hasSizeGreaterThanOrEqualTo(atLeast);
            assertThat(left).as("places in which it was left").isEmpty();
        }
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void nativeCopiesAreWipedBeforeTheirMemoryIsGivenBack() throws VfioException {
        VfToken token = VfToken.random();
        EmulatedProcess process = EmulatedKernel.builder(KernelProfile.LINUX_7_2.withCdev())
                .pciFunction(OWNER.toString(), function -> function.group(1).sriov(1)).build().newProcess();
        Spy spy = new Spy(process, token);
        Vfio vfio = Vfio.using(spy);
        for (boolean failing : new boolean[]{false, true, false}) {
            spy.failing = failing;
            try (VfioContainer container = vfio.openContainer(); VfioDevice owner = container.openDevice(OWNER)) {
                attempt(failing, () -> owner.vfToken().orElseThrow().set(token));
                attempt(failing, () -> owner.set(FeatureId.PCI_VF_TOKEN, VfTokenFeature.CODEC, token));
            }
            if (vfio.pciDevice(OWNER).sriovNumVfs() == 0) {
                vfio.pciDevice(OWNER).setSriovNumVfs(1);
            }
            try (VfioContainer container = vfio.openContainer()) {
                attempt(failing, () -> container.openDevice(VIRTUAL, token).close());
            }
            try (Iommu iommufd = vfio.openIommufd()) {
                attempt(failing, () -> iommufd.openDevice(VIRTUAL, token).close());
            }
        }
        spy.assertWiped(12);
    }

    private interface Step {
        void make() throws VfioException;
    }

    private static void attempt(boolean failing, Step step) throws VfioException {
        try {
            step.make();
            assertThat(failing).isFalse();
        } catch (VfioException e) {
            if (!failing || !e.is(Errno.EINTR)) {
                throw e;
            }
        }
    }
}
