package io.github.vfio4j.cli.doctor;

/** One of the things that have to be right before a device works. It only looks. */
interface Check {

    /** Its name in the output. */
    String name();

    /** Looks. */
    Finding examine(Examination examination);

    default Finding ok(String message) {
        return new Finding(name(), Outcome.OK, message, Fix.NONE);
    }

    default Finding note(String message, Fix fix) {
        return new Finding(name(), Outcome.NOTE, message, fix);
    }

    default Finding problem(String message, Fix fix) {
        return new Finding(name(), Outcome.PROBLEM, message, fix);
    }

    default Finding unknown(String message, Fix fix) {
        return new Finding(name(), Outcome.UNKNOWN, message, fix);
    }

    default Finding notApplicable(String message) {
        return new Finding(name(), Outcome.NOT_APPLICABLE, message, Fix.NONE);
    }
}
