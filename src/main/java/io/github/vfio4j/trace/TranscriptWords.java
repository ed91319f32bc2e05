package io.github.vfio4j.trace;

import io.github.vfio4j.trace.Call.Buffer;
import io.github.vfio4j.trace.Call.Fd;
import io.github.vfio4j.trace.Call.Place;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** The calls of a transcript in words, each with its answer. Which descriptor leads to what is told by the calls before. */
final class TranscriptWords {

    private final Map<String, FileKind> kinds = new HashMap<>();

    private TranscriptWords() {
    }

    static List<String> of(List<Call> calls) {
        TranscriptWords words = new TranscriptWords();
        List<String> lines = new ArrayList<>();
        calls.forEach(call -> lines.add(words.line(call)));
        return lines;
    }

    private String line(Call call) {
        FileKind kind = call instanceof Call.Ioctl ioctl ? kind(ioctl.fd()) : FileKind.FILE;
        String answer = call.line().results().size() == 1 && call.line().results().getFirst() == Call.NEW_DESCRIPTOR
                ? String.valueOf(opened(call, kind))
                : CallWords.results(call.line().results());
        return CallWords.of(call, kind) + " = " + answer + written(call);
    }

    private FileKind kind(Fd fd) {
        return fd.name() == null ? FileKind.FILE : kinds.getOrDefault(fd.name(), FileKind.FILE);
    }

    /** The name of the descriptor that a call has returned. */
    private @Nullable String opened(Call call, FileKind kind) {
        return switch (call) {
            case Call.Open open -> name(open.as(), FileKind.ofPath(open.path()));
            case Call.EventFd eventFd -> name(eventFd.as(), FileKind.EVENTFD);
            case Call.Ioctl ioctl -> {
                FileKind returned = ioctl.argument() instanceof Buffer buffer
                        ? Requests.descriptorReturned(kind, ioctl.request(), buffer.after())
                        : null;
                yield name(ioctl.as(), returned == null ? FileKind.FILE : returned);
            }
            default -> null;
        };
    }

    private String name(@Nullable String as, FileKind kind) {
        if (as == null) {
            return CallWords.results(List.of(Call.NEW_DESCRIPTOR));
        }
        kinds.put(as, kind);
        return as;
    }

    /** The descriptors that a call has written into its argument. */
    private String written(Call call) {
        StringBuilder text = new StringBuilder();
        if (call instanceof Call.Ioctl ioctl && ioctl.argument() instanceof Buffer buffer) {
            for (Place place : buffer.outFds()) {
                text.append(", ").append(name(place.name(), FileKind.MIGRATION_DATA));
            }
        }
        return text.toString();
    }
}
