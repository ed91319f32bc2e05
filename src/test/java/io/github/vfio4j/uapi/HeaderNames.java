package io.github.vfio4j.uapi;

import java.util.List;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Every name {@code vfio.h} and {@code iommufd.h} define, bound or not, in the form of {@link AbiEntry#key()}.
 * <p>
 * This reads what the C preprocessor printed with patterns, not with a C parser. That is enough, because nothing is
 * judged by it: it only finds what a newer header adds, to tell the reader.
 */
final class HeaderNames {

    private static final Pattern MACRO = Pattern.compile("#define (_*(?:VFIO|IOMMU(?:FD)?)_\\w+) \\S.*");
    private static final Pattern ENUM = Pattern.compile("\\benum(?:\\s+\\w+)?\\s*\\{([^}]*)}");
    private static final Pattern ENUMERATOR = Pattern.compile("(?:^|,)\\s*((?:VFIO|IOMMU(?:FD)?)_\\w+)");
    private static final Pattern STRUCT = Pattern.compile("\\bstruct\\s+((?:vfio|iommu)_\\w+)\\s*\\{");
    private static final Pattern ATTRIBUTE = Pattern.compile("__attribute__\\s*\\(\\(.*?\\)\\)");
    private static final Pattern MEMBER = Pattern.compile("(\\w+)\\s*(\\[[^]]*])?\\s*;");

    private HeaderNames() {
    }

    /**
     * Reads the names.
     *
     * @param macros
     *            what {@code cc -E -dM} prints
     * @param source
     *            what {@code cc -E -P} prints
     */
    static SortedSet<String> read(List<String> macros, String source) {
        SortedSet<String> names = new TreeSet<>();
        for (String line : macros) {
            Matcher macro = MACRO.matcher(line);
            if (macro.matches()) {
                names.add("constant " + macro.group(1));
            }
        }
        String code = ATTRIBUTE.matcher(source).replaceAll("");
        Matcher block = ENUM.matcher(code);
        while (block.find()) {
            Matcher enumerator = ENUMERATOR.matcher(block.group(1));
            while (enumerator.find()) {
                names.add("constant " + enumerator.group(1));
            }
        }
        Matcher struct = STRUCT.matcher(code);
        while (struct.find()) {
            names.add("struct " + struct.group(1));
            Matcher member = MEMBER.matcher(body(code, struct.end()));
            while (member.find()) {
                String array = "[]".equals(member.group(2)) ? "[]" : "";
                names.add("field " + struct.group(1) + '.' + member.group(1) + array);
            }
        }
        return names;
    }

    /** What is between the brace before {@code start} and the one that closes it. */
    private static String body(String code, int start) {
        int depth = 1;
        int end = start;
        while (depth > 0 && end < code.length()) {
            switch (code.charAt(end++)) {
                case '{' -> depth++;
                case '}' -> depth--;
                default -> {
                }
            }
        }
        return code.substring(start, end);
    }
}
