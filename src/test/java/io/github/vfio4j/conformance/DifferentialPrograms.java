package io.github.vfio4j.conformance;

import io.github.vfio4j.backend.IoctlBackend;
import io.github.vfio4j.emulation.EmulatedKernel;
import io.github.vfio4j.emulation.EmulatedProcess;
import io.github.vfio4j.trace.Environment;
import io.github.vfio4j.trace.RecordingBackend;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** Random programs on two kernels; what differs is cut down to the steps that it takes. */
final class DifferentialPrograms {

    private static final int LENGTH = 800;
    private static final int MOST_FAILURES = 5;
    private static final int MOST_ATTEMPTS = 120;

    private final Environment environment;
    private final IoctlBackend real;
    private final EmulatedKernel twin;
    private final Function<EmulatedProcess, IoctlBackend> emulated;
    private final List<Subject> machine;
    private final PrintWriter out;
    private final Tally tally = new Tally();
    private int failures;

    /**
     * Compares two kernels.
     *
     * @param environment
     *            the machine, for transcripts
     * @param real
     *            the kernel that is right
     * @param twin
     *            the other one, whose clock is moved by hand
     * @param emulated
     *            what stands in front of its processes
     * @param machine
     *            the devices that both have
     * @param out
     *            takes differing programs and their transcripts
     */
    DifferentialPrograms(Environment environment, IoctlBackend real, EmulatedKernel twin,
            Function<EmulatedProcess, IoctlBackend> emulated, List<Subject> machine, PrintWriter out) {
        this.environment = environment;
        this.real = real;
        this.twin = twin;
        this.emulated = emulated;
        this.machine = machine;
        this.out = out;
    }

    /** Runs programs until they have made so many ioctls, or too many of them differed; how many differed. */
    int run(long ioctls, long seed) throws IOException {
        long next = seed;
        while (tally.ioctls() < ioctls && failures < MOST_FAILURES) {
            RandomProgram program = RandomProgram.of(machine, next, LENGTH);
            List<String> divergences = run(program, real, tally);
            if (!divergences.isEmpty()) {
                failures++;
                out.println("The program of seed " + next + " differs: " + divergences);
                report(shrink(program));
            }
            next++;
        }
        return failures;
    }

    Tally tally() {
        return tally;
    }

    private List<String> run(RandomProgram program, IoctlBackend on, Tally counted) {
        EmulatedProcess process = twin.newProcess();
        try (ProgramRun run = new ProgramRun(program, on, twin, emulated.apply(process), process, counted)) {
            return run.run();
        }
    }

    /** Leaves out what it does not take, first in large pieces, then in small ones. */
    private RandomProgram shrink(RandomProgram program) {
        List<Step> steps = program.steps();
        int attempts = 0;
        for (int piece = steps.size() / 2; piece > 0; piece /= 2) {
            for (int from = steps.size() - piece; from >= 0 && attempts < MOST_ATTEMPTS; from -= piece) {
                List<Step> fewer = new ArrayList<>(steps.subList(0, from));
                fewer.addAll(steps.subList(from + piece, steps.size()));
                attempts++;
                if (!run(new RandomProgram(program.devices(), fewer), real, new Tally()).isEmpty()) {
                    steps = fewer;
                    from = Math.min(from, steps.size());
                }
            }
        }
        return new RandomProgram(program.devices(), steps);
    }

    private void report(RandomProgram program) throws IOException {
        StringWriter transcript = new StringWriter();
        List<String> divergences;
        try (RecordingBackend recording = new RecordingBackend(real, environment, transcript)) {
            divergences = run(program, recording, new Tally());
        }
        out.println("Cut down to " + program.steps().size() + " steps on " + program.devices() + ": "
                + (divergences.isEmpty() ? "does not differ any more, after what went before" : divergences));
        program.steps().forEach(step -> out.println("  " + step));
        out.println("Transcript of what the real kernel answers:");
        transcript.toString().lines().forEach(out::println);
    }
}
