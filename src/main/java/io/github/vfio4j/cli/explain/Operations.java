package io.github.vfio4j.cli.explain;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What a request asks for: bits 16‥18 of its flags word.
 *
 * @param probe
 *            PROBE
 * @param get
 *            GET
 * @param set
 *            SET
 */
public record Operations(boolean probe, boolean get, boolean set) {

    /**
     * Reads, for example, {@code set} or {@code probe,get}; {@code none} is a request without any of the three.
     *
     * @throws IllegalArgumentException
     *             if it is not understood
     */
    public static Operations parse(String text) {
        List<String> words = List.of(text.toLowerCase(Locale.ROOT).split("[,|+-]", -1));
        if (words.equals(List.of("none"))) {
            return new Operations(false, false, false);
        }
        if (!List.of("probe", "get", "set").containsAll(words)) {
            throw new IllegalArgumentException(
                    "'" + text + "' is no operation: there are probe, get and set, and probe,get and probe,set");
        }
        return new Operations(words.contains("probe"), words.contains("get"), words.contains("set"));
    }

    /** Their names. */
    public List<String> names() {
        List<String> names = new ArrayList<>();
        if (probe) {
            names.add("PROBE");
        }
        if (get) {
            names.add("GET");
        }
        if (set) {
            names.add("SET");
        }
        return names;
    }

    /** In the words of a request: {@code PROBE|GET}, {@code no operation}. */
    @Override
    public String toString() {
        return names().isEmpty() ? "no operation" : String.join("|", names());
    }
}
