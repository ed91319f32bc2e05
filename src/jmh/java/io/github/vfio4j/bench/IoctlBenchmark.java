package io.github.vfio4j.bench;

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLong;
import com.sun.jna.Pointer;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.VfioException;
import io.github.vfio4j.backend.Fcntl;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.backend.NativeBackend;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.feature.FeatureSupport;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.concurrent.TimeUnit;
import jnr.ffi.LibraryLoader;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OperationsPerInvocation;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;

/**
 * VFIO_DEVICE_FEATURE on /dev/null, which answers ENOTTY at once: what is left is what it costs to get there and back. The
 * same descriptor and the same 24 bytes for all.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class IoctlBenchmark {

    private static final long REQUEST = 0x3b75;
    private static final int LOOP = 1000;

    /** JNA by proxy. */
    public interface JnaInterface extends Library {
        /** Found by its name. */
        int ioctl(int fd, NativeLong request, Pointer argument);
    }

    /** JNA by registered native methods. */
    static final class JnaDirect {
        static {
            Native.register("c");
        }

        private JnaDirect() {
        }

        static native int ioctl(int fd, NativeLong request, Pointer argument);
    }

    /** jnr-ffi. */
    public interface Jnr {
        /** Found by its name. */
        int ioctl(int fd, long request, jnr.ffi.Pointer argument);
    }

    private final Arena arena = Arena.ofConfined();
    private IoctlBackend backend;
    private int fd;
    private VfioDevice device;
    private FeatureRequest request;
    private MemorySegment argument;
    private MemorySegment state;
    private NativeLong jnaRequest;
    private Pointer jnaArgument;
    private JnaInterface jnaInterface;
    private Jnr jnrLibrary;
    private jnr.ffi.Runtime jnrRuntime;
    private jnr.ffi.Pointer jnrArgument;

    /** Opens the descriptor and lays the request out. */
    @Setup
    public void open() {
        backend = NativeBackend.create();
        fd = backend.open("/dev/null", Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        device = Vfio.using(backend).adoptDevice(fd);
        request = FeatureRequest.of(FeatureId.PCI_VF_TOKEN).probe().set().payloadSize(16).allocate(arena);
        argument = request.segment();
        state = arena.allocate(HandWritten.STATE);
        jnaRequest = new NativeLong(REQUEST);
        jnaArgument = new Pointer(argument.address());
        jnaInterface = Native.load("c", JnaInterface.class);
        jnrLibrary = LibraryLoader.create(Jnr.class).load("c");
        jnrRuntime = jnr.ffi.Runtime.getRuntime(jnrLibrary);
        jnrArgument = jnr.ffi.Pointer.wrap(jnrRuntime, argument.address());
    }

    /** Closes it. */
    @TearDown
    public void close() throws VfioException {
        device.close();
        arena.close();
    }

    /** A loop in C. */
    @Benchmark
    @OperationsPerInvocation(LOOP)
    public long c() throws Throwable {
        return CFunctions.ioctl(fd, REQUEST, argument, LOOP);
    }

    /** A JNI shim. */
    @Benchmark
    public int jni() {
        return JniShim.ioctl(fd, REQUEST, argument.address());
    }

    /** FFM by hand, with errno. */
    @Benchmark
    public int ffm() throws Throwable {
        return HandWritten.ioctl(state, fd, REQUEST, argument);
    }

    /** JNA, registered method. */
    @Benchmark
    public int jnaDirect() {
        int result = JnaDirect.ioctl(fd, jnaRequest, jnaArgument);
        return result < 0 ? -Native.getLastError() : result;
    }

    /** JNA, interface. */
    @Benchmark
    public int jnaInterface() {
        int result = jnaInterface.ioctl(fd, jnaRequest, jnaArgument);
        return result < 0 ? -Native.getLastError() : result;
    }

    /** jnr-ffi. */
    @Benchmark
    public int jnr() {
        int result = jnrLibrary.ioctl(fd, REQUEST, jnrArgument);
        return result < 0 ? -jnrRuntime.getLastError() : result;
    }

    /** This library, a request that was laid out before. */
    @Benchmark
    public int reused() {
        return device.executeRaw(request);
    }

    /** This library, from the feature's name to the answer. */
    @Benchmark
    public boolean oneShot() {
        return device.probe(FeatureId.PCI_VF_TOKEN) instanceof FeatureSupport.Supported;
    }

    /** This library, all features. */
    @Benchmark
    public List<FeatureSupport> probeAll() {
        return device.probeAll();
    }
}
