package io.github.vfio4j.backend;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * What GraalVM is told of the functions that {@link Libc} links: these, with the same types and options, and no others. How a
 * handle was linked it does not tell, so the source is read, and of a form that is not understood here the test fails.
 */
class ReachabilityMetadataTest {

    private static final String METADATA = "/META-INF/native-image/io.github.vfio4j/vfio4j/reachability-metadata.json";
    private static final Path SOURCE = Path.of("src", "main", "java", "io", "github", "vfio4j", "backend", "Libc.java");

    private static final Pattern LINK = Pattern.compile("link\\(\\s*FunctionDescriptor\\.of\\(([A-Z_, ]+)\\)"
            + "(?:,\\s*Linker\\.Option\\.firstVariadicArg\\((\\d+)\\))?\\)");

    private static final Map<String, ValueLayout> LAYOUTS = Map.of("JAVA_INT", ValueLayout.JAVA_INT, "JAVA_LONG",
            ValueLayout.JAVA_LONG, "ADDRESS", ValueLayout.ADDRESS);

    /**
     * What an image has to have a stub for.
     *
     * @param firstVariadic
     *            index of the first variadic argument, or -1
     * @param errno
     *            whether it is captured
     */
    private record Downcall(FunctionDescriptor types, int firstVariadic, boolean errno) {
    }

    private static Set<Downcall> linked() throws IOException {
        String source = Files.readString(SOURCE);
        assertThat(source).contains("withErrno[0] = Linker.Option.captureCallState(\"errno\")");
        Set<Downcall> downcalls = new HashSet<>();
        int links = 0;
        Matcher link = LINK.matcher(source);
        while (link.find()) {
            List<ValueLayout> types = Stream.of(link.group(1).split(",\\s*")).map(LAYOUTS::get)
                    .map(Objects::requireNonNull).toList();
            downcalls.add(new Downcall(
                    FunctionDescriptor.of(types.getFirst(),
                            types.subList(1, types.size()).toArray(MemoryLayout[]::new)),
                    link.group(2) == null ? -1 : Integer.parseInt(link.group(2)), true));
            links++;
        }
        assertThat(Pattern.compile("\\blink\\(\\s*FunctionDescriptor\\.").matcher(source).results())
                .as("calls of link in %s", SOURCE).hasSize(links).isNotEmpty();
        return downcalls;
    }

    private static Set<Downcall> declared() throws IOException {
        Set<Downcall> downcalls = new HashSet<>();
        try (InputStream stream = Objects.requireNonNull(Libc.class.getResourceAsStream(METADATA));
                JsonParser json = new JsonFactory().createParser(stream)) {
            MemoryLayout result = null;
            List<MemoryLayout> parameters = new ArrayList<>();
            int firstVariadic = -1;
            boolean errno = false;
            while (json.nextToken() != null) {
                switch (String.valueOf(json.currentName())) {
                    case "returnType" -> {
                        json.nextToken();
                        result = layout(json.getText());
                    }
                    case "parameterTypes" -> {
                        json.nextToken();
                        while (json.nextToken() != JsonToken.END_ARRAY) {
                            parameters.add(layout(json.getText()));
                        }
                    }
                    case "captureCallState" -> errno = json.nextBooleanValue();
                    case "firstVariadicArg" -> firstVariadic = json.nextIntValue(-1);
                    default -> {
                        if (json.currentToken() == JsonToken.END_OBJECT && result != null
                                && !"options".equals(json.currentName())) {
                            assertThat(downcalls.add(
                                    new Downcall(FunctionDescriptor.of(result, parameters.toArray(MemoryLayout[]::new)),
                                            firstVariadic, errno)))
                                    .as("one entry for each kind of call").isTrue();
                            result = null;
                            parameters.clear();
                            firstVariadic = -1;
                            errno = false;
                        }
                    }
                }
            }
        }
        return downcalls;
    }

    /** GraalVM takes the names that the linker of the JDK has for layouts. */
    private static MemoryLayout layout(String name) {
        return Objects.requireNonNull(Linker.nativeLinker().canonicalLayouts().get(name), name).withoutName();
    }

    @Test
    void namesTheFunctionsThatAreLinked() throws IOException {
        assertThat(declared()).as("%s, and what Libc links", METADATA).isEqualTo(linked());
    }
}
