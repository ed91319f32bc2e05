package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/** Looks for VF tokens in what is printed: as text, as numbers, as bytes, whole and in pieces of four bytes. */
public final class TokenTraces {

    private TokenTraces() {
    }

    /**
     * Fails if there is any trace of a token, and tells where.
     *
     * @param printed
     *            any text
     * @param tokens
     *            UUIDs of which no part is likely to be printed by chance
     */
    public static void assertNoneIn(String printed, Collection<String> tokens) {
        String letters = letters(printed);
        for (String token : tokens) {
            byte[] bytes = VfToken.parse(token).toBytes();
            for (String form : List.of(token, token.toUpperCase(Locale.ROOT),
                    HexFormat.ofDelimiter(", ").formatHex(bytes), Base64.getEncoder().encodeToString(bytes))) {
                assertThat(of(token)).as("it would be found in %s", form).anyMatch(letters(form)::contains);
            }
            for (String trace : of(token)) {
                assertThat(letters.indexOf(trace)).as(() -> {
                    int at = letters.indexOf(trace);
                    return "where " + trace + " is: "
                            + letters.substring(Math.max(0, at - 200), Math.min(letters.length(), at + 100));
                }).isNegative();
            }
        }
    }

    /** A token, and every four bytes of it, as they can stand in a text without anything between the letters. */
    private static List<String> of(String token) {
        byte[] bytes = VfToken.parse(token).toBytes();
        HexFormat hex = HexFormat.of();
        List<String> traces = new ArrayList<>();
        for (int at = 0; at + 4 <= bytes.length; at += 4) {
            ByteBuffer word = ByteBuffer.wrap(bytes, at, 4).slice();
            traces.add(hex.formatHex(bytes, at, at + 4));
            traces.add(hex.toHexDigits(word.order(ByteOrder.LITTLE_ENDIAN).getInt(0)));
            traces.add(Integer.toString(Math.abs(word.getInt(0))));
            traces.add(Integer.toString(Math.abs(word.order(ByteOrder.BIG_ENDIAN).getInt(0))));
            // As Arrays.toString and List.toString have bytes, signed or not.
            StringBuilder signed = new StringBuilder();
            StringBuilder unsigned = new StringBuilder();
            for (int i = at; i < at + 4; i++) {
                signed.append(Math.abs(bytes[i]));
                unsigned.append(bytes[i] & 0xff);
            }
            if (signed.length() >= 8) {
                traces.add(signed.toString());
            }
            if (unsigned.length() >= 8) {
                traces.add(unsigned.toString());
            }
        }
        for (ByteOrder order : List.of(ByteOrder.BIG_ENDIAN, ByteOrder.LITTLE_ENDIAN)) {
            for (int at : new int[]{0, Long.BYTES}) {
                long half = ByteBuffer.wrap(bytes).order(order).getLong(at);
                traces.add(Long.toString(half).replace("-", ""));
                traces.add(Long.toUnsignedString(half));
            }
        }
        traces.add(letters(Base64.getEncoder().encodeToString(bytes)));
        traces.add(letters(Base64.getEncoder().encodeToString(token.getBytes(StandardCharsets.US_ASCII))));
        // The letters of its text, as bytes in hexadecimal: how a transcript has an argument.
        traces.add(hex.formatHex(token.substring(9, 18).getBytes(StandardCharsets.US_ASCII)));
        return traces;
    }

    private static String letters(String text) {
        return text.replaceAll("[^0-9A-Za-z]", "").toLowerCase(Locale.ROOT);
    }
}
