package io.github.vfio4j.conformance;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_FEATURE;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_GET_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_RESET;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_SET_CONTAINER;
import static io.github.vfio4j.uapi.vfio_h.VFIO_MIG_GET_PRECOPY_INFO;
import static io.github.vfio4j.uapi.vfio_h.VFIO_SET_IOMMU;
import static io.github.vfio4j.uapi.vfio_h.VFIO_TYPE1v2_IOMMU;

import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.conformance.Subject.Kind;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelHazardException;
import io.github.vfio4j.emulation.NotModelledException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.function.IntSupplier;

/**
 * Runs a random program on a real kernel and its emulated twin, side by side, on descriptors of its own.
 *
 * <p>
 * When a real device falls asleep in low power is the one thing that nobody can tell (semantics §B.3): there the twin, whose
 * clock stands still, follows. The wake-up eventfd says whether the real device was asleep when it was asked; if so, time
 * passes on the twin, which then has to have slept, too. Everything after that is compared like all else.
 */
final class ProgramRun implements AutoCloseable {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final int STANDARD_DESCRIPTORS = 3;
    private static final int NONE = -1;
    private static final int NOT_OPEN = 9999;
    private static final int HEADER = 8;
    private static final int MOST_DESCRIPTORS = 4;
    private static final int STREAM_HEADER = 24;
    private static final int SET_STATE = 2 | 1 << 17;

    /** A device, as it is open or not. */
    private static final class Opened {
        private final Subject subject;
        private int container = NONE;
        private int group = NONE;
        private final List<Integer> fds = new ArrayList<>();
        /** The eventfd that tells of the end of its sleep. */
        private int wakeUp = NONE;

        Opened(Subject subject) {
            this.subject = subject;
        }
    }

    private final RandomProgram program;
    private final IoctlBackend real;
    private final EmulatedKernel twin;
    private final EmulatedProcess process;
    private final DifferentialBackend kernels;
    private final Tally tally;
    private final GuardedMemory arguments = new GuardedMemory();
    private final GuardedMemory pointees = new GuardedMemory();
    private final Arena arena = Arena.ofConfined();
    private final List<Opened> devices = new ArrayList<>();
    private final List<Integer> transfers = new ArrayList<>();
    private final int[] eventfds = new int[Step.NO_EVENTFD];
    private final int nullDevice;
    private int virtualFunctions;

    ProgramRun(RandomProgram program, IoctlBackend real, EmulatedKernel twin, IoctlBackend emulated,
            EmulatedProcess process, Tally tally) {
        this.program = program;
        this.real = real;
        this.twin = twin;
        this.process = process;
        this.tally = tally;
        kernels = new DifferentialBackend(real, emulated);
        nullDevice = kernels.open("/dev/null", Fcntl.O_RDWR);
        Arrays.setAll(eventfds, i -> kernels.eventfd(0, Fcntl.EFD_NONBLOCK));
        program.devices().forEach(subject -> devices.add(new Opened(subject)));
    }

    /** Runs the program up to its end, or the first difference; what differs. */
    List<String> run() {
        begin();
        int place = 0;
        while (place < program.steps().size() && kernels.divergences().isEmpty()) {
            Step step = program.steps().get(place++);
            try {
                step(step);
            } catch (NotModelledException | KernelHazardException e) {
                // Neither kernel has been asked more than the other: the twin is first, where that can happen.
                tally.passedOver(e);
            }
            if (!kernels.divergences().isEmpty()) {
                kernels.divergences().addFirst("step " + place + ", " + step);
            }
        }
        end();
        return List.copyOf(kernels.divergences());
    }

    private void begin() {
        for (Opened device : devices) {
            if (device.subject.kind() != Kind.VIRTUAL_FUNCTION && attach(device)) {
                open(device, "");
                if (device.subject.kind() == Kind.PHYSICAL_FUNCTION) {
                    feature(device,
                            new Step.Feature(0, 0, 24, 24, 1 << 17, List.of(Step.TOKEN, Step.TOKEN), List.of()));
                } else if (device.subject.kind() == Kind.MTTY) {
                    request(device, device.fds.getFirst(), VFIO_DEVICE_RESET(), MemorySegment.NULL);
                }
            }
        }
    }

    /** What the program has left behind: asked for, and put away. */
    private void end() {
        for (int i = 0; i < devices.size(); i++) {
            Opened device = devices.get(i);
            if (!device.fds.isEmpty() && kernels.divergences().isEmpty()) {
                feature(device, new Step.Feature(i, 0, 16, 16, 2 | 1 << 16, List.of(0L), List.of()));
                for (int index = 0; index < 14; index++) {
                    feature(device, new Step.Feature(i, 0, HEADER, HEADER, index | 1 << 18, List.of(), List.of()));
                }
            }
            if (device.subject.kind() == Kind.MTTY && !device.fds.isEmpty()) {
                request(device, device.fds.getFirst(), VFIO_DEVICE_RESET(), MemorySegment.NULL);
            }
        }
        transfers.forEach(kernels::close);
        setNumVfs(0);
        for (Opened device : devices) {
            detach(device);
        }
        for (int eventfd : eventfds) {
            kernels.read(eventfd, arguments.last(Long.BYTES));
            kernels.close(eventfd);
        }
        kernels.close(nullDevice);
        if (kernels.divergences().isEmpty() && process.openDescriptors() != STANDARD_DESCRIPTORS) {
            kernels.compareState("descriptors left open", 0, process.openDescriptors() - STANDARD_DESCRIPTORS);
        }
    }

    private void step(Step step) {
        switch (step) {
            case Step.Open open -> open(devices.get(open.device()), open.ending());
            case Step.Close close -> close(devices.get(close.device()), close.which());
            case Step.Feature feature when feature.device() < 0 ->
                tally.other(kernels.ioctl(other(feature), VFIO_DEVICE_FEATURE(), argument(feature), memory(feature)));
            case Step.Feature feature -> {
                Opened device = devices.get(feature.device());
                if (!device.fds.isEmpty()) {
                    feature(device, feature);
                }
            }
            case Step.Request request -> {
                Opened device = devices.get(request.device());
                boolean takesVfsAway = device.subject.kind() == Kind.PHYSICAL_FUNCTION && virtualFunctions > 0
                        && request.number() == VFIO_DEVICE_RESET();
                if (!device.fds.isEmpty() && !takesVfsAway) {
                    request(device, pick(device.fds, request.which()), request.number(), information(request));
                }
            }
            case Step.Transfer transfer -> {
                if (!transfers.isEmpty()) {
                    transfer(transfer);
                }
            }
            case Step.NumVfs vfs -> setNumVfs(vfs.count());
        }
    }

    private static int pick(List<Integer> fds, int which) {
        return fds.get(which % fds.size());
    }

    private int ioctl(int fd, int number, MemorySegment argument) {
        return tally.other(kernels.ioctl(fd, number, argument));
    }

    /** Has the group in a container; whether there is the group. */
    private boolean attach(Opened device) {
        if (device.group != NONE) {
            return true;
        }
        String directory = switch (device.subject.kind()) {
            case MTTY, MDPY -> "/sys/bus/mdev/devices/" + device.subject.name();
            case VIRTUAL_FUNCTION ->
                "/sys/bus/pci/devices/" + device.subject.name() + "/virtfn" + device.subject.index();
            case PHYSICAL_FUNCTION, PLAIN_FUNCTION -> "/sys/bus/pci/devices/" + device.subject.name();
        };
        if (device.subject.kind() == Kind.VIRTUAL_FUNCTION) {
            String name = link(directory);
            if (name.isEmpty()) {
                return false;
            }
            directory = "/sys/bus/pci/devices/" + name;
        }
        device.container = kernels.open("/dev/vfio/vfio", Fcntl.O_RDWR);
        device.group = kernels.open("/dev/vfio/" + link(directory + "/iommu_group"), Fcntl.O_RDWR);
        ioctl(device.group, VFIO_GROUP_SET_CONTAINER(), arguments.last(Integer.BYTES).fill((byte) 0)
                .copyFrom(arena.allocateFrom(ValueLayout.JAVA_INT, device.container)));
        ioctl(device.container, VFIO_SET_IOMMU(), MemorySegment.ofAddress(VFIO_TYPE1v2_IOMMU()));
        return true;
    }

    private String link(String path) {
        MemorySegment target = arguments.last(256);
        long length = kernels.readlink(path, target);
        String text = length <= 0
                ? ""
                : new String(target.asSlice(0, length).toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII);
        return text.substring(text.lastIndexOf('/') + 1);
    }

    private void open(Opened device, String ending) {
        if (device.fds.size() < MOST_DESCRIPTORS && attach(device)) {
            String address = device.subject.kind() == Kind.VIRTUAL_FUNCTION
                    ? link("/sys/bus/pci/devices/" + device.subject.name() + "/virtfn" + device.subject.index())
                    : device.subject.name();
            byte[] name = (address + ending + '\0').getBytes(StandardCharsets.US_ASCII);
            MemorySegment argument = arguments.last(name.length);
            argument.copyFrom(MemorySegment.ofArray(name));
            int fd = ioctl(device.group, VFIO_GROUP_GET_DEVICE_FD(), argument);
            if (fd >= 0) {
                device.fds.add(fd);
            }
        }
    }

    private void close(Opened device, int which) {
        boolean last = device.fds.size() == 1;
        // Its reset would take the virtual functions away in some versions of QEMU (semantics §F.7).
        boolean takesVfsAway = last && device.subject.kind() == Kind.PHYSICAL_FUNCTION && virtualFunctions > 0;
        if (!device.fds.isEmpty() && !takesVfsAway) {
            int fd = pick(device.fds, which);
            device.fds.remove((Object) fd);
            kernels.close(fd);
            if (last) {
                device.wakeUp = NONE;
            }
        }
    }

    private void detach(Opened device) {
        device.fds.forEach(kernels::close);
        device.fds.clear();
        device.wakeUp = NONE;
        if (device.group != NONE) {
            kernels.close(device.group);
            kernels.close(device.container);
            device.group = NONE;
        }
    }

    /** Virtual functions go when nobody uses them; the kernel would wait for that. */
    private void setNumVfs(int count) {
        for (Opened device : devices) {
            if (device.subject.kind() == Kind.VIRTUAL_FUNCTION && count == 0) {
                detach(device);
            }
        }
        for (Opened device : devices) {
            if (device.subject.kind() == Kind.PHYSICAL_FUNCTION && (!device.fds.isEmpty() || virtualFunctions > 0)) {
                int fd = kernels.open("/sys/bus/pci/devices/" + device.subject.name() + "/sriov_numvfs",
                        Fcntl.O_WRONLY);
                byte[] text = Integer.toString(count).getBytes(StandardCharsets.US_ASCII);
                MemorySegment argument = arguments.last(text.length);
                argument.copyFrom(MemorySegment.ofArray(text));
                long written = watched(device, () -> (int) kernels.write(fd, argument));
                if (written > 0) {
                    virtualFunctions = count;
                }
                kernels.close(fd);
            }
        }
    }

    private int request(Opened device, int fd, int number, MemorySegment argument) {
        return watched(device, () -> ioctl(fd, number, argument));
    }

    private MemorySegment information(Step.Request request) {
        if (request.number() != VFIO_DEVICE_GET_INFO()) {
            return MemorySegment.NULL;
        }
        MemorySegment argument = arguments.last(request.mapped()).fill((byte) 0x55);
        if (request.mapped() >= Integer.BYTES) {
            argument.set(INT, 0, request.argsz());
        }
        return argument;
    }

    private void feature(Opened device, Step.Feature feature) {
        MemorySegment argument = argument(feature);
        MemorySegment[] memory = memory(feature);
        int fd = pick(device.fds, feature.which());
        int result = watched(device, () -> kernels.ioctl(fd, VFIO_DEVICE_FEATURE(), argument, memory));
        tally.feature(feature.flags(), result);
        if (result > 0) {
            keep(result);
        }
        if (result < 0 || feature.mapped() < HEADER) {
            return;
        }
        switch (feature.flags()) {
            case SET_STATE -> {
                if (argument.get(INT, 12) >= 0) {
                    keep(argument.get(INT, 12));
                }
            }
            case 4 | 1 << 17 -> device.wakeUp = argument.get(INT, HEADER);
            case 5 | 1 << 17 -> device.wakeUp = NONE;
            default -> {
                // Changes nothing here.
            }
        }
    }

    private void keep(int fd) {
        transfers.add(fd);
        if (transfers.size() > MOST_DESCRIPTORS) {
            kernels.close(transfers.removeFirst());
        }
    }

    /** Makes a call on a device that may be asleep and have somebody to tell when it wakes. */
    private int watched(Opened device, IntSupplier call) {
        int wakeUp = device.wakeUp;
        if (wakeUp == NONE) {
            return call.getAsInt();
        }
        boolean[] woken = {false};
        int result = kernels.followingTheRealKernel(() -> {
            MemorySegment counter = pointees.last(Long.BYTES);
            if (real.read(wakeUp, counter) == Long.BYTES) {
                real.write(wakeUp, counter);
                woken[0] = true;
                twin.advance(Duration.ofSeconds(1));
            }
        }, call::getAsInt);
        if (woken[0]) {
            tally.woken();
            kernels.read(wakeUp, arena.allocate(Long.BYTES));
            if (device.wakeUp == wakeUp) {
                device.wakeUp = NONE;
            }
        } else {
            tally.notWoken();
        }
        return result;
    }

    private int other(Step.Feature feature) {
        Opened first = devices.getFirst();
        return switch (feature.device()) {
            case Step.CONTAINER -> first.container;
            case Step.GROUP -> first.group;
            case Step.NULL_DEVICE -> nullDevice;
            case Step.EVENTFD -> eventfds[0];
            case Step.DATA -> transfers.isEmpty() ? NOT_OPEN : pick(transfers, feature.which());
            default -> NOT_OPEN;
        };
    }

    private MemorySegment argument(Step.Feature feature) {
        byte[] bytes = new byte[Math.max(HEADER + feature.data().size() * Long.BYTES, feature.mapped())];
        MemorySegment whole = MemorySegment.ofArray(bytes);
        whole.set(INT, 0, feature.argsz());
        whole.set(INT, Integer.BYTES, feature.flags());
        long at = HEADER;
        boolean second = false;
        for (long word : feature.data()) {
            whole.set(LONG, at, value(word, feature, second));
            second = word >>> 32 == Step.TOKEN >>> 32;
            at += Long.BYTES;
        }
        MemorySegment argument = arguments.last(feature.mapped());
        argument.copyFrom(whole.asSlice(0, feature.mapped()));
        return argument;
    }

    private long value(long word, Step.Feature feature, boolean second) {
        int low = (int) word;
        return switch ((int) (word >>> 32)) {
            case (int) (Step.MEMORY >>> 32) -> pointees.last(feature.memory().size() * Long.BYTES).address() + low;
            case (int) (Step.DESCRIPTOR >>> 32) -> low == Step.NO_EVENTFD ? nullDevice : eventfds[low];
            case (int) (Step.TOKEN >>> 32) -> Long.reverseBytes(HexFormat
                    .fromHexDigitsToLong(RandomProgram.token(low).replace("-", ""), second ? 16 : 0, second ? 32 : 16));
            default -> word;
        };
    }

    private MemorySegment[] memory(Step.Feature feature) {
        if (feature.memory().isEmpty()) {
            return IoctlBackend.NO_POINTEES;
        }
        MemorySegment memory = pointees.last(feature.memory().size() * Long.BYTES);
        for (int i = 0; i < feature.memory().size(); i++) {
            memory.set(LONG, (long) i * Long.BYTES, feature.memory().get(i));
        }
        return new MemorySegment[]{memory};
    }

    private void transfer(Step.Transfer transfer) {
        int fd = pick(transfers, transfer.which());
        int length = transfer.length();
        switch (transfer.call()) {
            case READ -> kernels.read(fd, arguments.last(length));
            case WRITE_STREAM -> kernels.write(fd, bytes(stream(), 0, length));
            case WRITE_REST -> kernels.write(fd, bytes(stream(), STREAM_HEADER, length));
            case WRITE_ZEROS -> kernels.write(fd, arguments.last(length).fill((byte) 0));
            case PREAD -> kernels.pread(fd, arguments.last(length), 0);
            case PWRITE -> kernels.pwrite(fd, arguments.last(length), 0);
            case PRECOPY_INFO -> {
                MemorySegment info = arguments.last(Math.min(length, 32)).fill((byte) 0x55);
                if (length >= Integer.BYTES) {
                    info.set(INT, 0, length);
                }
                ioctl(fd, VFIO_MIG_GET_PRECOPY_INFO(), info);
            }
            case CLOSE -> {
                transfers.remove((Object) fd);
                kernels.close(fd);
            }
        }
    }

    private MemorySegment bytes(byte[] source, int from, int length) {
        MemorySegment bytes = arguments.last(length).fill((byte) 0x11);
        MemorySegment.copy(source, from, bytes, ValueLayout.JAVA_BYTE, 0, Math.min(length, source.length - from));
        return bytes;
    }

    /** What mtty saves and takes (semantics §B.8), for as many ports as the first one of the program has. */
    private byte[] stream() {
        int ports = program.devices().stream().filter(subject -> subject.kind() == Kind.MTTY).mapToInt(Subject::index)
                .findFirst().orElse(1);
        byte[] stream = new byte[STREAM_HEADER + 2 * 36];
        MemorySegment fields = MemorySegment.ofArray(stream);
        fields.set(LONG, 0, 0x7e9d09898c3e2c4eL);
        fields.set(INT, 8, 1);
        fields.set(INT, 16, ports);
        return stream;
    }

    @Override
    public void close() {
        arguments.close();
        pointees.close();
        arena.close();
    }
}
