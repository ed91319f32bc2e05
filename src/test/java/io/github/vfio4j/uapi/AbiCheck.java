package io.github.vfio4j.uapi;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Compares the bindings with what a C compiler makes of the headers. {@code AbiTest} does it in every build with the table
 * of the pinned headers, {@code scripts/check-abi} with any at hand.
 * <p>
 * The uAPI only grows. Against the pinned header everything has to be equal; a newer one may have more, and what it has
 * more is told rather than judged, because it is the reason to move the pin.
 *
 * @param facts
 *            how many facts were compared
 * @param differences
 *            why the bindings do not fit the header, a sentence each; one fact is in it once at most
 * @param additions
 *            what the header has more, a sentence each
 */
record AbiCheck(int facts, List<String> differences, List<String> additions) {

    /** Constants that count others, and so go up with each one that is added. */
    private static final Pattern COUNT = Pattern.compile("VFIO_\\w+_(NR|NUM_REGIONS|NUM_IRQS)");

    /** Constants that sum up flags, and so gain a bit with each one that is added. */
    private static final Pattern FLAG_SUM = Pattern.compile("VFIO_IRQ_SET_(DATA|ACTION)_TYPE_MASK");

    /** Fields that hold a place for a later one, which then has another name. */
    private static final Pattern PLACEHOLDER = Pattern.compile("\\w+\\.(__)?(reserved|resv|pad)\\d*");

    /**
     * Compares.
     *
     * @param bindings
     *            what Java holds
     * @param header
     *            what C says of the same names
     * @param pinned
     *            the committed table; when {@code header} is not from the same header, it is a newer one
     */
    static AbiCheck of(AbiTable bindings, AbiTable header, AbiTable pinned) {
        boolean newer = !header.headers().equals(pinned.headers());
        List<String> differences = new ArrayList<>();
        List<String> additions = new ArrayList<>();
        for (AbiEntry java : bindings.entries().values()) {
            String key = java.key();
            AbiEntry c = header.entries().get(key);
            if (c == null && newer && isPlaceholder(java)) {
                additions.add(key + " has made room for something else");
            } else if (c == null) {
                differences.add(key + " is missing in the header, the bindings have " + java.facts());
            } else if (newer && isGrowth(java, c)) {
                additions.add(key + " has grown from " + java.facts() + " to " + c.facts());
            } else if (!java.equals(c)) {
                differences.add(key + " differs: the bindings have " + java.facts() + ", the header " + c.facts());
            }
        }
        int facts = bindings.entries().size();
        for (AbiEntry c : header.entries().values()) {
            if (!bindings.entries().containsKey(c.key())) {
                facts++;
                differences.add(c.key() + " is missing in the bindings, the header has " + c.facts());
            }
        }
        for (String key : header.unbound()) {
            if (newer && !pinned.unbound().contains(key)) {
                additions.add(key + " is new");
            }
        }
        return new AbiCheck(facts, differences, additions);
    }

    private static boolean isPlaceholder(AbiEntry entry) {
        return entry.kind() == AbiEntry.Kind.FIELD && PLACEHOLDER.matcher(entry.name()).matches();
    }

    private static boolean isGrowth(AbiEntry java, AbiEntry c) {
        if (java.kind() == AbiEntry.Kind.STRUCT) {
            return Long.parseLong(c.value()) > Long.parseLong(java.value());
        }
        if (java.kind() == AbiEntry.Kind.CONSTANT && COUNT.matcher(java.name()).matches()) {
            return Long.parseLong(c.value()) > Long.parseLong(java.value());
        }
        if (java.kind() == AbiEntry.Kind.CONSTANT && FLAG_SUM.matcher(java.name()).matches()) {
            long before = Long.parseLong(java.value());
            long now = Long.parseLong(c.value());
            return now != before && (now & before) == before;
        }
        return false;
    }

    /**
     * The C program that prints the facts. One statement a line and no macros of its own, so that a compiler's message
     * about a name the header does not have names the line of that fact; {@code scripts/check-abi} then leaves it out.
     */
    static String program(AbiTable bindings) {
        StringBuilder program = new StringBuilder("""
                #include <stddef.h>
                #include <stdio.h>
                #include <linux/iommufd.h>
                #include <linux/vfio.h>

                int main(void)
                {
                """);
        for (AbiEntry entry : bindings.entries().values()) {
            program.append("    ").append(statement(entry)).append('\n');
        }
        return program.append("    return 0;\n}\n").toString();
    }

    private static String statement(AbiEntry entry) {
        String name = entry.name();
        return switch (entry.kind()) {
            case STRUCT -> "printf(\"struct\\t%s\\t-\\t%%zu\\n\", sizeof(struct %s));".formatted(name, name);
            case FIELD -> {
                String struct = name.substring(0, name.indexOf('.'));
                String field = name.substring(name.indexOf('.') + 1);
                String member = field.replace("[]", "");
                yield "printf(\"field\\t%s\\t%%zu\\t%%zu\\n\", offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));"
                        .formatted(name, struct, member, struct, field.replace("[]", "[0]"));
            }
            case CONSTANT -> entry.value().startsWith("\"")
                    ? "printf(\"constant\\t%s\\t-\\t\\\"%%s\\\"\\n\", %s);".formatted(name, name)
                    : "printf(\"constant\\t%s\\t-\\t%%lld\\n\", (long long)(%s));".formatted(name, name);
        };
    }

    /**
     * The part of {@code scripts/check-abi} that needs the bindings: {@code program} prints the C program,
     * {@code table} makes a table of what it and the preprocessor printed, {@code compare} compares.
     */
    public static void main(String... arguments) throws IOException {
        AbiTable bindings = Bindings.read();
        switch (arguments[0]) {
            case "program" -> System.out.print(program(bindings));
            case "table" -> {
                Path facts = Path.of(arguments[1]);
                Path macros = Path.of(arguments[2]);
                Path source = Path.of(arguments[3]);
                SortedMap<String, String> headers = new TreeMap<>();
                for (int i = 4; i < arguments.length; i += 2) {
                    headers.put(arguments[i], arguments[i + 1]);
                }
                System.out.print(table(bindings, facts, macros, source, headers).text());
            }
            case "compare" -> {
                AbiTable header = AbiTable.read(Path.of(arguments[1]));
                AbiTable pinned = AbiTable.read(Path.of(arguments[2]));
                System.exit(compare(bindings, header, pinned) ? 0 : 1);
            }
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static AbiTable table(AbiTable bindings, Path facts, Path macros, Path source,
            SortedMap<String, String> headers) throws IOException {
        AbiTable printed = AbiTable.read(facts);
        SortedSet<String> unbound = HeaderNames.read(Files.readAllLines(macros), Files.readString(source));
        unbound.removeAll(bindings.entries().keySet());
        // The fields of a struct that is left out as a whole say nothing more.
        unbound.removeIf(key -> key.startsWith("field ")
                && unbound.contains("struct " + key.substring("field ".length(), key.indexOf('.'))));
        return new AbiTable(headers, printed.entries(), unbound);
    }

    private static boolean compare(AbiTable bindings, AbiTable header, AbiTable pinned) {
        AbiCheck check = of(bindings, header, pinned);
        List<String> differences = new ArrayList<>(check.differences);
        boolean newer = !header.headers().equals(pinned.headers());
        if (!newer && differences.isEmpty() && !header.equals(pinned)) {
            differences.add("the committed table is not what its headers say: scripts/check-abi --write makes it so");
        }
        System.out.println(newer ? "not the pinned headers, so newer ones: they may only add" : "the pinned headers");
        check.additions.forEach(addition -> System.out.println("added: " + addition));
        differences.forEach(difference -> System.out.println("FAILED: " + difference));
        System.out.printf("%d structs, %d fields, %d constants: %d passed, %d failed%n",
                bindings.count(AbiEntry.Kind.STRUCT), bindings.count(AbiEntry.Kind.FIELD),
                bindings.count(AbiEntry.Kind.CONSTANT), check.facts - check.differences.size(), differences.size());
        return differences.isEmpty();
    }
}
