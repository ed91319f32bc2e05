package io.github.vfio4j.uapi;

/**
 * One fact of the ABI: the size of a struct, the place and size of a field, or the value of a constant.
 * <p>
 * Offsets and values stay text, exactly as the C compiler or the bindings print them: they are only ever compared, and
 * an integer, an unsigned one and a string then need no cases of their own.
 *
 * @param kind
 *            what the name stands for
 * @param name
 *            the C name; of a field {@code struct.field}, with {@code []} at its end for a flexible array member
 * @param offset
 *            of a field its offset in bytes, else {@code -}
 * @param value
 *            of a struct and a field the size in bytes (of a flexible array member that of one element), of a constant
 *            its value in decimal or in quotes
 */
record AbiEntry(Kind kind, String name, String offset, String value) {

    enum Kind {
        STRUCT, FIELD, CONSTANT
    }

    static AbiEntry struct(String name, long size) {
        return new AbiEntry(Kind.STRUCT, name, "-", Long.toString(size));
    }

    static AbiEntry field(String name, long offset, long size) {
        return new AbiEntry(Kind.FIELD, name, Long.toString(offset), Long.toString(size));
    }

    static AbiEntry constant(String name, String value) {
        return new AbiEntry(Kind.CONSTANT, name, "-", value);
    }

    String key() {
        return label(kind) + " " + name;
    }

    static String label(Kind kind) {
        return switch (kind) {
            case STRUCT -> "struct";
            case FIELD -> "field";
            case CONSTANT -> "constant";
        };
    }

    /** What is said about the name, for a reader who compares two of them. */
    String facts() {
        return switch (kind) {
            case STRUCT -> value + " bytes";
            case FIELD -> value + " bytes at offset " + offset;
            case CONSTANT -> value;
        };
    }
}
