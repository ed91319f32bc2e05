package io.github.vfio4j.cli.doctor;

import java.util.Locale;

/** What a check comes to. */
public enum Outcome {

    /** As it should be. */
    OK,

    /** Nothing stands in the way, but something is limited. */
    NOTE,

    /** The device cannot be used like this. */
    PROBLEM,

    /** It depends on something that is not right yet, or that this user may not see. */
    UNKNOWN,

    /** Of no concern for this device. */
    NOT_APPLICABLE;

    /** In words, which are also those of the JSON. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
}
