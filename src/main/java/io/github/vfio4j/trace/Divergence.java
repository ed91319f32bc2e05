package io.github.vfio4j.trace;

/**
 * A call that was not answered as the transcript says. Its texts hold no VF token.
 *
 * @param line
 *            the call's line in the transcript
 * @param call
 *            the call in words
 * @param expected
 *            what it should have returned and written, as far as it differs
 * @param actual
 *            what it did
 */
public record Divergence(int line, String call, String expected, String actual) {

    /** All of it in one line. */
    @Override
    public String toString() {
        return "line " + line + ": " + call + ": expected " + expected + ", but was " + actual;
    }
}
