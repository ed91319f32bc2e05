package io.github.vfio4j.trace;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.NotModelledException;
import io.github.vfio4j.trace.Call.Buffer;
import io.github.vfio4j.trace.Call.Fd;
import io.github.vfio4j.trace.Call.Place;
import io.github.vfio4j.trace.Call.Pointee;
import io.github.vfio4j.trace.Call.Value;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One run through a transcript: which descriptor has which name so far, and what was answered otherwise. */
final class ReplaySession implements AutoCloseable {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;

    /** A descriptor no process ever has: what a name stands for whose descriptor is closed or was never given out. */
    private static final int NEVER_OPEN = Integer.MAX_VALUE;
    /** Input, output and errors of this process are never the transcript's. */
    private static final int LAST_STANDARD_DESCRIPTOR = 2;
    private static final long PAGE = 4096;

    private final IoctlBackend backend;
    private final Consumer<Duration> pause;
    private final UserMemory memory;
    private final TokenDisguise disguise = new TokenDisguise();
    private final Map<String, Integer> descriptors = new HashMap<>();
    private final Map<String, FileKind> kinds = new HashMap<>();
    /** Those to be closed at the end. */
    private final Set<Integer> open = new LinkedHashSet<>();
    private final List<Divergence> divergences = new ArrayList<>();

    ReplaySession(IoctlBackend backend, boolean emulated, Consumer<Duration> pause) {
        this.backend = backend;
        this.pause = pause;
        memory = new UserMemory(emulated);
    }

    List<Divergence> divergences() {
        return divergences;
    }

    /** Makes a call and compares its answer. */
    void make(Call call) {
        if (call.line().pauseMillis() > 0) {
            pause.accept(Duration.ofMillis(call.line().pauseMillis()));
        }
        try (Arena arena = Arena.ofConfined()) {
            Comparison comparison = new Comparison();
            long result = switch (call) {
                case Call.Open opening -> opened(opening.as(), FileKind.ofPath(opening.path()),
                        backend.open(opening.path(), opening.flags()));
                case Call.EventFd eventFd ->
                    opened(eventFd.as(), FileKind.EVENTFD, backend.eventfd(eventFd.value(), eventFd.flags()));
                case Call.Close close -> close(close.fd());
                case Call.Ioctl ioctl -> ioctl(arena, ioctl, comparison);
                case Call.Read read -> read(arena, read, comparison);
                case Call.Write write -> write(write.fd(), copy(arena, write.data(), 0), write.offset());
                case Call.SysfsWrite sysfs -> writeSysfs(arena, sysfs);
            };
            if (!matches(call, result) || comparison.differs()) {
                diverged(call, comparison.expected(CallWords.results(call.line().results())),
                        comparison.actual(CallWords.result(result)));
            }
        } catch (NotModelledException | KernelHazardException e) {
            diverged(call, CallWords.results(call.line().results()), "not made: " + e.getMessage());
        }
    }

    private static boolean matches(Call call, long result) {
        return call.line().results().stream()
                .anyMatch(expected -> expected == Call.NEW_DESCRIPTOR ? result >= 0 : expected == result);
    }

    private void diverged(Call call, String expected, String actual) {
        FileKind kind = call instanceof Call.Ioctl ioctl ? kind(ioctl.fd()) : FileKind.FILE;
        divergences.add(new Divergence(call.line().number(), CallWords.of(call, kind), expected, actual));
    }

    private FileKind kind(Fd fd) {
        return fd.name() == null ? FileKind.FILE : kinds.getOrDefault(fd.name(), FileKind.FILE);
    }

    private int number(Fd fd) {
        return fd.name() == null ? fd.number() : number(fd.name());
    }

    private int number(String name) {
        return descriptors.getOrDefault(name, NEVER_OPEN);
    }

    /** A call that returns a descriptor has returned. */
    private int opened(@Nullable String as, FileKind kind, int result) {
        if (result >= 0) {
            if (result > LAST_STANDARD_DESCRIPTOR) {
                open.add(result);
            }
            if (as != null) {
                descriptors.put(as, result);
                kinds.put(as, kind);
            }
        }
        return result;
    }

    private int close(Fd fd) {
        int number = number(fd);
        int result = backend.close(number);
        if (result >= 0) {
            open.remove(number);
            descriptors.values().removeIf(bound -> bound == number);
        }
        return result;
    }

    private long read(Arena arena, Call.Read read, Comparison comparison) {
        MemorySegment buffer = arena.allocate(Math.max(1, read.length())).asSlice(0, read.length());
        int fd = number(read.fd());
        long result = read.offset() == null ? backend.read(fd, buffer) : backend.pread(fd, buffer, read.offset());
        MemorySegment expected = read.data();
        if (expected != null && result >= 0) {
            // Where they differ in length, the result does, too.
            long length = Math.min(result, expected.byteSize());
            comparison.bytes("", expected.asSlice(0, length), buffer.asSlice(0, length));
        }
        return result;
    }

    private long write(Fd fd, MemorySegment data, @Nullable Long offset) {
        return offset == null ? backend.write(number(fd), data) : backend.pwrite(number(fd), data, offset);
    }

    private long writeSysfs(Arena arena, Call.SysfsWrite sysfs) {
        int fd = backend.open(sysfs.path(), Fcntl.O_WRONLY | Fcntl.O_CLOEXEC);
        if (fd < 0) {
            return fd;
        }
        byte[] text = sysfs.value().getBytes(StandardCharsets.UTF_8);
        long written = backend.write(fd, copy(arena, MemorySegment.ofArray(text), 0));
        backend.close(fd);
        return Math.min(0, written);
    }

    /** Native memory with these bytes, at a place in the page. */
    private static MemorySegment copy(Arena arena, MemorySegment bytes, long offsetInPage) {
        long size = bytes.byteSize();
        return arena.allocate(offsetInPage + Math.max(1, size), offsetInPage == 0 && size == 0 ? 1 : PAGE)
                .asSlice(offsetInPage, size).copyFrom(bytes);
    }

    private long ioctl(Arena arena, Call.Ioctl ioctl, Comparison comparison) {
        FileKind kind = kind(ioctl.fd());
        int result;
        MemorySegment argument;
        switch (ioctl.argument()) {
            case Value value -> {
                argument = MemorySegment.ofAddress(value.value());
                result = backend.ioctl(number(ioctl.fd()), ioctl.request(), argument);
            }
            case Buffer buffer -> {
                argument = memory.ofSize(arena, buffer.mapped());
                List<MemorySegment> pointees = lay(arena, buffer, argument);
                result = backend.ioctl(number(ioctl.fd()), ioctl.request(), argument,
                        pointees.toArray(MemorySegment[]::new));
                compare(ioctl, kind, result, argument, pointees, comparison);
            }
        }
        FileKind returned = Requests.descriptorReturned(kind, ioctl.request(), argument);
        boolean expected = ioctl.line().results().contains(Call.NEW_DESCRIPTOR);
        return returned == null && !expected
                ? result
                : opened(ioctl.as(), returned == null ? FileKind.FILE : returned, result);
    }

    /** Fills the argument, and what it points to. */
    private List<MemorySegment> lay(Arena arena, Buffer buffer, MemorySegment argument) {
        argument.copyFrom(buffer.before().asSlice(0, buffer.mapped()));
        for (Place place : buffer.fds()) {
            if (isReachable(place.offset(), Integer.BYTES, argument)) {
                argument.set(INT, place.offset(), number(place.name()));
            }
        }
        List<MemorySegment> pointees = new ArrayList<>();
        for (Pointee pointee : buffer.pointees()) {
            // The pointer's place in the page is part of the call; the rest of the address is not.
            long offsetInPage = buffer.before().get(LONG, pointee.offset()) & PAGE - 1;
            MemorySegment target = copy(arena, pointee.before(), offsetInPage);
            pointees.add(target);
            if (isReachable(pointee.offset(), Long.BYTES, argument)) {
                argument.set(LONG, pointee.offset(), target.address());
            }
        }
        return pointees;
    }

    private static boolean isReachable(int offset, int size, MemorySegment argument) {
        return offset + size <= argument.byteSize();
    }

    private void compare(Call.Ioctl ioctl, FileKind kind, int result, MemorySegment argument,
            List<MemorySegment> pointees, Comparison comparison) {
        Buffer buffer = (Buffer) ioctl.argument();
        MemorySegment expected = heapCopy(buffer.after().asSlice(0, argument.byteSize()));
        MemorySegment actual = heapCopy(argument);
        for (int i = 0; i < pointees.size(); i++) {
            Pointee pointee = buffer.pointees().get(i);
            if (isReachable(pointee.offset(), Long.BYTES, argument)) {
                comparePointer(pointee.offset(), pointees.get(i).address(), buffer, actual, comparison);
            }
            MemorySegment memoryExpected = heapCopy(pointee.after());
            MemorySegment memoryActual = heapCopy(pointees.get(i));
            disguise.disguisePointee(ioctl.request(), pointee.offset(), memoryExpected);
            disguise.disguisePointee(ioctl.request(), pointee.offset(), memoryActual);
            comparison.bytes("behind the pointer at " + pointee.offset() + " ", memoryExpected, memoryActual);
        }
        for (Place place : buffer.fds()) {
            if (isReachable(place.offset(), Integer.BYTES, argument)) {
                compareStanding(place.offset(), Integer.BYTES, "descriptor " + place.name(),
                        actual.get(INT, place.offset()) == number(place.name()), buffer, actual, comparison);
            }
        }
        for (Place place : buffer.outFds()) {
            if (isReachable(place.offset(), Integer.BYTES, argument)) {
                compareDescriptor(place, argument.get(INT, place.offset()), comparison);
                actual.set(INT, place.offset(), expected.get(INT, place.offset()));
            }
        }
        ownUnexpected(ioctl, kind, result, argument);
        disguise.disguise(ioctl.request(), expected);
        disguise.disguise(ioctl.request(), actual);
        comparison.bytes("", expected, actual);
    }

    /**
     * As a whole, or by halves where the transcript says that something was written over one of them. What a transcript
     * shows of a half is the same whether it stands or was written over by just that: either will do.
     */
    private static void comparePointer(int offset, long address, Buffer buffer, MemorySegment actual,
            Comparison comparison) {
        if (buffer.before().get(LONG, offset) == buffer.after().get(LONG, offset)) {
            compareStanding(offset, Long.BYTES, "the pointer", actual.get(LONG, offset) == address, buffer, actual,
                    comparison);
            return;
        }
        for (int half = 0; half < Long.BYTES; half += Integer.BYTES) {
            if (buffer.before().get(INT, offset + half) == buffer.after().get(INT, offset + half)) {
                compareStanding(offset + half, Integer.BYTES, "half of the pointer",
                        actual.get(INT, offset + half) == (int) (address >>> (half * Byte.SIZE))
                                || actual.get(INT, offset + half) == buffer.after().get(INT, offset + half),
                        buffer, actual, comparison);
            }
        }
    }

    /**
     * A pointer or a descriptor that still stands where it was is the same on every machine, whatever its number. Where
     * the transcript has the same bytes before and after, it is to stand there.
     */
    private static void compareStanding(int offset, int size, String what, boolean stands, Buffer buffer,
            MemorySegment actual, Comparison comparison) {
        MemorySegment before = buffer.before().asSlice(offset, size);
        if (!stands && before.mismatch(buffer.after().asSlice(offset, size)) < 0) {
            String number = size == Integer.BYTES
                    ? Integer.toString(actual.get(INT, offset))
                    : "0x" + Long.toHexString(actual.get(LONG, offset));
            comparison.add("at " + offset + " " + what, "at " + offset + " " + number);
            stands = true;
        }
        if (stands) {
            actual.asSlice(offset, size).copyFrom(before);
        }
    }

    /** A descriptor that a call has written: a known one, or a new one that gets its name now. */
    private void compareDescriptor(Place place, int written, Comparison comparison) {
        Integer known = descriptors.get(place.name());
        if (known == null && written >= 0) {
            opened(place.name(), FileKind.MIGRATION_DATA, written);
        } else if (known == null || known != written) {
            comparison.add("at " + place.offset() + " descriptor " + place.name(),
                    "at " + place.offset() + " " + written);
        }
    }

    /** A descriptor the transcript knows nothing of has to be closed all the same. */
    private void ownUnexpected(Call.Ioctl ioctl, FileKind kind, int result, MemorySegment argument) {
        int at = result < 0 ? -1 : Requests.descriptorOut(kind, ioctl.request(), argument);
        if (at >= 0) {
            opened(null, FileKind.MIGRATION_DATA, argument.get(INT, at));
        }
    }

    private static MemorySegment heapCopy(MemorySegment memory) {
        return MemorySegment.ofArray(memory.toArray(ValueLayout.JAVA_BYTE));
    }

    /** Closes what the transcript has left open. */
    @Override
    public void close() {
        memory.close();
        open.forEach(backend::close);
    }
}
