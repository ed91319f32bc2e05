package io.github.vfio4j.cli.doctor;

import java.util.List;
import java.util.Optional;

/**
 * The files by which a machine shows how it is: sysfs, procfs and /dev. Paths are absolute. What cannot be read is as if it
 * were not there, and nothing is ever written.
 */
interface SystemFiles {

    /** Whether there is anything at a path, a link that leads nowhere included. */
    boolean exists(String path);

    /** Where a symbolic link points; empty if there is no such link. */
    Optional<String> target(String path);

    /** The last name of that. */
    default Optional<String> link(String path) {
        return target(path).map(target -> target.substring(target.lastIndexOf('/') + 1));
    }

    /** The text of a file, without white space around it. */
    Optional<String> read(String path);

    /** The names in a directory, in order. */
    List<String> list(String path);

    /** Whether this process may open a file for reading and writing. */
    Access access(String path);
}
