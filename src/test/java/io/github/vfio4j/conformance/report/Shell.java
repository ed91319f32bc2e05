package io.github.vfio4j.conformance.report;

/** Words for a shell. */
public final class Shell {

    private Shell() {
    }

    /**
     * A word as it can be pasted into a command line.
     *
     * @param word
     *            any text
     * @return the word, in quotes where it needs them
     */
    public static String quote(String word) {
        return word.matches("[\\w@%+=:,./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
    }
}
