package io.github.vfio4j.bench;

import io.github.vfio4j.PciAddress;
import io.github.vfio4j.Vfio;
import io.github.vfio4j.VfioContainer;
import io.github.vfio4j.device.RegionView;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.emulation.KernelProfile;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.util.concurrent.TimeUnit;
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
 * 32-bit reads of 1,024 registers, one after the other. The memory is an emulated BAR, which is ordinary memory: a real
 * device answers in a microsecond, beside which none of this could be seen.
 */
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
public class RegisterBenchmark {

    private static final int REGISTERS = 1024;
    private static final VarHandle PLAIN = ValueLayout.JAVA_INT.varHandle();
    private static final PciAddress ADDRESS = PciAddress.parse("0000:01:00.0");

    private EmulatedProcess process;
    private VfioContainer container;
    private RegionView view;
    private MemorySegment memory;

    /** Maps the registers. */
    @Setup
    public void map() throws IOException {
        process = EmulatedKernel.builder(KernelProfile.LINUX_7_2)
                .pciFunction(ADDRESS.toString(), function -> function.driver("vfio-pci").memoryBar(0, 1 << 16)).build()
                .newProcess();
        container = Vfio.using(process).openContainer();
        view = container.openDevice(ADDRESS).region(0).map();
        memory = view.segment();
    }

    /** Ends it. */
    @TearDown
    public void end() throws IOException {
        container.close();
        process.close();
    }

    /** C, volatile. */
    @Benchmark
    @OperationsPerInvocation(REGISTERS)
    public int c() throws Throwable {
        return CFunctions.read32(memory, REGISTERS, 1);
    }

    /** A view's volatile access. */
    @Benchmark
    @OperationsPerInvocation(REGISTERS)
    public int view() {
        int sum = 0;
        for (int register = 0; register < REGISTERS; register++) {
            sum += view.get32(register * 4L);
        }
        return sum;
    }

    /** A view's acquiring access. */
    @Benchmark
    @OperationsPerInvocation(REGISTERS)
    public int viewAcquire() {
        int sum = 0;
        for (int register = 0; register < REGISTERS; register++) {
            sum += view.get32Acquire(register * 4L);
        }
        return sum;
    }

    /** The JDK's own volatile access. */
    @Benchmark
    @OperationsPerInvocation(REGISTERS)
    public int varHandle() {
        int sum = 0;
        for (int register = 0; register < REGISTERS; register++) {
            sum += (int) PLAIN.getVolatile(memory, register * 4L);
        }
        return sum;
    }
}
