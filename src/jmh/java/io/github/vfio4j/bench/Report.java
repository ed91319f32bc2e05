package io.github.vfio4j.bench;

import java.awt.Color;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.StringJoiner;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.VectorGraphicsEncoder.VectorGraphicsFormat;

/** The results as a table, as JSON and as a chart. */
final class Report {

    private static final double GIBIBYTE = 1 << 30;
    private static final double MILLIS = 1e3;
    private static final double BITMAP_TARGET = 4;

    private final Measurements measurements;

    Report(Measurements measurements) {
        this.measurements = measurements;
    }

    private double ratio(Row row) {
        return measurements.ratio(row.over(), row.under());
    }

    private double bytes(Row.Bytes bytes) {
        return measurements.least(bytes.measurement() + " bytes");
    }

    private double bitmap(String kind) {
        return BitmapBenchmark.SIZE / GIBIBYTE / (measurements.median("BitmapBenchmark.iterate:" + kind) / MILLIS);
    }

    private static String number(double value) {
        return String.format(Locale.ROOT, "%.2f", value);
    }

    String table() {
        StringBuilder table = new StringBuilder("| path | measured | target |\n|---|---|---|\n");
        for (Row row : Row.RATIOS) {
            table.append("| ").append(row.title()).append(" | ").append(number(ratio(row))).append(" | ")
                    .append(row.targetInWords()).append(" |\n");
        }
        for (String kind : List.of("sparse", "dense")) {
            table.append("| bitmap iteration, ").append(kind).append(", GiB/s of bitmap | ")
                    .append(number(bitmap(kind))).append(" | ").append(kind.equals("sparse") ? "≥ 4" : "")
                    .append(" |\n");
        }
        table.append("\n| operation | bytes allocated |\n|---|---|\n");
        for (Row.Bytes bytes : Row.Bytes.ALL) {
            table.append("| ").append(bytes.key()).append(" | ").append(Math.round(bytes(bytes))).append(" |\n");
        }
        return table.toString();
    }

    String json() {
        StringJoiner ratios = new StringJoiner(",\n    ", "{\n    ", "\n  }");
        for (Row row : Row.RATIOS) {
            ratios.add("\"" + row.key() + "\": " + number(ratio(row)));
        }
        StringJoiner bytes = new StringJoiner(",\n    ", "{\n    ", "\n  }");
        for (Row.Bytes row : Row.Bytes.ALL) {
            bytes.add("\"" + row.key() + "\": " + Math.round(bytes(row)));
        }
        return "{\n  \"ratios\": " + ratios + ",\n  \"bytesPerOp\": " + bytes
                + ",\n  \"gibibytesPerSecond\": {\"bitmap-sparse\": " + number(bitmap("sparse"))
                + ", \"bitmap-dense\": " + number(bitmap("dense")) + "}\n}\n";
    }

    /** Says what is out of bounds. */
    boolean check() {
        int passed = 0;
        List<String> failed = new ArrayList<>();
        for (Row row : Row.RATIOS) {
            if (row.isWithin(ratio(row))) {
                passed++;
            } else {
                failed.add(row.key() + " is " + number(ratio(row)) + ", beyond " + row.bound());
            }
        }
        for (Row.Bytes row : Row.Bytes.ALL) {
            if (Double.isNaN(row.bound()) || bytes(row) <= row.bound()) {
                passed++;
            } else {
                failed.add(row.key() + " allocates " + number(bytes(row)) + " bytes, more than " + row.bound());
            }
        }
        failed.forEach(System.out::println);
        System.out.println(passed + " passed, " + failed.size() + " failed");
        return failed.isEmpty();
    }

    /** Writes benchmarks.md and benchmarks.svg. */
    void write(Path directory) throws IOException {
        Files.createDirectories(directory);
        Files.writeString(directory.resolve("benchmarks.md"), """
                # Benchmarks

                Written by `scripts/bench --report docs`: medians of ratios, each of two measurements of one round.

                %s, %s, JDK %s (%s), Linux %s, %s.

                ![What an ioctl costs by each way, in C loops](benchmarks.svg)

                %s""".formatted(processor(), processors(), Runtime.version(), System.getProperty("java.vendor"),
                kernel(), LocalDate.now(), table()));
        try (OutputStream out = Files.newOutputStream(directory.resolve("benchmarks.svg"))) {
            VectorGraphicsEncoder.saveVectorGraphic(chart(), out, VectorGraphicsFormat.SVG);
        }
    }

    private CategoryChart chart() {
        List<String> ways = List.of("C", "FFM by hand", "JNI shim", "reused", "one-shot", "JNA direct", "jnr-ffi",
                "JNA interface", "emulated");
        List<String> names = List.of("IoctlBenchmark.c", "IoctlBenchmark.ffm", "IoctlBenchmark.jni",
                "IoctlBenchmark.reused", "IoctlBenchmark.oneShot", "IoctlBenchmark.jnaDirect", "IoctlBenchmark.jnr",
                "IoctlBenchmark.jnaInterface", "EmulationBenchmark.probe");
        CategoryChart chart = new CategoryChartBuilder().width(900).height(420)
                .title("One ioctl: C, other ways, and vfio4j (reused, one-shot, emulated)")
                .yAxisTitle("time / time of C").build();
        chart.getStyler().setLegendVisible(false);
        chart.getStyler().setLabelsVisible(true);
        chart.getStyler().setChartBackgroundColor(Color.WHITE);
        chart.addSeries("ratio", ways, names.stream().map(name -> measurements.ratio(name, "IoctlBenchmark.c"))
                .map(value -> Math.round(value * 100) / 100.0).toList());
        return chart;
    }

    private static String processor() throws IOException {
        Path info = Path.of("/proc/cpuinfo");
        return Files.isReadable(info)
                ? Files.readAllLines(info).stream().filter(line -> line.startsWith("model name")).findFirst()
                        .map(line -> line.replaceFirst(".*: ", "")).orElse(System.getProperty("os.arch"))
                : System.getProperty("os.arch");
    }

    private static String processors() {
        return Runtime.getRuntime().availableProcessors() + " processors";
    }

    private static String kernel() {
        return System.getProperty("os.version").replaceFirst("[-+].*", "");
    }
}
