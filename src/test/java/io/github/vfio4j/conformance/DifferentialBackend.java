package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.iommufd_h.IOMMU_DESTROY;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_ATTACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_DETACH_IOMMUFD_PT;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MASK;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE_SET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_PCI_HOT_RESET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_PCI_HOT_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_SET_IRQS;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_MAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IOMMU_UNMAP_DMA;
import static io.github.vfio4j.uapi.vfio_h.VFIO_IRQ_SET_DATA_EVENTFD;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.Mman;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * Makes every call on two backends, the real kernel and the emulated one, and compares what each answers and writes. The
 * program above sees the real kernel's answer. Whatever program runs on this is a comparison.
 *
 * <p>
 * Descriptors have different numbers on both sides; they are translated where a call is made on one and where the
 * argument holds one.
 */
final class DifferentialBackend implements IoctlBackend {

    /** Where the data of VFIO_DEVICE_SET_IRQS begin. */
    private static final long IRQ_SET_DATA = 20;
    private static final long HOT_RESET_GROUPS = 12;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

    private final IoctlBackend real;
    private final IoctlBackend emulated;
    private final Map<Integer, Integer> descriptors = new HashMap<>();
    /** What /proc/self says is about this process, which is none of the emulated kernel's. */
    private final Set<Integer> aboutThisProcess = new HashSet<>();
    private final List<String> divergences = new ArrayList<>();
    private long calls;
    /** Those of devices, on which some numbers are other requests than on containers. */
    private final Set<Integer> devices = new HashSet<>();
    private @Nullable Runnable afterReal;
    private boolean dataCompared = true;

    DifferentialBackend(IoctlBackend real, IoctlBackend emulated) {
        this.real = real;
        this.emulated = emulated;
    }

    /** Both, to do something on each that is not to be compared. */
    List<IoctlBackend> kernels() {
        return List.of(real, emulated);
    }

    /** How many calls have been compared. */
    long calls() {
        return calls;
    }

    /** Every difference so far, in words. */
    List<String> divergences() {
        return divergences;
    }

    /** A descriptor the emulated kernel has for one of the real kernel; a number it never gave out stays as it is. */
    int translate(int fd) {
        return descriptors.getOrDefault(fd, fd);
    }

    private void compare(String call, Object realAnswer, Object emulatedAnswer) {
        compare(() -> call, realAnswer, emulatedAnswer);
    }

    private void compare(Supplier<String> call, Object realAnswer, Object emulatedAnswer) {
        calls++;
        if (!realAnswer.equals(emulatedAnswer)) {
            divergences.add(call.get() + ": the real kernel " + realAnswer + ", the emulated kernel " + emulatedAnswer);
        }
    }

    /** Two results of a call that gives out a descriptor: alike if both do, or both fail alike. */
    private int newDescriptor(String call, int realResult, int emulatedResult) {
        compare(call, realResult < 0 ? realResult : "a descriptor",
                emulatedResult < 0 ? emulatedResult : "a descriptor");
        if (realResult >= 0 && emulatedResult >= 0) {
            descriptors.put(realResult, emulatedResult);
        }
        return realResult;
    }

    @Override
    public synchronized int open(String path, int flags) {
        if (path.startsWith("/proc/self/")) {
            int fd = real.open(path, flags);
            aboutThisProcess.add(fd);
            return fd;
        }
        int fd = newDescriptor("open " + path, real.open(path, flags), emulated.open(path, flags));
        if (path.startsWith("/dev/vfio/devices/")) {
            devices.add(fd);
        }
        return fd;
    }

    @Override
    public synchronized int close(int fd) {
        int realResult = real.close(fd);
        if (aboutThisProcess.remove(fd)) {
            return realResult;
        }
        compare("close", realResult, emulated.close(translate(fd)));
        descriptors.remove(fd);
        devices.remove(fd);
        return realResult;
    }

    /**
     * The emulated kernel is asked first: what a real one would not survive it refuses, and then the real one is not asked.
     * What depends on the real kernel's timing is to be {@linkplain #followingTheRealKernel the other way round}.
     */
    @Override
    public synchronized int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = argument;
            if (argument.byteSize() > 0) {
                copy = arena.allocate(argument.byteSize(), Long.BYTES).copyFrom(argument);
                for (long at : descriptorOffsets(devices.contains(fd), request, argument)) {
                    copy.set(INT, at, translate(copy.get(INT, at)));
                }
            }
            MemorySegment before = copyOf(arena, argument);
            MemorySegment emulatedBefore = copyOf(arena, copy);
            List<MemorySegment> pointeesBefore = copies(arena, pointees);
            // The pointers in the argument are the same on both sides: so is the memory, one side after the other.
            int realResult;
            int emulatedResult;
            String realMemory;
            String emulatedMemory;
            Runnable between = afterReal;
            if (between == null) {
                emulatedResult = emulated.ioctl(translate(fd), request, copy, pointees);
                emulatedMemory = changes(pointeesBefore, pointees);
                restore(pointeesBefore, pointees);
                realResult = real.ioctl(fd, request, argument, pointees);
                realMemory = changes(pointeesBefore, pointees);
            } else {
                realResult = real.ioctl(fd, request, argument, pointees);
                realMemory = changes(pointeesBefore, pointees);
                between.run();
                List<MemorySegment> pointeesAfter = copies(arena, pointees);
                restore(pointeesBefore, pointees);
                emulatedResult = emulated.ioctl(translate(fd), request, copy, pointees);
                emulatedMemory = changes(pointeesBefore, pointees);
                restore(pointeesAfter, pointees);
            }
            if (realResult == 0 && emulatedResult == 0) {
                adoptDescriptor(request, argument, copy);
            }
            String realBytes = changes(before, argument) + realMemory;
            String emulatedBytes = changes(emulatedBefore, copy) + emulatedMemory;
            boolean descriptor = realResult > 0 && emulatedResult > 0 && request != 0x3b65;
            if (descriptor) {
                descriptors.put(realResult, emulatedResult);
                if (request == VFIO_GROUP_GET_DEVICE_FD()) {
                    devices.add(realResult);
                }
            }
            Supplier<String> call = () -> "ioctl " + describe(request, before);
            if (descriptor) {
                compare(call, "a descriptor " + realBytes, "a descriptor " + emulatedBytes);
            } else {
                compare(call, realResult + " " + realBytes, emulatedResult + " " + emulatedBytes);
            }
            return realResult;
        }
    }

    /**
     * Makes calls on the real kernel first, so that what happens on the emulated one can be made to depend on it.
     *
     * @param between
     *            what is to be done after each call on the real kernel and before that on the emulated one
     */
    synchronized <T> T followingTheRealKernel(Runnable between, Supplier<T> calls) {
        afterReal = between;
        try {
            return calls.get();
        } finally {
            afterReal = null;
        }
    }

    /** What has been seen to differ otherwise than in the answer to a call. */
    synchronized void compareState(String what, Object onReal, Object onEmulated) {
        compare(what, onReal, onEmulated);
        calls--;
    }

    private static MemorySegment copyOf(Arena arena, MemorySegment argument) {
        return arena.allocate(Math.max(1, argument.byteSize())).asSlice(0, argument.byteSize()).copyFrom(argument);
    }

    private static String changes(MemorySegment before, MemorySegment after) {
        return before.mismatch(after) < 0 ? "" : KernelFact.changes(before, after);
    }

    private static List<MemorySegment> copies(Arena arena, MemorySegment... pointees) {
        List<MemorySegment> copies = new ArrayList<>();
        for (MemorySegment pointee : pointees) {
            copies.add(arena.allocate(pointee.byteSize()).copyFrom(pointee));
        }
        return copies;
    }

    private static void restore(List<MemorySegment> copies, MemorySegment... pointees) {
        for (int i = 0; i < pointees.length; i++) {
            if (!pointees[i].isReadOnly()) {
                pointees[i].copyFrom(copies.get(i));
            }
        }
    }

    private static String changes(List<MemorySegment> before, MemorySegment... pointees) {
        StringBuilder changes = new StringBuilder();
        for (int i = 0; i < pointees.length; i++) {
            // Most of it is large, and only pointed to.
            if (before.get(i).mismatch(pointees[i]) >= 0) {
                changes.append(" memory ").append(i).append(": ")
                        .append(KernelFact.changes(before.get(i), pointees[i]));
            }
        }
        return changes.toString();
    }

    /** Where in the argument descriptors stand. */
    private static long[] descriptorOffsets(boolean ofDevice, long request, MemorySegment argument) {
        if (request == VFIO_GROUP_SET_CONTAINER()) {
            return new long[]{0};
        }
        long size = argument.byteSize();
        if (request == VFIO_DEVICE_BIND_IOMMUFD() && size >= 12) {
            return new long[]{8};
        }
        int flags = size < 8 ? 0 : argument.get(INT, 4);
        if (request == VFIO_DEVICE_SET_IRQS() && (flags & VFIO_IRQ_SET_DATA_EVENTFD()) != 0) {
            return LongStream.iterate(IRQ_SET_DATA, at -> at + Integer.BYTES <= size, at -> at + Integer.BYTES)
                    .toArray();
        }
        if (ofDevice && request == VFIO_DEVICE_PCI_HOT_RESET() && size >= HOT_RESET_GROUPS) {
            long count = Math.min(Integer.toUnsignedLong(argument.get(INT, 8)),
                    (size - HOT_RESET_GROUPS) / Integer.BYTES);
            return LongStream.range(0, count).map(i -> HOT_RESET_GROUPS + i * Integer.BYTES).toArray();
        }
        boolean wakeup = request == VFIO_DEVICE_FEATURE() && size >= 12
                && (flags & VFIO_DEVICE_FEATURE_MASK()) == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP();
        return wakeup ? new long[]{8} : new long[0];
    }

    /** A descriptor that a call has written into its argument: alike if both kernels have. */
    private void adoptDescriptor(long request, MemorySegment argument, MemorySegment copy) {
        boolean stateSet = request == VFIO_DEVICE_FEATURE() && argument.byteSize() >= 16
                && argument.get(INT, 4) == (VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE() | VFIO_DEVICE_FEATURE_SET());
        if (stateSet) {
            int realFd = argument.get(INT, 12);
            int emulatedFd = copy.get(INT, 12);
            if (realFd >= 0 && emulatedFd >= 0) {
                descriptors.put(realFd, emulatedFd);
                copy.set(INT, 12, realFd);
            }
        }
    }

    /** The call in words that hold no token: the header of a feature request, the name of a device. */
    private static String describe(long request, MemorySegment argument) {
        String number = "0x" + Long.toHexString(request);
        if (request == VFIO_DEVICE_FEATURE() && argument.byteSize() >= 8) {
            return number + String.format(" argsz %s flags %#x", Integer.toUnsignedString(argument.get(INT, 0)),
                    argument.get(INT, 4));
        }
        if (argument.byteSize() == 0) {
            return number + " " + argument.address();
        }
        boolean isInformative = request >= IOMMU_DESTROY() || request == VFIO_IOMMU_MAP_DMA()
                || request == VFIO_IOMMU_UNMAP_DMA() || request == VFIO_DEVICE_BIND_IOMMUFD()
                || request == VFIO_DEVICE_ATTACH_IOMMUFD_PT() || request == VFIO_DEVICE_DETACH_IOMMUFD_PT()
                || request == VFIO_DEVICE_GET_PCI_HOT_RESET_INFO()
                || (request >= VFIO_DEVICE_GET_INFO() && request <= VFIO_DEVICE_SET_IRQS());
        return isInformative ? number + words(argument) : number;
    }

    private static String words(MemorySegment argument) {
        StringBuilder words = new StringBuilder();
        for (long at = 0; at + Integer.BYTES <= argument.byteSize(); at += Integer.BYTES) {
            words.append(' ').append(Integer.toHexString(argument.get(INT, at)));
        }
        return words.toString();
    }

    /**
     * Makes calls of which what is read is the device's own business: only how much of it there is is compared.
     *
     * @param calls
     *            reads and writes
     */
    synchronized void withoutData(Runnable calls) {
        dataCompared = false;
        try {
            calls.run();
        } finally {
            dataCompared = true;
        }
    }

    private long both(String call, MemorySegment buffer, Function<MemorySegment, Long> onReal,
            Function<MemorySegment, Long> onEmulated) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(Math.max(1, buffer.byteSize())).asSlice(0, buffer.byteSize())
                    .copyFrom(buffer);
            Runnable between = afterReal;
            long emulatedResult = 0;
            if (between == null) {
                emulatedResult = onEmulated.apply(copy);
            }
            long realResult = onReal.apply(buffer);
            if (between != null) {
                between.run();
                emulatedResult = onEmulated.apply(copy);
            }
            if (dataCompared) {
                compare(call, realResult + " " + text(buffer, realResult),
                        emulatedResult + " " + text(copy, emulatedResult));
            } else {
                compare(call, realResult, emulatedResult);
            }
            return realResult;
        }
    }

    private static String hex(MemorySegment buffer) {
        return buffer.byteSize() > 16
                ? buffer.byteSize() + " bytes"
                : HexFormat.of().formatHex(buffer.toArray(ValueLayout.JAVA_BYTE));
    }

    private static String text(MemorySegment buffer, long length) {
        if (length <= 0) {
            return "";
        }
        byte[] bytes = buffer.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE);
        String text = new String(bytes, StandardCharsets.ISO_8859_1);
        return text.chars().allMatch(character -> character >= ' ' && character <= '~')
                ? text
                : HexFormat.of().formatHex(bytes);
    }

    @Override
    public synchronized long read(int fd, MemorySegment buffer) {
        if (aboutThisProcess.contains(fd)) {
            return real.read(fd, buffer);
        }
        return both("read", buffer, memory -> real.read(fd, memory), memory -> emulated.read(translate(fd), memory));
    }

    @Override
    public synchronized long write(int fd, MemorySegment buffer) {
        return both("write", buffer, memory -> real.write(fd, memory), memory -> emulated.write(translate(fd), memory));
    }

    @Override
    public synchronized long pread(int fd, MemorySegment buffer, long offset) {
        return both("pread of " + buffer.byteSize() + " at " + Long.toHexString(offset), buffer,
                memory -> real.pread(fd, memory, offset), memory -> emulated.pread(translate(fd), memory, offset));
    }

    @Override
    public synchronized long pwrite(int fd, MemorySegment buffer, long offset) {
        return both("pwrite of " + hex(buffer) + " at " + Long.toHexString(offset), buffer,
                memory -> real.pwrite(fd, memory, offset), memory -> emulated.pwrite(translate(fd), memory, offset));
    }

    /** Compares whether it is refused, and how. What is mapped is the real kernel's; memory without a file is nobody else's. */
    @Override
    public synchronized MemorySegment mmap(Arena arena, long length, int protection, int flags, int fd, long offset) {
        MemorySegment mapping = real.mmap(arena, length, protection, flags, fd, offset);
        if ((flags & Mman.MAP_ANONYMOUS) != 0) {
            return mapping;
        }
        MemorySegment twin = emulated.mmap(arena, length, protection, flags, translate(fd), offset);
        compare(() -> "mmap of " + length + " at " + Long.toHexString(offset), answer(mapping), answer(twin));
        return mapping;
    }

    private static String answer(MemorySegment mapping) {
        return mapping.byteSize() == 0 ? Long.toString(mapping.address()) : mapping.byteSize() + " bytes";
    }

    @Override
    public synchronized int poll(int[] fds, short[] events, int timeoutMillis) {
        int[] translated = IntStream.of(fds).map(this::translate).toArray();
        short[] copy = events.clone();
        int emulatedResult = emulated.poll(translated, copy, timeoutMillis);
        int realResult = real.poll(fds, events, timeoutMillis);
        compare("poll", realResult + " " + Arrays.toString(events), emulatedResult + " " + Arrays.toString(copy));
        return realResult;
    }

    @Override
    public synchronized int eventfd(int initialValue, int flags) {
        return newDescriptor("eventfd", real.eventfd(initialValue, flags), emulated.eventfd(initialValue, flags));
    }

    /** Compares the last names: the directories of a real machine's sysfs say where a device is plugged in. */
    @Override
    public synchronized long readlink(String path, MemorySegment buffer) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(buffer.byteSize());
            long realResult = real.readlink(path, buffer);
            long emulatedResult = emulated.readlink(path, copy);
            compare("readlink " + path, lastName(buffer, realResult), lastName(copy, emulatedResult));
            return realResult;
        }
    }

    private static String lastName(MemorySegment buffer, long result) {
        String target = text(buffer, result);
        return result < 0 ? Long.toString(result) : target.substring(target.lastIndexOf('/') + 1);
    }

    @Override
    public String toString() {
        return real + " and " + emulated;
    }
}
