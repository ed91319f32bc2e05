package io.github.vfio4j.trace;

import static io.github.vfio4j.uapi.vfio_h.VFIO_GROUP_GET_DEVICE_FD;

import io.github.vfio4j.Errno;
import io.github.vfio4j.feature.FeatureRequest;
import io.github.vfio4j.trace.Call.Buffer;
import io.github.vfio4j.trace.Call.Place;
import io.github.vfio4j.trace.Call.Value;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Calls and results in words. No VF token gets into them. */
final class CallWords {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;

    private CallWords() {
    }

    /**
     * A call.
     *
     * @param kind
     *            what its descriptor leads to
     */
    static String of(Call call, FileKind kind) {
        return switch (call) {
            case Call.Open open -> "open " + open.path();
            case Call.Close close -> "close " + close.fd();
            case Call.Ioctl ioctl -> Requests.name(kind, ioctl.request()) + argument(ioctl, kind) + " on " + ioctl.fd();
            case Call.Read read -> "read " + read.length() + " bytes from " + read.fd() + at(read.offset());
            case Call.Write write ->
                "write " + write.data().byteSize() + " bytes to " + write.fd() + at(write.offset());
            case Call.EventFd eventFd -> "eventfd of " + Integer.toUnsignedString(eventFd.value());
            case Call.SysfsWrite sysfs -> "write \"" + sysfs.value() + "\" to " + sysfs.path();
        };
    }

    private static String at(@Nullable Long offset) {
        return offset == null ? "" : " at " + offset;
    }

    private static String argument(Call.Ioctl ioctl, FileKind kind) {
        return switch (ioctl.argument()) {
            case Value value -> " " + (value.value() == 0 ? "null" : Long.toString(value.value()));
            case Buffer buffer -> buffer(ioctl.request(), kind, buffer) + handed(buffer.fds());
        };
    }

    private static String buffer(long request, FileKind kind, Buffer buffer) {
        MemorySegment bytes = buffer.before();
        if (request == VFIO_GROUP_GET_DEVICE_FD()) {
            return " \"" + TokenDisguise.withoutTokens(text(bytes)) + "\"";
        }
        if (bytes.byteSize() < Long.BYTES) {
            return "";
        }
        String argsz = ", argsz " + Integer.toUnsignedString(bytes.get(INT, 0));
        return Requests.isFeature(kind, request, bytes)
                ? " " + FeatureRequest.raw(bytes).describe() + argsz
                : argsz + ", flags 0x" + Integer.toHexString(bytes.get(INT, Integer.BYTES));
    }

    /** A text up to its NUL. */
    private static String text(MemorySegment bytes) {
        String text = new String(bytes.toArray(ValueLayout.JAVA_BYTE), StandardCharsets.ISO_8859_1);
        int end = text.indexOf('\0');
        return end < 0 ? text : text.substring(0, end);
    }

    private static String handed(List<Place> fds) {
        return fds.isEmpty() ? "" : fds.stream().map(Place::name).collect(Collectors.joining(", ", ", with ", ","));
    }

    /** Results of which any would be right. */
    static String results(List<Long> results) {
        return results.stream().map(result -> result == Call.NEW_DESCRIPTOR ? "a descriptor" : result(result))
                .collect(Collectors.joining(" or "));
    }

    /** A number, or an errno by its name. */
    static String result(long result) {
        return result >= 0 ? Long.toString(result) : Errno.ofResult(result).toString();
    }
}
