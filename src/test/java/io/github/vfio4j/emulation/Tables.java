package io.github.vfio4j.emulation;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.provider.Arguments;

/**
 * Tables of expected answers, written as text: a line is a row, bars are between the cells. A cell in single quotes keeps
 * its spaces and may hold Java escapes.
 */
final class Tables {

    /** In the order of the columns of {@link #byKernel}. */
    private static final List<KernelProfile> KERNELS = List.of(KernelProfile.LINUX_5_7, KernelProfile.LINUX_6_1,
            KernelProfile.LINUX_6_12, KernelProfile.LINUX_7_2);

    private Tables() {
    }

    /** All kernels, for tests whose outcome is the same on each. */
    static Stream<KernelProfile> kernels() {
        return KERNELS.stream();
    }

    /** The kernels that have the low-power features and DMA ownership: all but the first. */
    static Stream<KernelProfile> kernelsSince61() {
        return KERNELS.stream().skip(1);
    }

    /** The kernels that can have devices with files of their own, built so. */
    static Stream<KernelProfile> cdevKernels() {
        return KERNELS.stream().skip(2).map(KernelProfile::withCdev);
    }

    /** Rows whose last two cells are the answers of those: the kernel, the other cells, its answer. */
    static Stream<Arguments> byCdevKernel(String table) {
        List<KernelProfile> kernels = cdevKernels().toList();
        return IntStream.range(0, kernels.size()).boxed().flatMap(column -> rows(table).map(row -> {
            int inputs = row.size() - kernels.size();
            Stream<String> cells = Stream.concat(row.subList(0, inputs).stream(), Stream.of(row.get(inputs + column)));
            return arguments(kernels.get(column), cells.toList());
        }));
    }

    /** Every row on every kernel: the kernel, then the cells. */
    static Stream<Arguments> onEveryKernel(String table) {
        return KERNELS.stream().flatMap(kernel -> rows(table).map(row -> arguments(kernel, row)));
    }

    /** Rows whose last four cells are the answers of 5.7, 6.1, 6.12 and 7.2: the kernel, the other cells, its answer. */
    static Stream<Arguments> byKernel(String table) {
        return IntStream.range(0, KERNELS.size()).boxed().flatMap(column -> rows(table).map(row -> {
            int inputs = row.size() - KERNELS.size();
            Stream<String> cells = Stream.concat(row.subList(0, inputs).stream(), Stream.of(row.get(inputs + column)));
            return arguments(KERNELS.get(column), cells.toList());
        }));
    }

    /** The cells of every row. */
    static Stream<List<String>> rows(String table) {
        return table.lines().map(line -> Arrays.stream(line.split("\\|", -1)).map(Tables::cell).toList());
    }

    private static String cell(String text) {
        String cell = text.strip();
        return cell.startsWith("'") ? cell.substring(1, cell.length() - 1).translateEscapes() : cell;
    }

    private static Arguments arguments(KernelProfile kernel, List<String> cells) {
        return Arguments.of(Stream.concat(Stream.of(kernel), cells.stream()).toArray());
    }
}
