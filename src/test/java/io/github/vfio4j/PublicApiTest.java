package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The public API is what is written down: whoever changes it does so knowingly. As long as nothing is released there is no jar
 * to compare with.
 */
class PublicApiTest {

    private static final Path BASELINE = Path.of("src", "test", "resources", "api", "public-api.txt");

    /** Set on Maven's command line to write the file instead. */
    private static final String WRITE = "vfio4j.api.write";

    private static final Pattern QUALIFIED = Pattern.compile("\\b(?:[a-z]\\w*\\.)+[A-Z]\\w*(?:[.$][A-Z]\\w*)*");

    private static Path classes() {
        try {
            return Path.of(Vfio.class.getProtectionDomain().getCodeSource().getLocation().toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Those that others can name. */
    private static List<Class<?>> publicClasses() throws IOException, ClassNotFoundException {
        ModuleDescriptor module;
        try (InputStream descriptor = Files.newInputStream(classes().resolve("module-info.class"))) {
            module = ModuleDescriptor.read(descriptor);
        }
        List<Class<?>> found = new ArrayList<>();
        for (ModuleDescriptor.Exports exported : module.exports()) {
            assertThat(exported.isQualified()).as("%s is for somebody in particular", exported).isFalse();
            List<String> names;
            try (Stream<Path> files = Files.list(classes().resolve(exported.source().replace('.', '/')))) {
                names = files.map(file -> file.getFileName().toString()).filter(file -> file.endsWith(".class"))
                        .map(file -> exported.source() + "." + file.replaceFirst("\\.class$", "")).toList();
            }
            for (String name : names) {
                Class<?> type = Class.forName(name, false, Vfio.class.getClassLoader());
                if (isPublic(type)) {
                    found.add(type);
                }
            }
        }
        return found;
    }

    private static boolean isPublic(Class<?> type) {
        Class<?> enclosing = type.getEnclosingClass();
        return Modifier.isPublic(type.getModifiers()) && !type.isAnonymousClass()
                && (enclosing == null || isPublic(enclosing));
    }

    /** Each class with its members, as javap prints them, in an order that says nothing. */
    private static String describe(List<Class<?>> types) throws IOException {
        List<String> command = new ArrayList<>(
                List.of(Path.of(System.getProperty("java.home"), "bin", "javap").toString(), "-J-Dfile.encoding=UTF-8",
                        "-J-XX:TieredStopAtLevel=1", "-protected", "-constants", "-cp", classes().toString()));
        types.forEach(type -> command.add(type.getName()));
        Process javap = new ProcessBuilder(command).redirectErrorStream(true).start();
        List<String> lines = new String(javap.getInputStream().readAllBytes(), StandardCharsets.UTF_8).lines()
                .filter(line -> !line.startsWith("Compiled from ")).map(String::stripTrailing).toList();
        SortedMap<String, List<String>> declarations = new TreeMap<>();
        List<String> members = new ArrayList<>();
        for (String line : lines) {
            if (line.startsWith("  ")) {
                members.add(line.strip());
            } else if (!line.equals("}")) {
                members = new ArrayList<>();
                declarations.put(line.replaceFirst(" ?\\{$", ""), members);
            }
        }
        assertThat(declarations).as("classes that javap describes").hasSameSizeAs(types);
        return declarations.entrySet().stream()
                .map(type -> type.getKey() + "\n" + type.getValue().stream().sorted()
                        .map(member -> "  " + member + "\n").collect(Collectors.joining()))
                .collect(Collectors.joining());
    }

    @Test
    void isWhatIsWrittenDown() throws IOException, ClassNotFoundException {
        String api = describe(publicClasses());
        if (Boolean.getBoolean(WRITE)) {
            Files.createDirectories(BASELINE.getParent());
            Files.writeString(BASELINE, api);
        }
        String written = Files.readString(BASELINE);
        if (!api.equals(written)) {
            fail("The public API has changed. Missing now, and therefore incompatible:%n%s%nNew:%n%s%nIf it is meant: mvn"
                    + " -D%s=true -Dtest=PublicApiTest test, and a line in CHANGELOG.md", without(written, api),
                    without(api, written), WRITE);
        }
    }

    /** The members of one that the other does not have, each with its class. */
    private static String without(String api, String other) {
        List<String> others = members(other);
        return members(api).stream().filter(member -> !others.contains(member)).map(member -> "  " + member)
                .collect(Collectors.joining("\n"));
    }

    private static List<String> members(String api) {
        List<String> members = new ArrayList<>();
        String type = "";
        for (String line : api.lines().toList()) {
            type = line.startsWith(" ") ? type : line;
            members.add(line.startsWith(" ") ? type + ": " + line.strip() : type);
        }
        return members;
    }

    @Test
    void namesNothingThatOthersCannotName() throws IOException, ClassNotFoundException {
        List<Class<?>> types = publicClasses();
        List<String> names = types.stream().map(Class::getName).toList();
        assertThat(QUALIFIED.matcher(describe(types)).results().map(MatchResult::group)
                .filter(name -> !name.startsWith("java.") && !names.contains(name)).distinct()).isEmpty();
    }
}
