package io.github.vfio4j.trace;

import java.io.IOException;

/** A transcript that cannot be understood: where, and why. */
public final class TranscriptException extends IOException {

    private static final long serialVersionUID = 1L;

    /** The line. */
    private final int line;
    /** The column. */
    private final int column;
    /** What is wrong there. */
    private final String reason;

    TranscriptException(int line, int column, String reason) {
        super("line " + line + ", column " + column + ": " + reason);
        this.line = line;
        this.column = column;
        this.reason = reason;
    }

    /**
     * The line.
     *
     * @return from 1 on
     */
    public int line() {
        return line;
    }

    /**
     * The character in the line.
     *
     * @return from 1 on
     */
    public int column() {
        return column;
    }

    /**
     * What is wrong there.
     *
     * @return words without the place
     */
    public String reason() {
        return reason;
    }
}
