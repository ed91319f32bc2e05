package io.github.vfio4j.bench;

import java.util.List;
import java.util.Locale;

/**
 * A row of the table: what is divided by what, what it is to be, and what it must be in every build.
 *
 * @param key
 *            its name in the file of results
 * @param title
 *            its name in the report
 * @param over
 *            the name of the measurement that is divided
 * @param under
 *            the one it is divided by
 * @param atMost
 *            whether less is better
 * @param target
 *            what is aimed at; NaN for what is only shown
 * @param bound
 *            what a short run on a busy machine may come to; beyond it something is broken
 */
record Row(String key, String title, String over, String under, boolean atMost, double target, double bound) {

    private static final String C = "IoctlBenchmark.c";
    private static final String REUSED = "IoctlBenchmark.reused";
    private static final String EMPTY = "cold.empty";

    static final List<Row> RATIOS = List.of(
            atMost("reused/ffm", "reused request / hand-written FFM", REUSED, "IoctlBenchmark.ffm", 1.03, 2),
            shown("ffm/c", "hand-written FFM / C loop", "IoctlBenchmark.ffm", C),
            shown("jni/c", "JNI shim / C loop", "IoctlBenchmark.jni", C),
            atMost("reused/c", "reused request / C loop", REUSED, C, 1.10, 3),
            atMost("reused/jni", "reused request / JNI shim", REUSED, "IoctlBenchmark.jni", 1.02, 2.5),
            atLeast("jna-direct/reused", "JNA direct / reused request", "IoctlBenchmark.jnaDirect", REUSED, 1.8, 0.7),
            atLeast("jna-interface/reused", "JNA interface / reused request", "IoctlBenchmark.jnaInterface", REUSED, 5,
                    1.5),
            shown("jnr/reused", "jnr-ffi / reused request", "IoctlBenchmark.jnr", REUSED),
            atMost("one-shot/c", "one-shot typed probe / C loop", "IoctlBenchmark.oneShot", C, 1.25, 4),
            shown("probe-all/c", "probe of 13 features / C loop of one", "IoctlBenchmark.probeAll", C),
            atMost("emulated-probe/c", "emulated probe / real null ioctl in C", "EmulationBenchmark.probe", C, 0.5, 1),
            shown("emulated-get/c", "emulated GET / real null ioctl in C", "EmulationBenchmark.get", C),
            shown("emulated-set/c", "emulated SET of a token / real null ioctl in C", "EmulationBenchmark.set", C),
            shown("emulated-token-open/c", "emulated open with a token, and close / real null ioctl in C",
                    "EmulationBenchmark.tokenOpen", C),
            shown("emulated-migration/c", "emulated migration of an mtty / real null ioctl in C",
                    "EmulationBenchmark.migrationStream", C),
            atLeast("two-devices/one", "emulated probes a second: 2 threads on 2 devices / 1 thread",
                    "EmulationBenchmark.probeOwnDeviceOneThread*2", "EmulationBenchmark.probeOwnDeviceTwoThreads", 1.8,
                    0.8),
            shown("one-device-two-threads/one", "emulated probes a second: 2 threads on 1 device / 1 thread",
                    "EmulationBenchmark.probe*2", "EmulationBenchmark.probeOneDeviceTwoThreads"),
            atMost("view/c", "mapped-region 32-bit read / C volatile read", "RegisterBenchmark.view",
                    "RegisterBenchmark.c", 1.1, 15),
            shown("view/varhandle", "mapped-region 32-bit read / VarHandle on plain memory", "RegisterBenchmark.view",
                    "RegisterBenchmark.varHandle"),
            atMost("stream/c", "1 GiB stream / C", "StreamBenchmark.channel:1024", "StreamBenchmark.c:1024", 1.1, 2.5),
            atMost("first-ioctl/empty", "first ioctl, with archive / empty main", "cold.first-ioctl.archive", EMPTY, 2,
                    5),
            shown("first-ioctl-by-hand/empty", "first ioctl by hand-written FFM, with archive / empty main",
                    "cold.first-ioctl-by-hand.archive", EMPTY),
            shown("first-ioctl-no-archive/empty", "first ioctl, without archive / empty main", "cold.first-ioctl",
                    EMPTY),
            atMost("features/empty", "vfio4j features --emulated, with archive / empty main", "cold.features.archive",
                    EMPTY, 4, 9),
            shown("features-no-archive/empty", "vfio4j features --emulated, without archive / empty main",
                    "cold.features", EMPTY),
            shown("java-version/empty", "java -version / empty main", "cold.java-version", EMPTY));

    /** Bytes an operation allocates, and what it may. */
    record Bytes(String key, String measurement, double bound) {

        static final List<Bytes> ALL = List.of(new Bytes("reused", REUSED, 0.5),
                new Bytes("ffm", "IoctlBenchmark.ffm", Double.NaN),
                new Bytes("jna-direct", "IoctlBenchmark.jnaDirect", Double.NaN),
                new Bytes("jna-interface", "IoctlBenchmark.jnaInterface", Double.NaN),
                new Bytes("jnr", "IoctlBenchmark.jnr", Double.NaN),
                new Bytes("one-shot", "IoctlBenchmark.oneShot", 0.5),
                new Bytes("probe-all", "IoctlBenchmark.probeAll", 2000),
                new Bytes("emulated-probe", "EmulationBenchmark.probe", 0.5),
                new Bytes("emulated-get", "EmulationBenchmark.get", 0.5),
                new Bytes("emulated-set", "EmulationBenchmark.set", 200),
                new Bytes("view", "RegisterBenchmark.view", 0.5),
                new Bytes("stream-1-MiB", "StreamBenchmark.channel:1", 200),
                new Bytes("stream-1-GiB", "StreamBenchmark.channel:1024", 4096));
    }

    private static Row atMost(String key, String title, String over, String under, double target, double bound) {
        return new Row(key, title, over, under, true, target, bound);
    }

    private static Row atLeast(String key, String title, String over, String under, double target, double bound) {
        return new Row(key, title, over, under, false, target, bound);
    }

    private static Row shown(String key, String title, String over, String under) {
        return new Row(key, title, over, under, true, Double.NaN, Double.NaN);
    }

    boolean isWithin(double value) {
        return Double.isNaN(bound) || (atMost ? value <= bound : value >= bound);
    }

    String targetInWords() {
        return Double.isNaN(target) ? "" : (atMost ? "≤ " : "≥ ") + String.format(Locale.ROOT, "%.2f", target);
    }
}
