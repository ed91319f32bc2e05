package io.github.vfio4j.emulation;

/**
 * A real kernel would crash or hang here (device-feature semantics §F.7). Thrown instead of imitating that, so that a
 * test finds the hazard before a machine does.
 */
public final class KernelHazardException extends RuntimeException {

    private static final long serialVersionUID = 1;

    /**
     * Says what would happen.
     *
     * @param what
     *            what the real kernel would do, and how to avoid it
     */
    public KernelHazardException(String what) {
        super("Refused, as a real kernel would not survive it: " + what);
    }
}
