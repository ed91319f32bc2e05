package io.github.vfio4j.conformance;

import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.trace.RecordingBackend;
import java.io.Writer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The devices of a test bed, open, from one try of a property to the next: opening a real function takes a tenth of a second.
 * After a try they are brought back to rest. All calls are recorded; the transcript has those that opened the devices and
 * those of the present try.
 */
final class ConformanceSession implements AutoCloseable {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final int HEADER = 8;
    private static final int SET_STATE = 2 | FeatureRules.SET;
    private static final int LOW_POWER_EXIT = 5;
    private static final int LOGGING_STOP = 7;
    private static final int DMA_BUF_GET = 11 | FeatureRules.GET;

    /** A device of the bed, as often as it is open. */
    final class Opened {

        private final TestBed.Device device;
        private final VfioContainer container;
        private final List<VfioDevice> files = new ArrayList<>();
        private final FeatureRules rules;

        Opened(TestBed.Device device) throws VfioException {
            this.device = device;
            container = vfio.openContainer();
            containers.add(container);
            files.add(device.opening().open(container));
            rules = device.kind() != null
                    ? FeatureRules.of(bed.kernelVersion(), device.kind())
                    : FeatureRules.probed(device.name(), this::probe);
        }

        private int probe(int flags) {
            try (Arena arena = Arena.ofConfined()) {
                return ask(0, header(arena, flags, HEADER, HEADER));
            }
        }

        TestBed.Device device() {
            return device;
        }

        FeatureRules rules() {
            return rules;
        }

        int files() {
            return files.size();
        }

        /** Whether an operation may be carried out, and is one the device has. */
        boolean canDo(int feature, int operation) {
            return (rules.operations(feature) & operation) != 0 && !bed.excludes(feature);
        }

        /** One more file of the device. */
        void openAgain() throws VfioException {
            files.add(device.opening().open(container));
        }

        void close(int which) throws VfioException {
            if (files.size() == 1 && canDo(2, FeatureRules.SET)) {
                // A restore that is not complete outlasts the device's last file, and is a trap then (semantics §F.7).
                reset();
            }
            // The one the transcript begins with is missing from here on.
            rested &= which % files.size() > 0;
            files.remove(which % files.size()).close();
            if (files.isEmpty()) {
                openAgain();
            }
        }

        void reset() throws VfioException {
            files.getFirst().reset();
        }

        /** VFIO_DEVICE_FEATURE on one of the files; what it answers. Descriptors that it brings are closed. */
        int ask(int which, MemorySegment request, MemorySegment... pointees) {
            int result = files.get(which % files.size()).executeRaw(FeatureRequest.raw(request).pointees(pointees));
            int flags = request.byteSize() < HEADER ? 0 : request.get(INT, 4);
            if (request.byteSize() >= HEADER) {
                ConformanceRun.current().evidence().answered(device.name(), bed.toString(), flags, result);
            }
            if (result > 0 || (result == 0 && flags == DMA_BUF_GET)) {
                backend.close(result);
            } else if (result == 0 && flags == SET_STATE && request.get(INT, 12) >= 0) {
                broughtData = true;
                backend.close(request.get(INT, 12));
            }
            return result;
        }

        /** A request with only 32-bit words of data behind its header. */
        int ask(int which, int flags, int... data) {
            try (Arena arena = Arena.ofConfined()) {
                int size = HEADER + data.length * Integer.BYTES;
                MemorySegment request = header(arena, flags, size, size);
                MemorySegment.copy(data, 0, request, INT, HEADER, data.length);
                return ask(which, request);
            }
        }

        /** The state that it says it has, or −errno. */
        int state() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment request = header(arena, 2 | FeatureRules.GET, 16, 16);
                int result = ask(0, request);
                return result < 0 ? result : request.get(INT, 8);
            }
        }

        /** What feature 1 says. */
        long migrationFlags() {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment request = header(arena, 1 | FeatureRules.GET, 16, 16);
                return ask(0, request) < 0 ? 0 : request.get(LONG, HEADER);
            }
        }

        /** Back to rest. A device that migrates leaves its state by a reset only, whatever has become of it. */
        private void rest() throws VfioException {
            while (files.size() > 1) {
                files.removeLast().close();
            }
            if (canDo(LOW_POWER_EXIT, FeatureRules.SET)) {
                ask(0, LOW_POWER_EXIT | FeatureRules.SET);
            }
            if (canDo(LOGGING_STOP, FeatureRules.SET)) {
                ask(0, LOGGING_STOP | FeatureRules.SET);
            }
            if (canDo(2, FeatureRules.SET) && state() != MigrationTable.RUNNING) {
                reset();
            }
        }

        @Override
        public String toString() {
            return device + " on " + bed;
        }
    }

    /** The lines of a transcript. */
    private static final class Lines extends Writer {

        private final StringBuilder text = new StringBuilder();

        @Override
        public void write(char[] characters, int from, int length) {
            text.append(characters, from, length);
        }

        @Override
        public void flush() {
            // Nothing is held back.
        }

        @Override
        public void close() {
            // Nothing is held.
        }
    }

    private final TestBed bed;
    private final Lines lines = new Lines();
    private final RecordingBackend backend;
    private final Vfio vfio;
    private final List<VfioContainer> containers = new ArrayList<>();
    private final Map<TestBed.Device, Opened> opened = new LinkedHashMap<>();
    private final int opening;
    private final boolean mayNotComeBack;
    private boolean rested = true;
    private boolean broughtData;

    /** Opens these devices of a test bed. */
    ConformanceSession(TestBed bed, List<TestBed.Device> devices) throws VfioException {
        this.bed = bed;
        IoctlBackend kernel = bed.newBackend();
        mayNotComeBack = kernel instanceof NativeBackend
                && !MigrationTable.isRefusedBy(System.getProperty("os.version"));
        backend = new RecordingBackend(kernel, bed.environment(), lines);
        vfio = Vfio.using(backend);
        try {
            for (TestBed.Device device : devices) {
                opened.put(device, new Opened(device));
            }
        } catch (VfioException | RuntimeException e) {
            close();
            throw e;
        }
        opening = lines.text.length();
    }

    private static MemorySegment header(Arena arena, int flags, int argsz, int size) {
        MemorySegment request = arena.allocate(size, Long.BYTES);
        request.set(INT, 0, argsz);
        request.set(INT, 4, flags);
        return request;
    }

    TestBed bed() {
        return bed;
    }

    Opened device(TestBed.Device device) {
        Opened found = opened.get(device);
        if (found == null) {
            throw new IllegalArgumentException(device + " is not open");
        }
        return found;
    }

    /** Whether the kernel may be one that never comes back when it is asked for a way that is blocked. */
    boolean mayNotComeBack() {
        return mayNotComeBack;
    }

    /** All of them, in the order of the bed. */
    List<Opened> all() {
        return List.copyOf(opened.values());
    }

    /** A try begins: what has been called before does not matter any more. */
    void begin() {
        lines.text.setLength(opening);
        broughtData = false;
    }

    /** Whether a state has brought a data descriptor since it was asked the last time. */
    boolean takeBroughtData() {
        boolean brought = broughtData;
        broughtData = false;
        return brought;
    }

    /** The lowest descriptor that is free: as it was before, if nothing has been left open. */
    int lowestFreeDescriptor() {
        int fd = backend.eventfd(0, Fcntl.EFD_NONBLOCK);
        backend.close(fd);
        return fd;
    }

    IoctlBackend backend() {
        return backend;
    }

    /** The calls that opened the devices, and those of the present try. */
    String transcript() {
        return lines.text.toString();
    }

    /** A try has ended. Whether the next one can go on with this. */
    boolean rest() throws VfioException {
        for (Opened device : opened.values()) {
            device.rest();
        }
        return rested;
    }

    @Override
    public void close() throws VfioException {
        @Nullable
        VfioException failure = null;
        for (VfioContainer container : containers) {
            try {
                container.close();
            } catch (VfioException e) {
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
