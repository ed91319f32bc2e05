package io.github.vfio4j.uapi;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * The bindings against what a C compiler made of the headers.
 * <p>
 * Nothing else would notice a wrong offset: the emulation reads with the same layouts as the code it is to test, and a
 * kernel mostly answers a misplaced field with a value that looks right. The committed table is compared in every
 * build; {@code -Dvfio4j.abi.table=FILE} takes a table that {@code scripts/check-abi --table FILE} made of
 * others.
 */
class AbiTest {

    private static final Path PROJECT = Path.of(System.getProperty("basedir", ""));

    private static final Path COMMITTED = PROJECT.resolve("src/test/resources/abi/uapi.tsv");

    @Test
    void bindingsSayWhatTheCompilerSays() throws IOException {
        AbiTable bindings = Bindings.read();
        AbiTable pinned = AbiTable.read(COMMITTED);
        String other = System.getProperty("vfio4j.abi.table", "");
        AbiTable header = other.isEmpty() ? pinned : AbiTable.read(Path.of(other));

        AbiCheck check = AbiCheck.of(bindings, header, pinned);

        check.additions().forEach(addition -> System.out.println("The headers add: " + addition));
        assertThat(check.differences()).as("differences between the bindings and the headers").isEmpty();
        assertThat(check.facts()).isEqualTo(bindings.entries().size());
    }

    @Test
    void bindingsHoldTheSymbolsAskedForAndNoOthers() throws IOException {
        Set<String> asked = new TreeSet<>();
        List<String> lines = new ArrayList<>();
        for (Class<?> header : Bindings.HEADERS) {
            String name = header.getSimpleName().replaceAll("_h$", "");
            lines.addAll(Files.readAllLines(PROJECT.resolve("jextract-config/" + name + ".symbols")));
        }
        for (String line : lines) {
            if (!line.isBlank() && !line.startsWith("#")) {
                String[] word = line.strip().split(" +", -1);
                assertThat(word).as(line).hasSize(2);
                assertThat(word[0]).as(line).isIn("--include-struct", "--include-constant");
                assertThat(asked.add(word[0].substring("--include-".length()) + ' ' + word[1])).as(line).isTrue();
            }
        }
        Set<String> held = new TreeSet<>(Bindings.read().entries().keySet());
        held.removeIf(key -> key.startsWith("field "));
        assertThat(minus(asked, held)).as("asked for in *.symbols, missing in the bindings").isEmpty();
        assertThat(minus(held, asked)).as("in the bindings, not asked for in *.symbols").isEmpty();
    }

    private static Set<String> minus(Set<String> some, Set<String> others) {
        Set<String> rest = new TreeSet<>(some);
        rest.removeAll(others);
        return rest;
    }

    @Test
    void tableIsOfThePinnedHeaders() throws IOException {
        List<String> pin = Files.readAllLines(PROJECT.resolve("jextract-config/headers.pin"));
        Map<String, String> headers = AbiTable.read(COMMITTED).headers();
        assertThat(headers).containsOnlyKeys("linux/iommufd.h", "linux/vfio.h")
                .allSatisfy((header, sha256) -> assertThat(pin).contains("sha256 of " + header + " = " + sha256));
    }

    @Test
    void everyNameIsEitherBoundOrLeftOut() throws IOException {
        AbiTable pinned = AbiTable.read(COMMITTED);
        assertThat(pinned.unbound()).doesNotContainAnyElementsOf(pinned.entries().keySet());
        assertThat(pinned.unbound().stream().filter(key -> key.startsWith("field ")))
                .as("fields of a bound struct that the bindings lack").isEmpty();
    }

    @Test
    void allThirteenFeaturesAreThere() {
        Set<String> notFeatures = Set.of("MASK", "GET", "SET", "PROBE", "CLEAR_MASTER", "SET_MASTER");
        String prefix = "constant VFIO_DEVICE_FEATURE_";
        List<Integer> features = Bindings.read().entries().values().stream()
                .filter(entry -> entry.key().startsWith(prefix)
                        && !notFeatures.contains(entry.key().substring(prefix.length())))
                .map(entry -> Integer.parseInt(entry.value())).sorted().toList();
        assertThat(features).isEqualTo(IntStream.rangeClosed(0, 12).boxed().toList());
    }

    /** The one class that calls C is written by hand; constants and layouts must be readable without native access. */
    @Test
    void bindingsHaveNoFunctions() {
        assertThat(Bindings.HEADERS.stream().flatMap(header -> Stream.of(header.getMethods()))
                .filter(method -> Modifier.isStatic(method.getModifiers())))
                .allSatisfy(method -> assertThat(method.getParameterCount()).as("parameters of " + method).isZero());
        List<String> linking = new ArrayList<>();
        for (Class<?> type : Bindings.classes()) {
            Set<String> types = Stream
                    .concat(Stream.of(type.getDeclaredFields()).map(field -> field.getType().getName()),
                            Stream.of(type.getDeclaredMethods()).map(Method::getReturnType).map(Class::getName))
                    .collect(Collectors.toSet());
            if (types.contains("java.lang.foreign.SymbolLookup") || types.contains("java.lang.foreign.Linker")) {
                linking.add(type.getName());
            }
        }
        assertThat(linking).isEmpty();
    }
}
