package io.github.vfio4j;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.Locale;
import java.util.UUID;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;

/** Every 16 bytes are a token, and its forms say the same. */
class VfTokenPropertiesTest {

    @Property
    void textBytesAndUuidAreOneOrder(@ForAll long high, @ForAll long low) {
        UUID uuid = new UUID(high, low);
        VfToken token = VfToken.of(uuid);
        assertThat(token.toText()).isEqualTo(uuid.toString());
        assertThat(HexFormat.of().formatHex(token.toBytes())).isEqualTo(uuid.toString().replace("-", ""));
        assertThat(VfToken.of(token.toBytes())).isEqualTo(token);
        assertThat(VfToken.parse(uuid.toString().toUpperCase(Locale.ROOT))).isEqualTo(token).hasSameHashCodeAs(token);
    }

    @Property
    void nativeCopiesAreWhatTheKernelTakes(@ForAll long high, @ForAll long low) {
        VfToken token = VfToken.of(new UUID(high, low));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment bytes = arena.allocate(VfToken.BYTE_SIZE);
            token.copyTo(bytes);
            assertThat(bytes.toArray(ValueLayout.JAVA_BYTE)).isEqualTo(token.toBytes());
            MemorySegment text = arena.allocate(VfToken.TEXT_LENGTH);
            token.copyTextTo(text);
            assertThat(new String(text.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.US_ASCII))
                    .isEqualTo(token.toText());
        }
    }

    @Property
    void otherBytesAreAnotherToken(@ForAll long high, @ForAll long low) {
        VfToken token = VfToken.of(new UUID(high, low));
        for (int bit = 0; bit < 8 * VfToken.BYTE_SIZE; bit++) {
            byte[] bytes = token.toBytes();
            bytes[bit / 8] ^= (byte) (1 << bit % 8);
            assertThat(VfToken.of(bytes)).isNotEqualTo(token);
        }
    }
}
