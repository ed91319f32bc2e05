package io.github.vfio4j.uapi;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The ABI as some headers or the bindings have it, and its form as a file: one fact a line, separated by tabs, sorted, so
 * that a change of the header reads as a change of lines.
 *
 * @param headers
 *            the headers the facts are from, each with its SHA-256; none for the bindings
 * @param entries
 *            by {@link AbiEntry#key()}
 * @param unbound
 *            keys of what the headers have and the bindings leave out. Without them nobody could tell what a newer header
 *            adds from what was left out on purpose.
 */
record AbiTable(SortedMap<String, String> headers, SortedMap<String, AbiEntry> entries, SortedSet<String> unbound) {

    private static final String PREAMBLE = """
            # What C and the bindings agree on: written by scripts/check-abi --write from the pinned headers.
            # header NAME SHA256 | struct NAME - SIZE | field NAME OFFSET SIZE | constant NAME - VALUE
            # unbound KIND NAME: in the headers, not in the bindings
            """;

    static AbiTable of(SortedMap<String, String> headers, List<AbiEntry> entries, SortedSet<String> unbound) {
        SortedMap<String, AbiEntry> byKey = new TreeMap<>();
        for (AbiEntry entry : entries) {
            if (byKey.put(entry.key(), entry) != null) {
                throw new IllegalArgumentException(entry.key() + " is there twice");
            }
        }
        return new AbiTable(headers, byKey, unbound);
    }

    static AbiTable read(Path file) throws IOException {
        return parse(Files.readAllLines(file), file.toString());
    }

    static AbiTable parse(List<String> lines, String source) {
        SortedMap<String, String> headers = new TreeMap<>();
        List<AbiEntry> entries = new ArrayList<>();
        SortedSet<String> unbound = new TreeSet<>();
        for (String line : lines) {
            if (line.isBlank() || line.startsWith("#")) {
                continue;
            }
            String[] column = line.split("\t", -1);
            switch (column[0]) {
                case "header" -> headers.put(column[1], column[2]);
                case "struct" -> entries.add(AbiEntry.struct(column[1], Long.parseLong(column[3])));
                case "field" ->
                    entries.add(AbiEntry.field(column[1], Long.parseLong(column[2]), Long.parseLong(column[3])));
                case "constant" -> entries.add(AbiEntry.constant(column[1], column[3]));
                case "unbound" -> unbound.add(column[1] + " " + column[2]);
                default -> throw new IllegalArgumentException(source + " has a line that is no fact: " + line);
            }
        }
        return of(headers, entries, unbound);
    }

    String text() {
        StringBuilder text = new StringBuilder(PREAMBLE);
        headers.forEach((name, sha256) -> text.append(String.join("\t", "header", name, sha256)).append('\n'));
        for (AbiEntry.Kind kind : AbiEntry.Kind.values()) {
            for (AbiEntry entry : entries.values()) {
                if (entry.kind() == kind) {
                    text.append(String.join("\t", AbiEntry.label(kind), entry.name(), entry.offset(), entry.value()))
                            .append('\n');
                }
            }
        }
        for (String key : unbound) {
            text.append("unbound\t").append(key.replace(' ', '\t')).append('\n');
        }
        return text.toString();
    }

    long count(AbiEntry.Kind kind) {
        return entries.values().stream().filter(entry -> entry.kind() == kind).count();
    }
}
