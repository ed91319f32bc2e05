package io.github.vfio4j.conformance.junit;

import io.github.vfio4j.Vfio;
import io.github.vfio4j.backend.FaultInjectingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;

/** What one test has: a kernel, a process on it, and faults in front of that. */
final class EmulatedTest implements AutoCloseable {

    /** Its parts, by the types they are asked for by. */
    static final List<Class<?>> PARTS = List.of(Vfio.class, FaultInjectingBackend.class, IoctlBackend.class,
            EmulatedProcess.class, EmulatedKernel.class);

    private final EmulatedKernel kernel;
    private final Map<Class<?>, Object> parts;

    EmulatedTest(EmulatedKernel kernel) {
        this.kernel = kernel;
        EmulatedProcess process = kernel.newProcess();
        FaultInjectingBackend faults = new FaultInjectingBackend(process);
        parts = Map.of(Vfio.class, Vfio.using(faults), FaultInjectingBackend.class, faults, IoctlBackend.class, faults,
                EmulatedProcess.class, process, EmulatedKernel.class, kernel);
    }

    Object part(Class<?> type) {
        return Objects.requireNonNull(parts.get(type));
    }

    /** Fails if a process has anything open that a test has to close. */
    void checkForLeaks() {
        List<String> leaks = new ArrayList<>();
        List<EmulatedProcess> processes = kernel.processes();
        for (int i = 0; i < processes.size(); i++) {
            String where = i == 0 ? "" : " of process " + (i + 1);
            processes.get(i).openFiles().forEach((fd, file) -> leaks.add("descriptor " + fd + where + ", " + file));
        }
        if (!leaks.isEmpty()) {
            throw new AssertionError(leaks.stream().collect(Collectors.joining("; ", "Left open by the test: ",
                    ". Close what it opens, in try-with-resources or in @AfterEach")));
        }
    }

    /** Ends the processes. */
    @Override
    public void close() {
        kernel.processes().forEach(EmulatedProcess::close);
    }
}
