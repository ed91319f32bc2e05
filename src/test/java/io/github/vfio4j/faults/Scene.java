package io.github.vfio4j.faults;

import io.github.vfio4j.Errno;
import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.backend.Fault;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.SystemCall;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.uapi.iommufd_h;
import io.github.vfio4j.uapi.vfio_h;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * One machine with one process on it whose system calls can be made to fail, and everything that is looked at afterwards:
 * what was opened, mapped, mapped for DMA and started. Only calls of the thread that made the scene fail and are counted:
 * those of a thread that waits for interrupts come when they come.
 */
public final class Scene {

    /** How long a thread that has been told to end may take. */
    private static final long PATIENCE_MILLIS = 10_000;

    private final EmulatedProcess process;
    private final Watch watch;
    private final FaultInjectingBackend faults;
    private final Front front;
    private final Vfio vfio;
    private final Arena arena = Arena.ofShared();
    private final List<AutoCloseable> kept = new ArrayList<>();
    private final List<String> complaints = new ArrayList<>();

    Scene(EmulatedKernel kernel) {
        process = kernel.newProcess();
        watch = new Watch(process);
        faults = new FaultInjectingBackend(watch);
        front = new Front();
        vfio = Vfio.using(front);
    }

    /** The entry point; its calls are those that fail. */
    public Vfio vfio() {
        return vfio;
    }

    /** The backend whose calls fail. */
    public IoctlBackend backend() {
        return front;
    }

    /** The process itself, whose calls do not fail. */
    public EmulatedProcess process() {
        return process;
    }

    /** Memory that lives until the scene is over. */
    public Arena arena() {
        return arena;
    }

    /** Closes something when the scene is over, the last one first. */
    public <T extends AutoCloseable> T keep(T opened) {
        kept.add(opened);
        return opened;
    }

    /** Says that something is not as it should be. */
    public void complain(String complaint) {
        complaints.add(complaint);
    }

    /** From here on calls are counted, and one of them fails. */
    void arm(Fault fault) {
        front.calls.clear();
        faults.clear();
        faults.inject(fault);
        front.counting = true;
    }

    /** From here on none fails. */
    void disarm() {
        front.counting = false;
        faults.clear();
    }

    long injected() {
        return faults.injected();
    }

    /** The calls since it was armed. */
    List<CallSite> calls() {
        return front.calls;
    }

    /** Closes everything, and tells what is still there or goes wrong. */
    List<String> end(boolean closingMayBeRefused) {
        for (AutoCloseable opened : kept.reversed()) {
            try {
                opened.close();
            } catch (Exception e) {
                if (!closingMayBeRefused) {
                    complain("closing " + opened + " afterwards: " + inFull(e));
                }
            }
        }
        arena.close();
        process.openFiles().forEach((fd, file) -> complain("LEAK descriptor " + fd + " of " + file));
        if (process.lockedMemory() != 0) {
            complain("LEAK " + process.lockedMemory() + " bytes mapped for DMA");
        }
        watch.leaks().forEach(leak -> complain("LEAK " + leak));
        waitingThreads().forEach(thread -> complain("LEAK thread " + thread));
        process.close();
        return complaints;
    }

    /** Those that wait for interrupts and have not ended in time. */
    private static List<String> waitingThreads() {
        Thread[] threads = new Thread[Thread.activeCount() + 16];
        int count = Thread.enumerate(threads);
        return Stream.of(threads).limit(count).filter(thread -> thread.getName().startsWith("vfio interrupts"))
                .filter(thread -> {
                    try {
                        thread.join(PATIENCE_MILLIS);
                    } catch (InterruptedException e) {
                        throw new AssertionError(e);
                    }
                    return thread.isAlive();
                }).map(Thread::getName).toList();
    }

    /** A call as it stands in reports, and what can become of it. */
    static final class CallSite {
        private final SystemCall call;
        private final String text;
        private final long length;
        private boolean failed;

        CallSite(SystemCall call, String text, long length) {
            this.call = call;
            this.text = text;
            this.length = length;
        }

        SystemCall call() {
            return call;
        }

        String text() {
            return text;
        }

        /** How much is to be read or written; 0 for other calls. */
        long length() {
            return length;
        }

        /** Whether the kernel has refused it. */
        boolean failed() {
            return failed;
        }
    }

    /** Remembers memory that was mapped, for the process or for its devices. */
    private static final class Watch extends ForwardingBackend {

        private final Map<MemorySegment, String> segments = new HashMap<>();

        Watch(IoctlBackend next) {
            super(next);
        }

        @Override
        public synchronized MemorySegment mmap(Arena mappingArena, long length, int protection, int flags, int fd,
                long offset) {
            MemorySegment mapping = super.mmap(mappingArena, length, protection, flags, fd, offset);
            if (mapping.byteSize() > 0) {
                segments.put(mapping, "mapping of " + length + " bytes");
            }
            return mapping;
        }

        @Override
        public synchronized int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            // VFIO_DEVICE_PCI_HOT_RESET has the number of VFIO_IOMMU_MAP_DMA, and no pointers.
            if (pointees.length > 0
                    && (request == vfio_h.VFIO_IOMMU_MAP_DMA() || request == iommufd_h.IOMMU_IOAS_MAP())) {
                segments.put(pointees[0], "memory for DMA of " + pointees[0].byteSize() + " bytes");
            }
            return super.ioctl(fd, request, argument, pointees);
        }

        synchronized List<String> leaks() {
            return segments.entrySet().stream().filter(entry -> entry.getKey().scope().isAlive())
                    .map(Map.Entry::getValue).toList();
        }
    }

    /** Counts and names calls, and lets those of one thread come by the faults. */
    private final class Front implements IoctlBackend {

        private final Thread owner = Thread.currentThread();
        private final List<CallSite> calls = new ArrayList<>();
        private final Map<Integer, String> files = new HashMap<>();
        /** Of a call that is none of the owner's, or none that counts. */
        private final CallSite none = new CallSite(SystemCall.CLOSE, "", 0);
        private boolean counting;

        private IoctlBackend at(SystemCall call, String what, long length) {
            if (!Thread.currentThread().equals(owner)) {
                return watch;
            }
            if (counting) {
                calls.add(new CallSite(call, call + " " + what, length));
            }
            return faults;
        }

        /** Notes what has come of the owner's last call. */
        private long noted(long result) {
            if (Thread.currentThread().equals(owner) && counting) {
                (calls.isEmpty() ? none : calls.getLast()).failed = result < 0;
            }
            return result;
        }

        private String file(int fd) {
            synchronized (files) {
                return files.getOrDefault(fd, "?");
            }
        }

        private int name(int fd, String file) {
            if (fd >= 0) {
                synchronized (files) {
                    files.put(fd, file);
                }
            }
            return fd;
        }

        @Override
        public int open(String path, int flags) {
            return name((int) noted(at(SystemCall.OPEN, path, 0).open(path, flags)), path);
        }

        @Override
        public int close(int fd) {
            return (int) noted(at(SystemCall.CLOSE, file(fd), 0).close(fd));
        }

        @Override
        public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
            String what = request == vfio_h.VFIO_DEVICE_FEATURE()
                    ? "VFIO_DEVICE_FEATURE 0x" + Integer.toHexString(argument.get(ValueLayout.JAVA_INT, 4))
                    : "0x" + Long.toHexString(request);
            int result = (int) noted(at(SystemCall.IOCTL, what, 0).ioctl(fd, request, argument, pointees));
            return request == vfio_h.VFIO_GROUP_GET_DEVICE_FD() ? name(result, "device") : result;
        }

        @Override
        public long read(int fd, MemorySegment buffer) {
            return noted(at(SystemCall.READ, file(fd), buffer.byteSize()).read(fd, buffer));
        }

        @Override
        public long write(int fd, MemorySegment buffer) {
            return noted(at(SystemCall.WRITE, file(fd), buffer.byteSize()).write(fd, buffer));
        }

        @Override
        public long pread(int fd, MemorySegment buffer, long offset) {
            return noted(at(SystemCall.PREAD, file(fd), buffer.byteSize()).pread(fd, buffer, offset));
        }

        @Override
        public long pwrite(int fd, MemorySegment buffer, long offset) {
            return noted(at(SystemCall.PWRITE, file(fd), buffer.byteSize()).pwrite(fd, buffer, offset));
        }

        @Override
        public MemorySegment mmap(Arena mappingArena, long length, int protection, int flags, int fd, long offset) {
            MemorySegment mapping = at(SystemCall.MMAP, fd < 0 ? "anonymous" : file(fd), 0).mmap(mappingArena, length,
                    protection, flags, fd, offset);
            noted(mapping.byteSize() - 1);
            return mapping;
        }

        @Override
        public int poll(int[] fds, short[] events, int timeoutMillis) {
            return (int) noted(at(SystemCall.POLL, "", 0).poll(fds, events, timeoutMillis));
        }

        @Override
        public int eventfd(int initialValue, int flags) {
            return name((int) noted(at(SystemCall.EVENTFD, "", 0).eventfd(initialValue, flags)), "eventfd");
        }

        @Override
        public long readlink(String path, MemorySegment buffer) {
            return noted(at(SystemCall.READLINK, path, 0).readlink(path, buffer));
        }

        @Override
        public String toString() {
            return process.toString();
        }
    }

    /** With all that is behind it: what happens once in a thousand runs can be explained from the report alone. */
    static String inFull(Throwable thrown) {
        StringWriter text = new StringWriter();
        thrown.printStackTrace(new PrintWriter(text, true));
        return text.toString().strip();
    }

    /** Whether an error number is in an exception, in what caused it, or in what is suppressed in either. */
    static boolean mentions(Throwable thrown, Errno errno) {
        if (thrown instanceof io.github.vfio4j.VfioException e && e.is(errno)) {
            return true;
        }
        return (thrown.getCause() != null && mentions(thrown.getCause(), errno))
                || Stream.of(thrown.getSuppressed()).anyMatch(suppressed -> mentions(suppressed, errno));
    }
}
