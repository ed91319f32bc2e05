package io.github.vfio4j.trace;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** What a call has written, against what it should have: the bytes that differ, in words. */
final class Comparison {

    /** Longer pieces are cut: where they begin says enough. */
    private static final int LONGEST = 32;

    private final List<String> expected = new ArrayList<>();
    private final List<String> actual = new ArrayList<>();

    /** A difference. */
    void add(String expectedWords, String actualWords) {
        expected.add(expectedWords);
        actual.add(actualWords);
    }

    /**
     * Compares memory of the same size.
     *
     * @param where
     *            words that say which memory
     */
    void bytes(String where, MemorySegment expectedBytes, MemorySegment actualBytes) {
        long size = actualBytes.byteSize();
        long from = expectedBytes.mismatch(actualBytes);
        while (from >= 0) {
            long end = from + 1;
            while (end < size && differ(expectedBytes, actualBytes, end)) {
                end++;
            }
            String place = where + (end - from == 1 ? "byte " + from : "bytes " + from + "-" + (end - 1)) + " ";
            add(place + hex(expectedBytes.asSlice(from, end - from)),
                    place + hex(actualBytes.asSlice(from, end - from)));
            long next = expectedBytes.asSlice(end).mismatch(actualBytes.asSlice(end));
            from = next < 0 ? -1 : end + next;
        }
    }

    private static boolean differ(MemorySegment expected, MemorySegment actual, long at) {
        return expected.get(ValueLayout.JAVA_BYTE, at) != actual.get(ValueLayout.JAVA_BYTE, at);
    }

    private static String hex(MemorySegment bytes) {
        String digits = HexFormat.of()
                .formatHex(bytes.asSlice(0, Math.min(LONGEST, bytes.byteSize())).toArray(ValueLayout.JAVA_BYTE));
        return bytes.byteSize() > LONGEST ? digits + "…" : digits;
    }

    boolean differs() {
        return !expected.isEmpty();
    }

    /** The result that was expected, and what was expected to be written where it was not. */
    String expected(String result) {
        return words(result, expected);
    }

    /** The result, and what was written where something else was expected. */
    String actual(String result) {
        return words(result, actual);
    }

    private static String words(String result, List<String> differences) {
        return differences.isEmpty() ? result : result + " with " + String.join(", ", differences);
    }
}
