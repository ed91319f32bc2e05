package io.github.vfio4j.emulation.vfio;

import io.github.vfio4j.Errno;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * What VFIO_GROUP_GET_DEVICE_FD was asked for: the name of a device, and options after it (semantics §D.3). The only
 * option there is, {@code vf_token=}, takes 36 bytes and needs no separator behind them.
 */
public final class DeviceName {

    /** The text names another device. Not an answer for user space. */
    public static final int NO_MATCH = 0;
    /** The text names this device, and its options make sense. Not an answer for user space. */
    public static final int MATCH = 1;

    private static final byte[] TOKEN_OPTION = "vf_token=".getBytes(StandardCharsets.US_ASCII);
    private static final int UUID_LENGTH = 36;

    private final byte[] text;
    private byte @Nullable [] token;

    /**
     * The text as user space gave it.
     *
     * @param text
     *            without the terminating zero
     */
    DeviceName(byte[] text) {
        this.text = text;
    }

    /** The token of the last match, null if there was none. */
    byte @Nullable [] token() {
        return token;
    }

    /** For devices without options: MATCH if the whole text is the name, else NO_MATCH. */
    public int matchWhole(String deviceName) {
        return new String(text, StandardCharsets.US_ASCII).equals(deviceName) ? MATCH : NO_MATCH;
    }

    /** Whether the text names this device: MATCH, NO_MATCH or −errno. */
    int match(String deviceName) {
        token = null;
        byte[] name = deviceName.getBytes(StandardCharsets.US_ASCII);
        if (!startsWith(name, 0)) {
            return NO_MATCH;
        }
        int at = name.length;
        if (at == text.length) {
            return MATCH;
        }
        if (text[at] != ' ') {
            return NO_MATCH;
        }
        while (true) {
            while (at < text.length && text[at] == ' ') {
                at++;
            }
            if (at == text.length) {
                return MATCH;
            }
            if (token != null || !startsWith(TOKEN_OPTION, at)) {
                return -Errno.EINVAL.code();
            }
            at += TOKEN_OPTION.length;
            token = parseUuid(at);
            if (token == null) {
                return -Errno.EINVAL.code();
            }
            at += UUID_LENGTH;
        }
    }

    private boolean startsWith(byte[] prefix, int at) {
        if (text.length - at < prefix.length) {
            return false;
        }
        for (int i = 0; i < prefix.length; i++) {
            if (text[at + i] != prefix[i]) {
                return false;
            }
        }
        return true;
    }

    /** The UUID at this place in text order, or null if there is none. */
    private byte @Nullable [] parseUuid(int at) {
        if (text.length - at < UUID_LENGTH) {
            return null;
        }
        byte[] uuid = new byte[16];
        int digits = 0;
        for (int i = 0; i < UUID_LENGTH; i++) {
            byte character = text[at + i];
            if (i == 8 || i == 13 || i == 18 || i == 23) {
                if (character != '-') {
                    return null;
                }
            } else if (character < 0 || !HexFormat.isHexDigit(character)) {
                return null;
            } else {
                uuid[digits / 2] |= (byte) (HexFormat.fromHexDigit(character) << (digits % 2 == 0 ? 4 : 0));
                digits++;
            }
        }
        return uuid;
    }
}
