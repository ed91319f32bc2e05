package io.github.vfio4j;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.UUID;
import java.util.regex.Pattern;

/**
 * A VF token: the 16-byte secret shared between the owner of an SR-IOV physical function and those who open its virtual
 * functions (feature {@code PCI_VF_TOKEN}; device-feature semantics §D).
 *
 * <p>
 * A token is a secret. {@link #toString} never shows it, and no message of this library does. Whoever wants the text
 * asks for it by name ({@link #toText}). Immutable and safe for use by many threads.
 */
public final class VfToken {

    /** Size of a token in bytes, as the kernel takes it. */
    public static final int BYTE_SIZE = 16;

    /** Length of the text form. */
    static final int TEXT_LENGTH = 36;

    private static final Pattern TEXT = Pattern
            .compile("[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}");

    private final byte[] bytes;

    private VfToken(byte[] bytes) {
        this.bytes = bytes;
    }

    /**
     * Reads the text form, 8-4-4-4-12 hexadecimal digits of either case.
     *
     * @param text
     *            a UUID in its usual spelling
     * @return the token
     * @throws IllegalArgumentException
     *             if the text is anything else; the message does not repeat it
     */
    public static VfToken parse(String text) {
        if (!TEXT.matcher(text).matches()) {
            // The text is not repeated: it may be a secret with one letter too many.
            throw new IllegalArgumentException("That is not a VF token (" + text.length() + " characters): a token is a"
                    + " UUID, 36 characters, hexadecimal digits grouped 8-4-4-4-12 (uuidgen makes one)");
        }
        return of(UUID.fromString(text));
    }

    /**
     * The token with the bytes of a UUID in text order, the order in which the kernel keeps it.
     *
     * @param uuid
     *            any UUID: the kernel looks at neither version nor variant
     * @return the token
     */
    public static VfToken of(UUID uuid) {
        return new VfToken(ByteBuffer.allocate(BYTE_SIZE).putLong(uuid.getMostSignificantBits())
                .putLong(uuid.getLeastSignificantBits()).array());
    }

    /**
     * The token with these bytes.
     *
     * @param bytes
     *            16 bytes in text order; copied
     * @return the token
     */
    public static VfToken of(byte[] bytes) {
        if (bytes.length != BYTE_SIZE) {
            throw new IllegalArgumentException("A VF token has 16 bytes, not " + bytes.length);
        }
        return new VfToken(bytes.clone());
    }

    /**
     * A new token from a cryptographically strong source.
     *
     * @return a token nobody else has
     */
    public static VfToken random() {
        return of(UUID.randomUUID());
    }

    /**
     * The text form. The caller has the secret in its hands from here on.
     *
     * @return 36 characters, lower-case
     */
    public String toText() {
        return toUuid().toString();
    }

    /**
     * The token as a UUID.
     *
     * @return the UUID whose text is this token's text
     */
    public UUID toUuid() {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        return new UUID(buffer.getLong(), buffer.getLong());
    }

    /**
     * The 16 bytes in text order.
     *
     * @return a copy
     */
    public byte[] toBytes() {
        return bytes.clone();
    }

    /**
     * Writes the 16 bytes to native memory without a copy on the heap.
     *
     * @param target
     *            where to; its first 16 bytes are written
     */
    public void copyTo(MemorySegment target) {
        MemorySegment.copy(bytes, 0, target, ValueLayout.JAVA_BYTE, 0, BYTE_SIZE);
    }

    /** Writes the text form to native memory, digit by digit: a String would outlive its use on the heap. */
    void copyTextTo(MemorySegment target) {
        long at = 0;
        for (int i = 0; i < BYTE_SIZE; i++) {
            if (i == 4 || i == 6 || i == 8 || i == 10) {
                target.set(ValueLayout.JAVA_BYTE, at++, (byte) '-');
            }
            target.set(ValueLayout.JAVA_BYTE, at++, (byte) Character.forDigit(bytes[i] >> 4 & 0xf, 16));
            target.set(ValueLayout.JAVA_BYTE, at++, (byte) Character.forDigit(bytes[i] & 0xf, 16));
        }
    }

    /** Compares in time that does not depend on where two tokens differ. */
    @Override
    public boolean equals(Object other) {
        return other instanceof VfToken token && MessageDigest.isEqual(bytes, token.bytes);
    }

    @Override
    public int hashCode() {
        return toUuid().hashCode();
    }

    /** Says that it is a token, never which. */
    @Override
    public String toString() {
        return "VfToken[redacted]";
    }
}
