package io.github.vfio4j.trace;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A value in a line of a transcript, which knows where it stands: whatever is found wrong with it can be said with line
 * and column.
 */
final class Json {

    private static final JsonFactory FACTORY = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION).disable(StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION)
            .build();

    private final int line;
    private final int column;
    /** Where an object's closing brace is: that far, a key was missing. */
    private int endColumn;
    /** A String, BigInteger, Boolean, List or Map of these; null is JSON's null. */
    private final @Nullable Object value;
    private final Map<String, Integer> keyColumns = new LinkedHashMap<>();

    private Json(int line, int column, @Nullable Object value) {
        this.line = line;
        this.column = column;
        this.value = value;
    }

    /** The one object that a line holds. */
    static Json object(int line, String text) throws TranscriptException {
        try (JsonParser parser = FACTORY.createParser(text)) {
            if (parser.nextToken() != JsonToken.START_OBJECT) {
                throw new TranscriptException(line, 1, "a line of a transcript is one JSON object");
            }
            Json object = value(line, parser);
            if (parser.nextToken() != null) {
                throw new TranscriptException(line, column(parser), "the object's line goes on behind it");
            }
            return object;
        } catch (JsonProcessingException e) {
            int column = e.getLocation() == null ? 1 : Math.max(1, e.getLocation().getColumnNr());
            throw new TranscriptException(line, column, e.getOriginalMessage());
        } catch (TranscriptException e) {
            throw e;
        } catch (IOException e) {
            throw new UncheckedIOException("a text in memory was not read", e);
        }
    }

    private static int column(JsonParser parser) {
        return parser.currentTokenLocation().getColumnNr();
    }

    private static Json value(int line, JsonParser parser) throws IOException {
        int column = column(parser);
        return switch (parser.currentToken()) {
            case START_OBJECT -> members(line, parser);
            case START_ARRAY -> {
                List<Json> items = new ArrayList<>();
                while (parser.nextToken() != JsonToken.END_ARRAY) {
                    items.add(value(line, parser));
                }
                yield new Json(line, column, items);
            }
            case VALUE_STRING -> new Json(line, column, parser.getText());
            case VALUE_NUMBER_INT -> new Json(line, column, parser.getBigIntegerValue());
            case VALUE_TRUE, VALUE_FALSE -> new Json(line, column, parser.getBooleanValue());
            case VALUE_NULL -> new Json(line, column, null);
            default -> throw new TranscriptException(line, column, "there are no fractions in a transcript");
        };
    }

    private static Json members(int line, JsonParser parser) throws IOException {
        Map<String, Json> members = new LinkedHashMap<>();
        Json object = new Json(line, column(parser), members);
        while (parser.nextToken() != JsonToken.END_OBJECT) {
            String key = parser.currentName();
            object.keyColumns.put(key, column(parser));
            parser.nextToken();
            members.put(key, value(line, parser));
        }
        object.endColumn = column(parser);
        return object;
    }

    /** Something is wrong with this value. */
    TranscriptException error(String reason) {
        return new TranscriptException(line, column, reason);
    }

    private TranscriptException wrongType(String wanted) {
        String is = value == null
                ? "null"
                : value instanceof String
                        ? "a text"
                        : value instanceof BigInteger
                                ? "a number"
                                : value instanceof Boolean
                                        ? "true or false"
                                        : value instanceof List ? "a list" : "an object";
        return error("here belongs " + wanted + ", and not " + is);
    }

    @SuppressWarnings("unchecked") // a map has such members, and is nothing else
    private Map<String, Json> members() throws TranscriptException {
        if (value instanceof Map) {
            return (Map<String, Json>) value;
        }
        throw wrongType("an object");
    }

    /** The value of a key; null if the key is not there. */
    @Nullable
    Json find(String key) throws TranscriptException {
        return members().get(key);
    }

    /** The value of a key that must be there. */
    Json get(String key) throws TranscriptException {
        Json found = find(key);
        if (found == null) {
            throw new TranscriptException(line, endColumn, "the key \"" + key + "\" is missing");
        }
        return found;
    }

    /** Refuses keys that mean something, but not here. */
    void refuse(Set<String> keys, String where) throws TranscriptException {
        for (String key : members().keySet()) {
            if (keys.contains(key)) {
                throw new TranscriptException(line, keyColumns.getOrDefault(key, column),
                        "the key \"" + key + "\" has no meaning for " + where);
            }
        }
    }

    @SuppressWarnings("unchecked") // a list has such items, and is nothing else
    List<Json> items() throws TranscriptException {
        if (value instanceof List) {
            return (List<Json>) value;
        }
        throw wrongType("a list");
    }

    boolean isNull() {
        return value == null;
    }

    boolean isText() {
        return value instanceof String;
    }

    String text() throws TranscriptException {
        if (value instanceof String text) {
            return text;
        }
        throw wrongType("a text");
    }

    boolean bool() throws TranscriptException {
        if (value instanceof Boolean bool) {
            return bool;
        }
        throw wrongType("true or false");
    }

    /** A whole number in a range, both ends included. */
    long number(long least, long most) throws TranscriptException {
        if (!(value instanceof BigInteger number)) {
            throw wrongType("a number");
        }
        if (number.compareTo(BigInteger.valueOf(least)) < 0 || number.compareTo(BigInteger.valueOf(most)) > 0) {
            throw error("the number is not in " + least + " to " + most);
        }
        return number.longValueExact();
    }

    int integer(int least, int most) throws TranscriptException {
        return (int) number(least, most);
    }

    /** 64 bits, written as a signed or as an unsigned number. */
    long word() throws TranscriptException {
        if (!(value instanceof BigInteger number)) {
            throw wrongType("null, a number or a text of hexadecimal bytes");
        }
        if (number.compareTo(BigInteger.valueOf(Long.MIN_VALUE)) < 0 || number.bitLength() > Long.SIZE) {
            throw error("the number does not fit 64 bits");
        }
        return number.longValue();
    }

    /** Bytes as hexadecimal digits, two each, without anything in between. */
    MemorySegment hex() throws TranscriptException {
        String digits = text();
        for (int i = 0; i < digits.length(); i++) {
            if (!HexFormat.isHexDigit(digits.charAt(i))) {
                throw new TranscriptException(line, column + 1 + i, "this is no hexadecimal digit");
            }
        }
        if (digits.length() % 2 != 0) {
            throw error("a byte has two hexadecimal digits, and these are " + digits.length());
        }
        return MemorySegment.ofArray(HexFormat.of().parseHex(digits)).asReadOnly();
    }
}
