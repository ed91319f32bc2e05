package io.github.vfio4j.trace;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.trace.Call.Buffer;
import io.github.vfio4j.trace.Call.Fd;
import io.github.vfio4j.trace.Call.Line;
import io.github.vfio4j.trace.Call.Place;
import io.github.vfio4j.trace.Call.Pointee;
import io.github.vfio4j.trace.Call.Value;
import java.io.IOException;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Writes a transcript of every call that is made through it, and hands the call on to another backend.
 *
 * <p>
 * A line is written when its call returns. Descriptors are given names. VF tokens are secrets and stay out of the
 * transcript: each is replaced by a stand-in, the same one every time, so that the calls are answered alike when they are
 * made again. Addresses stay out of it, too, but for their place in the page. What a pointer points to is known of the
 * pointees a caller passes along only. readlink(2), mmap(2) and poll(2) have no place in the format: they are handed on
 * and not recorded.
 *
 * <p>
 * Safe for use by many threads. A failure to write the transcript does not disturb the calls; {@link #close()} reports it.
 */
public final class RecordingBackend implements IoctlBackend, AutoCloseable {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final long OFFSET_IN_PAGE = 4095;

    /** Shorter pauses make no difference to any kernel that was measured (semantics §B.3). */
    private static final long SHORTEST_PAUSE_NANOS = 100_000;

    /** What a descriptor is called. */
    private record Named(String name, FileKind kind) {
    }

    private final IoctlBackend next;
    private final LongSupplier nanoTime;
    private final TranscriptWriter out;
    private final TokenDisguise disguise = new TokenDisguise();
    /** By number. A closed one keeps its name until the number is given out again. */
    private final Map<Integer, Named> names = new HashMap<>();
    private final Map<FileKind, Integer> counts = new EnumMap<>(FileKind.class);
    private long lastReturn;

    /**
     * Starts a transcript.
     *
     * @param next
     *            where the calls go
     * @param environment
     *            the machine {@code next} runs on, the transcript's first line
     * @param out
     *            where the transcript goes, a line at a time; closed with this
     */
    public RecordingBackend(IoctlBackend next, Environment environment, Writer out) {
        this.next = next;
        nanoTime = next instanceof EmulatedProcess process ? process.kernel()::nanoTime : System::nanoTime;
        this.out = new TranscriptWriter(out);
        this.out.write(environment);
        lastReturn = nanoTime.getAsLong();
    }

    /** How long nothing has happened; 0 where that makes no difference. */
    private synchronized int pauseMillis() {
        long pause = nanoTime.getAsLong() - lastReturn;
        return pause < SHORTEST_PAUSE_NANOS
                ? 0
                : (int) Math.min(Integer.MAX_VALUE, Math.ceilDiv(pause, TimeUnit.MILLISECONDS.toNanos(1)));
    }

    private synchronized @Nullable Named named(int fd) {
        return names.get(fd);
    }

    private Fd fd(int fd) {
        Named name = named(fd);
        return name == null ? Fd.number(fd) : Fd.named(name.name());
    }

    /** Gives a new descriptor a name. */
    private synchronized String name(int fd, FileKind kind) {
        String name = kind.toString() + (counts.merge(kind, 1, Integer::sum) - 1);
        names.put(fd, new Named(name, kind));
        return name;
    }

    private synchronized void write(Call call) {
        out.write(call);
        lastReturn = nanoTime.getAsLong();
    }

    private static Line line(int pauseMillis, long result) {
        return new Line(0, pauseMillis, List.of(result));
    }

    private static Line opened(int pauseMillis, int result) {
        return line(pauseMillis, result < 0 ? result : Call.NEW_DESCRIPTOR);
    }

    @Override
    public int open(String path, int flags) {
        int pause = pauseMillis();
        int result = next.open(path, flags);
        synchronized (this) {
            String as = result < 0 ? null : name(result, FileKind.ofPath(path));
            write(new Call.Open(opened(pause, result), as, path, flags));
        }
        return result;
    }

    @Override
    public int eventfd(int initialValue, int flags) {
        int pause = pauseMillis();
        int result = next.eventfd(initialValue, flags);
        synchronized (this) {
            String as = result < 0 ? null : name(result, FileKind.EVENTFD);
            write(new Call.EventFd(opened(pause, result), as, initialValue, flags));
        }
        return result;
    }

    @Override
    public int close(int fd) {
        // Asked before: once it is closed, another thread may get the number.
        Fd name = fd(fd);
        int pause = pauseMillis();
        int result = next.close(fd);
        write(new Call.Close(line(pause, result), name));
        return result;
    }

    @Override
    public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        Named on = named(fd);
        FileKind kind = on == null ? FileKind.FILE : on.kind();
        Fd name = fd(fd);
        if (argument.byteSize() == 0) {
            int pause = pauseMillis();
            int result = next.ioctl(fd, request, argument, pointees);
            write(new Call.Ioctl(line(pause, result), null, name, request, new Value(argument.address())));
            return result;
        }
        RecordedArgument recorded = new RecordedArgument(kind, request, argument, pointees);
        int pause = pauseMillis();
        int result = next.ioctl(fd, request, argument, pointees);
        synchronized (this) {
            FileKind returned = result < 0 ? null : Requests.descriptorReturned(kind, request, argument);
            String as = returned == null ? null : name(result, returned);
            write(new Call.Ioctl(as == null ? line(pause, result) : opened(pause, result), as, name, request,
                    recorded.toBuffer(result)));
        }
        return result;
    }

    /** The argument of an ioctl as it was before the call, on its way to what a transcript holds of it. */
    private final class RecordedArgument {

        private final FileKind kind;
        private final long request;
        private final MemorySegment argument;
        private final MemorySegment before;
        private final List<Place> fds = new ArrayList<>();
        private final List<Reference> references = new ArrayList<>();

        /** A pointer in the argument, the memory it points to, and what that held before the call. */
        private record Reference(int offset, MemorySegment memory, MemorySegment before) {
        }

        RecordedArgument(FileKind kind, long request, MemorySegment argument, MemorySegment... pointees) {
            this.kind = kind;
            this.request = request;
            this.argument = argument;
            before = copy(argument);
            int[] descriptors = Requests.descriptorsIn(kind, request, before);
            for (int offset : descriptors) {
                Named standing = named(before.get(INT, offset));
                if (standing != null) {
                    fds.add(new Place(offset, standing.name()));
                }
            }
            if (pointees.length > 0) {
                for (int offset = 0; offset + Long.BYTES <= before.byteSize(); offset += Long.BYTES) {
                    // What the kernel takes for a descriptor is none of our pointers: its very bits decide the answer.
                    if (!isOneWithin(descriptors, offset)) {
                        addReference(offset, pointees);
                    }
                }
            }
        }

        private static boolean isOneWithin(int[] descriptors, int offset) {
            return IntStream.of(descriptors).anyMatch(at -> at >= offset && at < offset + Long.BYTES);
        }

        private void addReference(int offset, MemorySegment... pointees) {
            long pointer = before.get(LONG, offset);
            for (MemorySegment pointee : pointees) {
                long into = pointer - pointee.address();
                if (into >= 0 && into < pointee.byteSize()) {
                    MemorySegment memory = pointee.asSlice(into, used(pointee.byteSize() - into));
                    references.add(new Reference(offset, memory, copy(memory)));
                    return;
                }
            }
        }

        /** Memory to be mapped for DMA is large, and what is not mapped of it does not matter. */
        private long used(long available) {
            long wanted = Requests.mappedSize(kind, request, before).orElse(available);
            return Long.compareUnsigned(wanted, available) < 0 ? wanted : available;
        }

        Buffer toBuffer(int result) {
            MemorySegment after = copy(argument);
            List<Place> outFds = new ArrayList<>();
            int written = result < 0 ? -1 : Requests.descriptorOut(kind, request, after);
            if (written >= 0) {
                outFds.add(new Place(written, name(after.get(INT, written), FileKind.MIGRATION_DATA)));
                after.set(INT, written, 0);
            }
            for (Place place : fds) {
                if (after.get(INT, place.offset()) == before.get(INT, place.offset())) {
                    after.set(INT, place.offset(), 0);
                }
                before.set(INT, place.offset(), 0);
            }
            List<Pointee> pointees = new ArrayList<>();
            for (Reference reference : references) {
                long pointer = before.get(LONG, reference.offset());
                long shown = pointer & OFFSET_IN_PAGE;
                // By halves: what the kernel has written over one of them may leave the other.
                for (int half = 0; half < Long.BYTES; half += Integer.BYTES) {
                    if (after.get(INT, reference.offset() + half) == (int) (pointer >>> (half * Byte.SIZE))) {
                        after.set(INT, reference.offset() + half, (int) (shown >>> (half * Byte.SIZE)));
                    }
                }
                before.set(LONG, reference.offset(), shown);
                MemorySegment memoryAfter = copy(reference.memory());
                disguise.disguisePointee(request, reference.offset(), reference.before());
                disguise.disguisePointee(request, reference.offset(), memoryAfter);
                pointees.add(new Pointee(reference.offset(), reference.before(), memoryAfter));
            }
            disguise.disguise(request, before);
            disguise.disguise(request, after);
            return new Buffer(before, after, (int) before.byteSize(), fds, outFds, pointees);
        }
    }

    private static MemorySegment copy(MemorySegment memory) {
        return MemorySegment.ofArray(memory.toArray(ValueLayout.JAVA_BYTE));
    }

    @Override
    public long read(int fd, MemorySegment buffer) {
        Fd name = fd(fd);
        int pause = pauseMillis();
        return recordRead(pause, name, buffer, null, next.read(fd, buffer));
    }

    @Override
    public long pread(int fd, MemorySegment buffer, long offset) {
        Fd name = fd(fd);
        int pause = pauseMillis();
        return recordRead(pause, name, buffer, offset, next.pread(fd, buffer, offset));
    }

    private long recordRead(int pause, Fd fd, MemorySegment buffer, @Nullable Long offset, long result) {
        MemorySegment data = result <= 0 ? null : copy(buffer.asSlice(0, result));
        write(new Call.Read(line(pause, result), fd, Math.toIntExact(buffer.byteSize()), data, offset));
        return result;
    }

    @Override
    public long write(int fd, MemorySegment buffer) {
        Fd name = fd(fd);
        int pause = pauseMillis();
        return recordWrite(pause, name, buffer, null, next.write(fd, buffer));
    }

    @Override
    public long pwrite(int fd, MemorySegment buffer, long offset) {
        Fd name = fd(fd);
        int pause = pauseMillis();
        return recordWrite(pause, name, buffer, offset, next.pwrite(fd, buffer, offset));
    }

    private long recordWrite(int pause, Fd fd, MemorySegment buffer, @Nullable Long offset, long result) {
        write(new Call.Write(line(pause, result), fd, copy(buffer), offset));
        return result;
    }

    @Override
    public MemorySegment mmap(Arena arena, long length, int protection, int flags, int fd, long offset) {
        return next.mmap(arena, length, protection, flags, fd, offset);
    }

    @Override
    public int poll(int[] fds, short[] events, int timeoutMillis) {
        return next.poll(fds, events, timeoutMillis);
    }

    @Override
    public long readlink(String path, MemorySegment buffer) {
        return next.readlink(path, buffer);
    }

    /**
     * Ends the transcript. The backend behind this is left as it is, and further calls still go there, unrecorded.
     *
     * @throws IOException
     *             if not all of it could be written
     */
    @Override
    public void close() throws IOException {
        out.close();
    }

    /** The backend the calls go to, in words. */
    @Override
    public String toString() {
        return next.toString();
    }
}
