package io.github.vfio4j.trace;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import io.github.vfio4j.trace.Call.Buffer;
import io.github.vfio4j.trace.Call.Fd;
import io.github.vfio4j.trace.Call.Place;
import io.github.vfio4j.trace.Call.Pointee;
import io.github.vfio4j.trace.Call.Value;
import java.io.IOException;
import java.io.StringWriter;
import java.io.Writer;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Writes the lines of a transcript. The first failure is kept for {@link #close}; nothing is written after it. */
final class TranscriptWriter {

    private static final JsonFactory FACTORY = new JsonFactory();

    private final Writer out;
    private boolean closed;
    private @Nullable IOException failure;

    TranscriptWriter(Writer out) {
        this.out = out;
    }

    void write(Environment environment) {
        writeLine(environment.toString());
    }

    void write(Call call) {
        if (failure == null && !closed) {
            try {
                StringWriter text = new StringWriter();
                try (JsonGenerator json = FACTORY.createGenerator(text)) {
                    write(json, call);
                }
                writeLine(text.toString());
            } catch (IOException e) {
                failure = e;
            }
        }
    }

    private void writeLine(String line) {
        try {
            out.write(line + "\n");
            out.flush();
        } catch (IOException e) {
            failure = e;
        }
    }

    private static void write(JsonGenerator json, Call call) throws IOException {
        json.writeStartObject();
        switch (call) {
            case Call.Open open -> {
                start(json, "open", open.as());
                json.writeStringField("path", open.path());
                json.writeNumberField("flags", open.flags());
            }
            case Call.Close close -> start(json, "close", close.fd());
            case Call.Ioctl ioctl -> writeIoctl(json, ioctl);
            case Call.Read read -> {
                start(json, read.offset() == null ? "read" : "pread", read.fd());
                json.writeNumberField("length", read.length());
                if (read.data() != null) {
                    writeBytes(json, "data", read.data());
                }
                writeOffset(json, read.offset());
            }
            case Call.Write write -> {
                start(json, write.offset() == null ? "write" : "pwrite", write.fd());
                writeBytes(json, "data", write.data());
                writeOffset(json, write.offset());
            }
            case Call.EventFd eventFd -> {
                start(json, "eventfd", eventFd.as());
                json.writeNumberField("value", eventFd.value());
                json.writeNumberField("flags", eventFd.flags());
            }
            case Call.SysfsWrite sysfs -> {
                json.writeStringField("op", "sysfs");
                json.writeStringField("path", sysfs.path());
                json.writeStringField("value", sysfs.value());
            }
        }
        writeLine(json, call.line());
        json.writeEndObject();
    }

    private static void start(JsonGenerator json, String op, @Nullable String as) throws IOException {
        json.writeStringField("op", op);
        if (as != null) {
            json.writeStringField("as", as);
        }
    }

    private static void start(JsonGenerator json, String op, Fd fd) throws IOException {
        json.writeStringField("op", op);
        if (fd.name() != null) {
            json.writeStringField("fd", fd.name());
        } else {
            json.writeNumberField("fd", fd.number());
        }
    }

    private static void writeOffset(JsonGenerator json, @Nullable Long offset) throws IOException {
        if (offset != null) {
            json.writeNumberField("offset", offset);
        }
    }

    private static void writeBytes(JsonGenerator json, String key, MemorySegment bytes) throws IOException {
        json.writeStringField(key, HexFormat.of().formatHex(bytes.toArray(ValueLayout.JAVA_BYTE)));
    }

    private static void writeIoctl(JsonGenerator json, Call.Ioctl ioctl) throws IOException {
        start(json, "ioctl", ioctl.fd());
        if (ioctl.as() != null) {
            json.writeStringField("as", ioctl.as());
        }
        json.writeStringField("request", "0x" + Long.toHexString(ioctl.request()));
        switch (ioctl.argument()) {
            case Value value -> {
                if (value.value() == 0) {
                    json.writeNullField("arg");
                } else {
                    json.writeNumberField("arg", value.value());
                }
            }
            case Buffer buffer -> {
                writeBytes(json, "arg", buffer.before());
                if (buffer.before().mismatch(buffer.after()) >= 0) {
                    writeBytes(json, "out", buffer.after());
                }
                if (buffer.mapped() < buffer.before().byteSize()) {
                    json.writeNumberField("mapped", buffer.mapped());
                }
                writePlaces(json, "fds", buffer.fds());
                writePlaces(json, "outFds", buffer.outFds());
                writePointees(json, buffer.pointees());
            }
        }
    }

    private static void writePlaces(JsonGenerator json, String key, List<Place> places) throws IOException {
        if (!places.isEmpty()) {
            json.writeArrayFieldStart(key);
            for (Place place : places) {
                json.writeStartObject();
                json.writeNumberField("offset", place.offset());
                json.writeStringField("name", place.name());
                json.writeEndObject();
            }
            json.writeEndArray();
        }
    }

    private static void writePointees(JsonGenerator json, List<Pointee> pointees) throws IOException {
        if (!pointees.isEmpty()) {
            json.writeArrayFieldStart("pointees");
            for (Pointee pointee : pointees) {
                json.writeStartObject();
                json.writeNumberField("offset", pointee.offset());
                writeBytes(json, "in", pointee.before());
                if (pointee.before().mismatch(pointee.after()) >= 0) {
                    writeBytes(json, "out", pointee.after());
                }
                json.writeEndObject();
            }
            json.writeEndArray();
        }
    }

    private static void writeLine(JsonGenerator json, Call.Line line) throws IOException {
        if (line.results().size() == 1) {
            writeResult(json, "result", line.results().getFirst());
        } else {
            json.writeArrayFieldStart("anyOf");
            for (long result : line.results()) {
                writeResult(json, null, result);
            }
            json.writeEndArray();
        }
        if (line.pauseMillis() > 0) {
            json.writeNumberField("pauseMillis", line.pauseMillis());
        }
    }

    private static void writeResult(JsonGenerator json, @Nullable String key, long result) throws IOException {
        if (key != null) {
            json.writeFieldName(key);
        }
        if (result == Call.NEW_DESCRIPTOR) {
            json.writeString("fd");
        } else {
            json.writeNumber(result);
        }
    }

    /** Ends the transcript; later calls are not written. */
    void close() throws IOException {
        closed = true;
        try (out) {
            if (failure != null) {
                throw failure;
            }
        }
    }
}
