package io.github.vfio4j.cli.doctor;

/** Whether this process may open a file for reading and writing. */
enum Access {

    /** It may. */
    ALLOWED,

    /** It may not. */
    DENIED,

    /** There is no such file. */
    ABSENT
}
