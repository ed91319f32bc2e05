package io.github.vfio4j.conformance;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;

/** One call that a real kernel answered; the columns are described beside the files. */
record KernelFact(int line, String device, int feature, String operations, String variant, int argsz, long result,
        String bytesChanged) {

    /** Stands for "some descriptor" in the result column. */
    static final long ANY_DESCRIPTOR = 1_000_000;

    private static final int HEADER_SIZE = 8;
    private static final int BUFFER_SIZE = 64;
    private static final int UNKNOWN_FLAG = 1 << 19;

    /** All calls made on a kernel. */
    static List<KernelFact> load(String version) {
        String resource = "/kernel-facts/linux-" + version + ".tsv.gz";
        try (InputStream file = Objects.requireNonNull(KernelFact.class.getResourceAsStream(resource), resource);
                BufferedReader lines = new BufferedReader(
                        new InputStreamReader(new GZIPInputStream(file), StandardCharsets.UTF_8))) {
            int[] number = {1};
            return lines.lines().skip(1).map(line -> parse(++number[0], line)).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(resource, e);
        }
    }

    private static KernelFact parse(int number, String line) {
        List<String> columns = List.of(line.split("\t", -1));
        return new KernelFact(number, columns.get(0), Integer.parseInt(columns.get(1)), columns.get(2), columns.get(3),
                Integer.parseUnsignedInt(columns.get(4)), Long.parseLong(columns.get(5)), columns.get(6));
    }

    /** Whether the kernel carried something out, after which the device is not as it was. */
    boolean changesState() {
        return result >= 0 && !operations.startsWith("P");
    }

    /** The argument of the call: as many bytes as were accessible. */
    MemorySegment argument(Arena arena) {
        if (operations.equals("null")) {
            return MemorySegment.NULL;
        }
        MemorySegment argument = arena.allocate(variant.equals("header-only-mapped") ? HEADER_SIZE : BUFFER_SIZE);
        argument.set(ValueLayout.JAVA_INT, 0, argsz);
        argument.set(ValueLayout.JAVA_INT, 4, flags());
        return argument;
    }

    int flags() {
        int flags = feature | (variant.equals("1") ? UNKNOWN_FLAG : 0);
        for (int i = 0; i < operations.length(); i++) {
            flags |= switch (operations.charAt(i)) {
                case 'G' -> 1 << 16;
                case 'S' -> 1 << 17;
                case 'P' -> 1 << 18;
                default -> 0;
            };
        }
        return flags;
    }

    /** The bytes a call changed, in the words of the facts. */
    static String changes(MemorySegment before, MemorySegment after) {
        StringBuilder changes = new StringBuilder();
        for (long i = 0; i < before.byteSize(); i++) {
            byte value = after.get(ValueLayout.JAVA_BYTE, i);
            if (before.get(ValueLayout.JAVA_BYTE, i) != value) {
                changes.append(changes.isEmpty() ? "" : " ").append(i).append(':').append(String.format("%02x", value));
            }
        }
        return changes.toString();
    }
}
