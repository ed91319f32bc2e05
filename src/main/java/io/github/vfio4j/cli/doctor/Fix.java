package io.github.vfio4j.cli.doctor;

import java.util.List;

/**
 * The commands that put something right, in order.
 *
 * @param asRoot
 *            whether root has to enter them
 * @param commands
 *            for a shell; none where none is known
 */
public record Fix(boolean asRoot, List<String> commands) {

    /** There is nothing to enter. */
    static final Fix NONE = new Fix(false, List.of());

    /** Commands for root. */
    static Fix byRoot(List<String> commands) {
        return new Fix(true, commands);
    }

    /** Commands for root. */
    static Fix byRoot(String... commands) {
        return byRoot(List.of(commands));
    }

    /** Commands for the user. */
    static Fix byUser(String... commands) {
        return new Fix(false, List.of(commands));
    }
}
