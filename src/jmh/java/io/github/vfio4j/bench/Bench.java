package io.github.vfio4j.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.openjdk.jmh.profile.GCProfiler;
import org.openjdk.jmh.results.BenchmarkResult;
import org.openjdk.jmh.results.Result;
import org.openjdk.jmh.results.RunResult;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.Options;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;
import org.openjdk.jmh.runner.options.VerboseMode;

/** Runs everything in rounds, so that what is compared was measured within seconds of each other. See scripts/bench. */
public final class Bench {

    /** What is compared most closely stands side by side. */
    private static final List<String> ORDER = List.of("IoctlBenchmark.ffm", "IoctlBenchmark.reused", "IoctlBenchmark.c",
            "IoctlBenchmark.oneShot", "IoctlBenchmark.jni", "IoctlBenchmark.jnaDirect", "IoctlBenchmark.jnaInterface",
            "IoctlBenchmark.jnr", "EmulationBenchmark.probe", "IoctlBenchmark.probeAll", "EmulationBenchmark.get",
            "EmulationBenchmark.set", "EmulationBenchmark.tokenOpen", "EmulationBenchmark.migrationStream",
            "EmulationBenchmark.probeOneDeviceTwoThreads", "EmulationBenchmark.probeOwnDeviceOneThread",
            "EmulationBenchmark.probeOwnDeviceTwoThreads", "RegisterBenchmark.c", "RegisterBenchmark.view",
            "RegisterBenchmark.varHandle", "RegisterBenchmark.viewAcquire", "StreamBenchmark.c",
            "StreamBenchmark.channel", "BitmapBenchmark.iterate");

    private static final int QUICK_ROUNDS = 3;
    private static final int ROUNDS = 5;
    private static final int COLD_STARTS = 20;

    private Bench() {
    }

    /**
     * Runs it.
     *
     * @param arguments
     *            as scripts/bench passes them: directory with the jars, the command line's jar, then options
     */
    public static void main(String... arguments) throws IOException, InterruptedException, RunnerException {
        Path directory = Path.of(arguments[0]);
        Path cli = Path.of(arguments[1]);
        boolean quick = false;
        boolean check = false;
        Path json = null;
        Path report = null;
        for (int i = 2; i < arguments.length; i++) {
            switch (arguments[i]) {
                case "--quick" -> quick = true;
                case "--check" -> check = true;
                case "--json" -> json = Path.of(arguments[++i]);
                case "--report" -> report = Path.of(arguments[++i]);
                default -> throw new IllegalArgumentException(arguments[i]);
            }
        }
        Measurements measurements = new Measurements();
        int rounds = quick ? QUICK_ROUNDS : ROUNDS;
        for (int round = 1; round <= rounds; round++) {
            System.err.println("bench: round " + round + " of " + rounds);
            for (String name : ORDER) {
                for (RunResult result : new Runner(options(name, quick)).run()) {
                    add(measurements, result);
                }
            }
        }
        System.err.println("bench: cold starts");
        ColdStart coldStart = new ColdStart(directory, cli);
        for (int start = 0; start < COLD_STARTS; start++) {
            coldStart.measure(measurements);
        }
        Report result = new Report(measurements);
        System.out.print(result.table());
        if (json != null) {
            Files.writeString(json, result.json());
        }
        if (report != null) {
            result.write(report);
        }
        if (check) {
            System.exit(result.check() ? 0 : 1);
        }
    }

    private static Options options(String name, boolean quick) {
        List<String> jvm = new ArrayList<>(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx512m", "-XX:+UseSerialGC",
                "-Dvfio4j.bench.library=" + System.getProperty("vfio4j.bench.library")));
        if (Runtime.version().feature() >= 23) {
            // JMH uses it, and its warning in every fork would be all there is to be seen.
            jvm.add("--sun-misc-unsafe-memory-access=allow");
        }
        return new OptionsBuilder().include("\\." + name.replace(".", "\\.") + "$").forks(1)
                .warmupIterations(quick ? 2 : 3).warmupTime(TimeValue.milliseconds(300))
                .measurementIterations(quick ? 5 : 9).measurementTime(TimeValue.milliseconds(quick ? 60 : 120))
                .addProfiler(GCProfiler.class).verbosity(VerboseMode.SILENT).shouldFailOnError(true)
                .jvmArgsAppend(jvm.toArray(String[]::new)).build();
    }

    private static void add(Measurements measurements, RunResult result) {
        String name = result.getParams().getBenchmark().replaceFirst(".*\\.(\\w+\\.\\w+)$", "$1");
        for (String parameter : result.getParams().getParamsKeys()) {
            name += ":" + result.getParams().getParam(parameter);
        }
        // Of its iterations the one in the middle: an interruption by something else is not part of the measurement.
        for (BenchmarkResult fork : result.getBenchmarkResults()) {
            measurements.add(name, fork.getPrimaryResult().getStatistics().getPercentile(50));
            for (Map.Entry<String, Result> secondary : fork.getSecondaryResults().entrySet()) {
                if (secondary.getKey().endsWith("gc.alloc.rate.norm")) {
                    // The least of the iterations: in some the JVM itself has allocated something.
                    measurements.add(name + " bytes", secondary.getValue().getStatistics().getMin());
                }
            }
        }
        System.err.printf(Locale.ROOT, "bench: %s %.3f %s%n", name, result.getPrimaryResult().getScore(),
                result.getPrimaryResult().getScoreUnit());
    }
}
