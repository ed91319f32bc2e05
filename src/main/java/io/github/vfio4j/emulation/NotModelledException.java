package io.github.vfio4j.emulation;

/**
 * The emulated kernel was asked for something that a real one does and this one does not model.
 *
 * <p>
 * Thrown instead of an invented answer, so that no test passes on the strength of one.
 */
public final class NotModelledException extends UnsupportedOperationException {

    private static final long serialVersionUID = 1;

    /**
     * Says what is missing.
     *
     * @param what
     *            what was asked for
     */
    public NotModelledException(String what) {
        super("The emulated kernel does not model " + what + "; run this against a real kernel");
    }
}
