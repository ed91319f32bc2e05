package io.github.vfio4j.trace;

import static io.github.vfio4j.uapi.vfio_h.VFIO_DEVICE_BIND_IOMMUFD;
import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;

import io.github.vfio4j.VfToken;
import io.github.vfio4j.feature.FeatureId;
import io.github.vfio4j.uapi.vfio_device_bind_iommufd;
import io.github.vfio4j.uapi.vfio_device_feature;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.function.UnaryOperator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Keeps VF tokens out of a transcript: each is replaced by a stand-in that is just as well formed, the same one every
 * time. The kernel only compares tokens, so it answers as it did. The token of zeros stands for itself.
 *
 * <p>
 * Tokens are where the kernel takes them from: in feature 0, in the name of a device, behind the pointer of
 * VFIO_DEVICE_BIND_IOMMUFD. What may be a piece of one, in requests too short or names misspelt, becomes zeros; the kernel
 * refuses those for their form.
 */
final class TokenDisguise {

    private static final long STAND_IN_HIGH = 0xdecafbad_0000_4000L;
    private static final long STAND_IN_LOW = 0x8000_0000_0000_0000L;

    private static final Pattern UUID_TEXT = Pattern.compile("\\p{XDigit}{8}(-\\p{XDigit}{4}){3}-\\p{XDigit}{12}");

    /** Longer than any word of the grammar that looks like digits. */
    private static final Pattern DIGITS = Pattern.compile("[-\\p{XDigit}]{9,}");

    private final Map<UUID, UUID> standIns = new HashMap<>();

    TokenDisguise() {
        UUID zeros = new UUID(0, 0);
        standIns.put(zeros, zeros);
    }

    /**
     * Replaces what tokens the argument of an ioctl holds, in place; also where it was sent to the wrong descriptor. (The
     * number of VFIO_DEVICE_FEATURE has another meaning on a container, but none with flags that name feature 0.)
     */
    void disguise(long request, MemorySegment argument) {
        if (request == VFIO_GROUP_GET_DEVICE_FD()) {
            disguiseName(argument);
        } else if (Requests.isFeature(FeatureId.PCI_VF_TOKEN, FileKind.DEVICE, request, argument)) {
            MemorySegment payload = argument.asSlice(vfio_device_feature.sizeof());
            disguiseBytes(payload.asSlice(0, Math.min(VfToken.BYTE_SIZE, payload.byteSize())));
        }
    }

    /** Replaces the token that the memory is to which the argument points at an offset, in place. */
    void disguisePointee(long request, long offset, MemorySegment pointee) {
        if (request == VFIO_DEVICE_BIND_IOMMUFD() && offset == vfio_device_bind_iommufd.token_uuid_ptr$offset()) {
            disguiseBytes(pointee.asSlice(0, Math.min(VfToken.BYTE_SIZE, pointee.byteSize())));
        }
    }

    private void disguiseBytes(MemorySegment token) {
        if (token.byteSize() == VfToken.BYTE_SIZE) {
            VfToken.of(standIn(VfToken.of(token.toArray(ValueLayout.JAVA_BYTE)).toUuid())).copyTo(token);
        } else {
            token.fill((byte) 0);
        }
    }

    private void disguiseName(MemorySegment name) {
        String text = new String(name.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.ISO_8859_1);
        int options = text.indexOf(' ', 1);
        if (options >= 0) {
            byte[] disguised = (text.substring(0, options) + disguiseText(text.substring(options)))
                    .getBytes(StandardCharsets.ISO_8859_1);
            MemorySegment.copy(disguised, 0, name, ValueLayout.JAVA_BYTE, 0, disguised.length);
        }
    }

    /** Every token in a text, and every run of digits that may be a piece of one; the text's length stays. */
    private String disguiseText(String text) {
        return replace(DIGITS, text,
                run -> UUID_TEXT.matcher(run).find()
                        ? replace(UUID_TEXT, run, this::standIn)
                        : run.replaceAll("\\p{XDigit}", "0"));
    }

    private static String replace(Pattern pattern, String text, UnaryOperator<String> replacement) {
        return pattern.matcher(text).replaceAll(found -> Matcher.quoteReplacement(replacement.apply(found.group())));
    }

    /** The case of the digits stays, as the kernel takes either. */
    private String standIn(String token) {
        String standIn = standIn(UUID.fromString(token)).toString();
        return token.equals(token.toLowerCase(Locale.ROOT)) ? standIn : standIn.toUpperCase(Locale.ROOT);
    }

    private synchronized UUID standIn(UUID token) {
        return standIns.computeIfAbsent(token, unknown -> new UUID(STAND_IN_HIGH, STAND_IN_LOW + standIns.size()));
    }

    /** What a message may show of a device's name: everything but the tokens. */
    static String withoutTokens(String name) {
        int options = name.indexOf(' ', 1);
        return options < 0
                ? name
                : name.substring(0, options) + DIGITS.matcher(name.substring(options)).replaceAll("[redacted]");
    }
}
