package io.github.vfio4j.trace;

import io.github.vfio4j.trace.Call.Argument;
import io.github.vfio4j.trace.Call.Buffer;
import io.github.vfio4j.trace.Call.Fd;
import io.github.vfio4j.trace.Call.Line;
import io.github.vfio4j.trace.Call.Place;
import io.github.vfio4j.trace.Call.Pointee;
import io.github.vfio4j.trace.Call.Value;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Understands the lines of a transcript. A line that cannot be understood is an error and never skipped; keys that the
 * format does not have are ignored, so that others can have more to say.
 */
final class TranscriptReader {

    private static final int MAX_ERRNO = 4095;

    /** For a line: the keys that every call has. */
    private static final Set<String> COMMON = Set.of("op", "result", "anyOf", "pauseMillis");

    /** For an operation: the other keys that it has. */
    private static final Map<String, Set<String>> KEYS = Map.of("open", Set.of("as", "path", "flags"), "close",
            Set.of("fd"), "ioctl", Set.of("as", "fd", "request", "arg", "out", "mapped", "fds", "outFds", "pointees"),
            "read", Set.of("fd", "length", "data"), "write", Set.of("fd", "length", "data"), "pread",
            Set.of("fd", "length", "data", "offset"), "pwrite", Set.of("fd", "length", "data", "offset"), "eventfd",
            Set.of("as", "value", "flags"), "sysfs", Set.of("path", "value"));

    private static final Set<String> ALL_KEYS = allKeys();

    /** Every name that was given to a descriptor, and whether it is open as far as the expected results tell. */
    private final Map<String, Boolean> names = new HashMap<>();

    private static Set<String> allKeys() {
        Set<String> all = new HashSet<>(COMMON);
        KEYS.values().forEach(all::addAll);
        return Set.copyOf(all);
    }

    Transcript read(byte[] file) throws TranscriptException {
        List<String> lines = lines(file);
        if (lines.isEmpty()) {
            throw new TranscriptException(1, 1, "the first line, which says where the calls were made, is missing");
        }
        Environment environment = Environment.parse(lines.getFirst());
        List<Call> calls = new ArrayList<>();
        for (int i = 1; i < lines.size(); i++) {
            calls.add(call(i + 1, Json.object(i + 1, lines.get(i))));
        }
        return new Transcript(environment, calls);
    }

    /** The lines without their ends; white space after the last one is none. */
    private static List<String> lines(byte[] file) throws TranscriptException {
        List<String> lines = new ArrayList<>();
        int start = 0;
        for (int i = 0; i <= file.length; i++) {
            if (i == file.length || file[i] == '\n') {
                lines.add(line(lines.size() + 1, ByteBuffer.wrap(file, start, i - start)));
                start = i + 1;
            }
        }
        while (!lines.isEmpty() && lines.getLast().isBlank()) {
            lines.removeLast();
        }
        return lines;
    }

    private static String line(int number, ByteBuffer bytes) throws TranscriptException {
        CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT);
        CharBuffer text = CharBuffer.allocate(bytes.remaining());
        if (decoder.decode(bytes, text, true).isError()) {
            throw new TranscriptException(number, text.position() + 1, "this is not UTF-8");
        }
        return text.flip().toString();
    }

    private Call call(int number, Json json) throws TranscriptException {
        Json operation = json.get("op");
        String op = operation.text();
        Set<String> keys = KEYS.get(op);
        if (keys == null) {
            throw operation.error("there is no such op; there are open, close, ioctl, read, write, pread, pwrite,"
                    + " eventfd and sysfs");
        }
        Set<String> others = new HashSet<>(ALL_KEYS);
        others.removeAll(keys);
        others.removeAll(COMMON);
        json.refuse(others, op);
        Line line = line(number, json);
        return switch (op) {
            case "open" -> new Call.Open(line, as(json, line), path(json), integer(json, "flags", 0));
            case "close" -> close(line, json);
            case "ioctl" -> ioctl(line, json);
            case "read", "pread" -> read(line, json, op.equals("pread"));
            case "write", "pwrite" -> write(line, json, op.equals("pwrite"));
            case "eventfd" ->
                new Call.EventFd(line, as(json, line), integer(json, "value", 0), integer(json, "flags", 0));
            default -> new Call.SysfsWrite(line, path(json), json.get("value").text());
        };
    }

    private static Line line(int number, Json json) throws TranscriptException {
        Json pause = json.find("pauseMillis");
        Json anyOf = json.find("anyOf");
        Json result = json.find("result");
        List<Long> results = new ArrayList<>();
        if (anyOf == null) {
            results.add(result(json.get("result")));
        } else if (result != null) {
            throw anyOf.error("a call has either \"result\" or \"anyOf\"");
        } else {
            for (Json item : anyOf.items()) {
                results.add(result(item));
            }
            if (results.isEmpty()) {
                throw anyOf.error("there is no result that would be right");
            }
        }
        return new Line(number, pause == null ? 0 : pause.integer(0, Integer.MAX_VALUE), List.copyOf(results));
    }

    private static long result(Json json) throws TranscriptException {
        if (!json.isText()) {
            return json.number(-MAX_ERRNO, Long.MAX_VALUE - 1);
        }
        if (json.text().equals("fd")) {
            return Call.NEW_DESCRIPTOR;
        }
        throw json.error("a result is a number from -" + MAX_ERRNO + " on, or \"fd\"");
    }

    private static String path(Json json) throws TranscriptException {
        Json path = json.get("path");
        String text = path.text();
        if (!text.startsWith("/") || text.indexOf('\0') >= 0) {
            throw path.error("a path is absolute, and has no NUL in it");
        }
        return text;
    }

    private static int integer(Json json, String key, int absent) throws TranscriptException {
        Json found = json.find(key);
        return found == null ? absent : (int) found.number(Integer.MIN_VALUE, 0xffff_ffffL);
    }

    private @Nullable String as(Json json, Line line) throws TranscriptException {
        Json as = json.find("as");
        if (as == null) {
            return null;
        }
        bind(as, line.opens());
        return as.text();
    }

    private void bind(Json name, boolean open) throws TranscriptException {
        String text = name.text();
        if (text.isEmpty()) {
            throw name.error("a name has letters in it");
        }
        if (names.getOrDefault(text, false)) {
            throw name.error("the name \"" + text + "\" has been given to a descriptor that is open");
        }
        names.put(text, open);
    }

    private Fd fd(Json json) throws TranscriptException {
        Json fd = json.get("fd");
        return fd.isText() ? Fd.named(known(fd)) : Fd.number(fd.integer(Integer.MIN_VALUE, Integer.MAX_VALUE));
    }

    private String known(Json name) throws TranscriptException {
        if (!names.containsKey(name.text())) {
            throw name.error("no line before has given a descriptor the name \"" + name.text() + "\"");
        }
        return name.text();
    }

    private Call close(Line line, Json json) throws TranscriptException {
        Fd fd = fd(json);
        if (fd.name() != null && line.opens()) {
            names.put(fd.name(), false);
        }
        return new Call.Close(line, fd);
    }

    private Call read(Line line, Json json, boolean positioned) throws TranscriptException {
        Fd fd = fd(json);
        Json data = json.find("data");
        MemorySegment bytes = data == null ? null : data.hex();
        Json length = bytes == null ? json.get("length") : json.find("length");
        int size = length == null ? (int) bytesOf(bytes) : length.integer(0, Integer.MAX_VALUE);
        if (data != null && bytesOf(bytes) > size) {
            throw data.error("more bytes were read than asked for");
        }
        if (data != null && line.results().stream().allMatch(result -> Math.max(0, result) != bytesOf(bytes))) {
            throw data.error("these are not as many bytes as the result says");
        }
        return new Call.Read(line, fd, size, bytes, positioned ? offset(json) : null);
    }

    private static long bytesOf(@Nullable MemorySegment bytes) {
        return bytes == null ? 0 : bytes.byteSize();
    }

    private static Long offset(Json json) throws TranscriptException {
        return json.get("offset").number(Long.MIN_VALUE, Long.MAX_VALUE);
    }

    private Call write(Line line, Json json, boolean positioned) throws TranscriptException {
        Fd fd = fd(json);
        MemorySegment data = json.get("data").hex();
        Json length = json.find("length");
        if (length != null && length.number(0, Long.MAX_VALUE) != data.byteSize()) {
            throw length.error("the data has another length: " + data.byteSize() + " bytes");
        }
        return new Call.Write(line, fd, data, positioned ? offset(json) : null);
    }

    private Call ioctl(Line line, Json json) throws TranscriptException {
        Fd fd = fd(json);
        Json request = json.get("request");
        if (!request.text().matches("0[xX]\\p{XDigit}{1,16}")) {
            throw request.error("a request is a number like \"0x3b75\"");
        }
        long number = Long.parseUnsignedLong(request.text().substring(2), 16);
        Json arg = json.find("arg");
        Argument argument;
        if (arg != null && arg.isText()) {
            argument = buffer(json, arg.hex());
        } else {
            json.refuse(Set.of("out", "mapped", "fds", "outFds", "pointees"), "an \"arg\" that is not bytes");
            argument = new Value(arg == null || arg.isNull() ? 0 : arg.word());
        }
        return new Call.Ioctl(line, as(json, line), fd, number, argument);
    }

    private Buffer buffer(Json json, MemorySegment before) throws TranscriptException {
        Json mappedJson = json.find("mapped");
        int mapped = mappedJson == null ? (int) before.byteSize() : mappedJson.integer(0, (int) before.byteSize());
        Json outJson = json.find("out");
        MemorySegment after = outJson == null ? before : outJson.hex();
        if (outJson != null && after.byteSize() == mapped && mapped < before.byteSize()) {
            after = concat(after, before.asSlice(mapped));
        }
        if (after.byteSize() != before.byteSize()) {
            throw json.get("out").error(
                    "the buffer has " + before.byteSize() + " bytes before the call, and here " + after.byteSize());
        }
        List<Place> fds = new ArrayList<>();
        for (Json item : items(json, "fds")) {
            fds.add(new Place(offset(item, before, Integer.BYTES), known(item.get("name"))));
        }
        List<Place> outFds = new ArrayList<>();
        for (Json item : items(json, "outFds")) {
            Json name = item.get("name");
            outFds.add(new Place(offset(item, before, Integer.BYTES), name.text()));
            if (!names.getOrDefault(name.text(), false)) {
                bind(name, true);
            }
        }
        List<Pointee> pointees = new ArrayList<>();
        for (Json item : items(json, "pointees")) {
            pointees.add(pointee(item, before));
        }
        return new Buffer(before, after, mapped, fds, outFds, pointees);
    }

    private static MemorySegment concat(MemorySegment first, MemorySegment second) {
        MemorySegment both = MemorySegment.ofArray(new byte[(int) (first.byteSize() + second.byteSize())]);
        both.copyFrom(first);
        both.asSlice(first.byteSize()).copyFrom(second);
        return both.asReadOnly();
    }

    private static List<Json> items(Json json, String key) throws TranscriptException {
        Json list = json.find(key);
        return list == null ? List.of() : list.items();
    }

    private static int offset(Json item, MemorySegment buffer, int size) throws TranscriptException {
        Json offset = item.get("offset");
        long at = offset.number(0, Integer.MAX_VALUE);
        if (at + size > buffer.byteSize()) {
            throw offset.error("the buffer has " + buffer.byteSize() + " bytes, and none for " + size + " at " + at);
        }
        return (int) at;
    }

    private static Pointee pointee(Json item, MemorySegment buffer) throws TranscriptException {
        int offset = offset(item, buffer, Long.BYTES);
        MemorySegment before = item.get("in").hex();
        Json out = item.find("out");
        MemorySegment after = out == null ? before : out.hex();
        if (out != null && after.byteSize() != before.byteSize()) {
            throw out.error(
                    "the memory has " + before.byteSize() + " bytes before the call, and here " + after.byteSize());
        }
        return new Pointee(offset, before, after);
    }
}
