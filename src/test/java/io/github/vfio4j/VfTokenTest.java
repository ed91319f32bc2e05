package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class VfTokenTest {

    private static final String TEXT = "00112233-4455-6677-8899-aabbccddeeff";
    private static final byte[] BYTES = HexFormat.of().parseHex("00112233445566778899aabbccddeeff");

    @Test
    void textBytesAndUuidHaveTheSameOrder() {
        VfToken token = VfToken.parse(TEXT);
        assertThat(token.toBytes()).isEqualTo(BYTES);
        assertThat(token.toUuid()).isEqualTo(UUID.fromString(TEXT));
        assertThat(token.toText()).isEqualTo(TEXT);
        assertThat(VfToken.of(BYTES)).isEqualTo(token);
        assertThat(VfToken.of(UUID.fromString(TEXT))).isEqualTo(token);
    }

    @Test
    void digitsMayBeOfEitherCase() {
        assertThat(VfToken.parse(TEXT.toUpperCase(Locale.ROOT))).isEqualTo(VfToken.parse(TEXT));
        assertThat(VfToken.parse("FFeeDDcc-BBaa-9988-7766-554433221100").toText())
                .isEqualTo("ffeeddcc-bbaa-9988-7766-554433221100");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " ", "0", "1-1-1-1-1", "00112233445566778899aabbccddeeff",
            "{00112233-4455-6677-8899-aabbccddeeff}", " 00112233-4455-6677-8899-aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddeeff ", "00112233-4455-6677-8899-aabbccddeeff\n",
            "00112233-4455-6677-8899-aabbccddeef", "00112233-4455-6677-8899-aabbccddeeff0",
            "0011223-34455-6677-8899-aabbccddeeff", "00112233_4455_6677_8899_aabbccddeeff",
            "g0112233-4455-6677-8899-aabbccddeeff", "+0112233-4455-6677-8899-aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddee\u0660\u0661", "urn:uuid:00112233-4455-6677-8899-aabbccddeeff"})
    void otherTextsAreRefusedWithoutBeingRepeated(String text) {
        Throwable refusal = catchThrowable(() -> VfToken.parse(text));
        assertThat(refusal).isInstanceOf(IllegalArgumentException.class).hasNoCause()
                .hasMessageContaining("(" + text.length() + " characters)").hasMessageContaining("8-4-4-4-12");
        if (text.length() > 20) {
            assertThat(stackTrace(refusal)).doesNotContain(text.strip().substring(text.strip().length() - 6));
        }
    }

    private static String stackTrace(Throwable thrown) {
        StringWriter text = new StringWriter();
        thrown.printStackTrace(new PrintWriter(text));
        return text.toString();
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 15, 17})
    void otherLengthsAreRefused(int length) {
        assertThatIllegalArgumentException().isThrownBy(() -> VfToken.of(new byte[length]))
                .withMessageContaining("16 bytes").withMessageContaining("not " + length);
    }

    @Test
    void anyBytesAreAToken() {
        assertThat(VfToken.of(new byte[16]).toText()).isEqualTo("00000000-0000-0000-0000-000000000000");
        assertThat(VfToken.parse("ffffffff-ffff-ffff-ffff-ffffffffffff").toBytes()).containsOnly(-1);
    }

    @Test
    void itsTextIsRedacted() {
        assertThat(VfToken.parse(TEXT)).hasToString("VfToken[redacted]");
        assertThat(VfToken.random()).hasToString("VfToken[redacted]");
    }

    @Test
    void whoeverHoldsItsBytesCannotChangeIt() {
        byte[] given = BYTES.clone();
        VfToken token = VfToken.of(given);
        given[0] = 1;
        token.toBytes()[1] = 2;
        assertThat(token.toBytes()).isEqualTo(BYTES);
    }

    @Test
    void itIsWrittenToNativeMemoryAsBytesAndAsText() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(17).fill((byte) 0x5a);
            VfToken.parse(TEXT).copyTo(bytes);
            assertThat(bytes.toArray(java.lang.foreign.ValueLayout.JAVA_BYTE)).startsWith(BYTES).endsWith(0x5a);

            MemorySegment text = arena.allocate(VfToken.TEXT_LENGTH + 1L);
            VfToken.parse(TEXT.toUpperCase(Locale.ROOT)).copyTextTo(text);
            assertThat(text.getString(0, StandardCharsets.US_ASCII)).isEqualTo(TEXT);
        }
    }

    @Test
    void equalityIsThatOfTheBytes() {
        VfToken token = VfToken.parse(TEXT);
        assertThat(token).isEqualTo(VfToken.of(BYTES)).hasSameHashCodeAs(VfToken.of(BYTES))
                .isNotEqualTo(VfToken.parse("00112233-4455-6677-8899-aabbccddeefe")).isNotEqualTo(null)
                .isNotEqualTo(UUID.fromString(TEXT));
    }

    @Test
    void randomTokensAreVersion4AndNeverTheSame() {
        Set<VfToken> tokens = IntStream.range(0, 1000).mapToObj(i -> VfToken.random()).collect(Collectors.toSet());
        assertThat(tokens).hasSize(1000).allSatisfy(token -> {
            assertThat(token.toUuid().version()).isEqualTo(4);
            assertThat(token.toUuid().variant()).isEqualTo(2);
        });
    }
}
