package io.github.vfio4j.uapi;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.GroupLayout;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SequenceLayout;
import java.lang.foreign.StructLayout;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;

/**
 * What the generated classes hold, found by reflection and not from the list they were generated from: a symbol that
 * jextract skipped, or a class that was left behind, would not be noticed otherwise.
 * <p>
 * Offsets and sizes are those of the accessors, which is what the rest of the code calls. That the layout of the struct
 * agrees with them is checked on the way.
 */
final class Bindings {

    /** The classes of the headers' constants. */
    static final List<Class<?>> HEADERS = List.of(iommufd_h.class, vfio_h.class);

    private Bindings() {
    }

    static AbiTable read() {
        List<AbiEntry> entries = new ArrayList<>();
        for (Class<?> type : structs()) {
            addStruct(type, entries);
        }
        for (Class<?> header : HEADERS) {
            for (Method method : header.getMethods()) {
                if (isAccessor(method) && isGenerated(method.getDeclaringClass()) && !method.getName().contains("$")) {
                    entries.add(AbiEntry.constant(method.getName(), constant(call(method))));
                }
            }
        }
        return AbiTable.of(new TreeMap<>(), entries, new TreeSet<>());
    }

    /** The generated classes that stand for a C struct. */
    static List<Class<?>> structs() {
        List<Class<?>> structs = new ArrayList<>();
        for (Class<?> type : classes()) {
            if (!type.isMemberClass() && !type.isLocalClass() && declares(type, "layout")) {
                structs.add(type);
            }
        }
        return structs;
    }

    /** Every generated class: what lies beside {@code vfio_h}, so without the tests, which are compiled elsewhere. */
    static List<Class<?>> classes() {
        URL home = Objects.requireNonNull(vfio_h.class.getResource("vfio_h.class"), "vfio_h.class");
        try (Stream<Path> files = Files.list(Objects.requireNonNull(Path.of(home.toURI()).getParent()))) {
            List<Class<?>> classes = new ArrayList<>();
            for (String file : files.map(path -> String.valueOf(path.getFileName())).sorted().toList()) {
                if (file.endsWith(".class") && !file.equals("package-info.class")) {
                    String name = file.substring(0, file.length() - ".class".length());
                    classes.add(Class.forName(vfio_h.class.getPackageName() + '.' + name));
                }
            }
            return classes;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (URISyntaxException | ClassNotFoundException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void addStruct(Class<?> type, List<AbiEntry> entries) {
        String struct = type.getSimpleName();
        GroupLayout layout = (GroupLayout) call(type, "layout");
        entries.add(AbiEntry.struct(struct, layout.byteSize()));
        require(layout.name().equals(Optional.of(struct)), struct + " has the layout of " + layout.name());
        List<AbiEntry> laidOut = new ArrayList<>();
        addFields(struct, "", 0, layout, laidOut);

        Set<String> accessible = new TreeSet<>();
        for (Method method : type.getDeclaredMethods()) {
            if (method.getName().endsWith("$offset")) {
                String name = method.getName().substring(0, method.getName().length() - "$offset".length());
                MemoryLayout field = (MemoryLayout) call(type, name + "$layout");
                AbiEntry entry = field(struct, name, (long) call(method), field);
                require(laidOut.contains(entry), entry.key() + " is not where the layout has it: " + entry.facts());
                accessible.add(entry.key());
                entries.add(entry);
            }
        }
        for (AbiEntry entry : laidOut) {
            // The fields of a struct inside a struct have accessors in their own class only.
            if (entry.name().indexOf('.') == entry.name().lastIndexOf('.')) {
                require(accessible.contains(entry.key()), entry.key() + " has no accessors");
            } else {
                entries.add(entry);
            }
        }
    }

    private static void addFields(String struct, String prefix, long base, GroupLayout group, List<AbiEntry> entries) {
        long offset = base;
        for (MemoryLayout member : group.memberLayouts()) {
            String name = member.name().orElse("");
            if (member instanceof GroupLayout inner && name.startsWith("$anon")) {
                // C names the members of an anonymous union as if they were the struct's own.
                addFields(struct, prefix, offset, inner, entries);
            } else if (!name.isEmpty()) {
                entries.add(field(struct, prefix + name, offset, member));
                if (member instanceof GroupLayout inner) {
                    addFields(struct, prefix + name + '.', offset, inner, entries);
                }
            }
            if (group instanceof StructLayout) {
                offset += member.byteSize();
            }
        }
    }

    private static AbiEntry field(String struct, String name, long offset, MemoryLayout layout) {
        // C has no size for a flexible array member, only for an element of it.
        return layout instanceof SequenceLayout array && array.elementCount() == 0
                ? AbiEntry.field(struct + '.' + name + "[]", offset, array.elementLayout().byteSize())
                : AbiEntry.field(struct + '.' + name, offset, layout.byteSize());
    }

    private static String constant(Object value) {
        return value instanceof MemorySegment string ? '"' + string.getString(0) + '"' : value.toString();
    }

    private static boolean isGenerated(Class<?> type) {
        return type.getPackage().equals(vfio_h.class.getPackage());
    }

    private static boolean isAccessor(Method method) {
        return Modifier.isStatic(method.getModifiers()) && method.getParameterCount() == 0;
    }

    private static boolean declares(Class<?> type, String name) {
        return Stream.of(type.getDeclaredMethods()).anyMatch(method -> method.getName().equals(name));
    }

    private static Object call(Class<?> type, String name) {
        try {
            return call(type.getMethod(name));
        } catch (NoSuchMethodException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Object call(Method method) {
        try {
            return Objects.requireNonNull(method.invoke(null));
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("cannot call " + method, e);
        }
    }

    private static void require(boolean condition, String message) {
        if (!condition) {
            throw new IllegalStateException(message);
        }
    }
}
