package io.github.vfio4j.examples.guide;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A page of the documentation, which is in the directory docs.
 *
 * @param file
 *            its path
 * @param text
 *            its Markdown
 */
public record Guide(Path file, String text) {

    private static final Path DIRECTORY = Path.of("docs");
    private static final Path SOURCES = Path.of("src", "test", "java", "io", "github", "vfio4j", "examples", "guide");

    private static final Pattern BLOCK = Pattern.compile("^```(\\w*)(?: ([\\w#]+))?\n(.*?)^```$",
            Pattern.MULTILINE | Pattern.DOTALL);

    /**
     * What stands between fences.
     *
     * @param language
     *            the first word of its first line
     * @param name
     *            the second word; may be empty
     * @param text
     *            the lines between
     */
    public record Block(String language, String name, String text) {
    }

    public static Guide of(Path file) {
        try {
            return new Guide(file, Files.readString(file));
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    static List<Guide> all() {
        try (Stream<Path> files = Files.list(DIRECTORY)) {
            return files.filter(file -> file.toString().endsWith(".md")).sorted().map(Guide::of).toList();
        } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
        }
    }

    List<Block> blocks() {
        return BLOCK.matcher(text).results()
                .map(block -> new Block(block.group(1), block.group(2) == null ? "" : block.group(2), block.group(3)))
                .toList();
    }

    /**
     * A command that is shown with what it prints.
     *
     * @param words
     *            the command
     * @param output
     *            what is shown of its output
     */
    public record Command(List<String> words, String output) {

        /** Whether this is what it printed, where a line with an ellipsis stands for any number of lines. */
        public Pattern pattern() {
            return Guide.pattern(output);
        }

        @Override
        public String toString() {
            return String.join(" ", words);
        }
    }

    /** The commands in blocks marked console, each on a line that begins with a dollar sign. */
    public List<Command> commands() {
        return blocks().stream().filter(block -> block.language().equals("console"))
                .flatMap(block -> Stream.of(block.text().split("(?m)^\\$ "))).filter(command -> !command.isEmpty())
                .map(command -> command.split("\n", 2))
                .map(command -> new Command(List.of(command[0].split(" ")), command[1])).toList();
    }

    /** What matches the same output: a line with an ellipsis stands for any number of lines, and times are any. */
    static Pattern pattern(String shown) {
        return Pattern.compile(Stream.of(("\n" + shown).split("\n…\n", -1)).map(Pattern::quote)
                .map(part -> part.replaceAll("\\(\\d+ ms\\)", "\\\\E\\\\(\\\\d+ ms\\\\)\\\\Q"))
                .collect(Collectors.joining("\n(?s:.*)", "(?s)", "")));
    }

    /** A class of this package, or a part of it that is marked as javadoc's snippets are: {@code Class#region}. */
    static String source(String name) throws IOException {
        String file = name.replaceFirst("#.*", "");
        String source = Files.readString(SOURCES.resolve(file + ".java"));
        if (!file.equals(name)) {
            String region = Pattern.quote(name.substring(file.length() + 1));
            source = Pattern
                    .compile("^ *// @start region=\"" + region + "\"\n(.*?)^ *// @end$",
                            Pattern.MULTILINE | Pattern.DOTALL)
                    .matcher(source).results().map(part -> part.group(1)).findFirst()
                    .orElseThrow(() -> new IOException(file + " has no region " + region)).stripTrailing().stripIndent()
                    + "\n";
        }
        return source.replaceAll("(?m)^ *// @(start|end).*\n", "");
    }

    @Override
    public String toString() {
        return file.toString();
    }
}
