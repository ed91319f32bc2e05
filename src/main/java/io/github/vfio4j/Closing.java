package io.github.vfio4j;

import java.util.List;

/** Closes several things of which each has to be closed, whatever becomes of the others. */
final class Closing {

    /** Something to be closed. */
    interface Part {
        void close() throws VfioException;
    }

    private Closing() {
    }

    /**
     * Closes all of them in order.
     *
     * @throws VfioException
     *             the first error, with the later ones attached
     */
    static void all(List<Part> parts) throws VfioException {
        VfioException first = null;
        for (Part part : parts) {
            try {
                part.close();
            } catch (VfioException e) {
                if (first == null) {
                    first = e;
                } else {
                    first.addSuppressed(e);
                }
            }
        }
        if (first != null) {
            throw first;
        }
    }

    /** Closes what a failure leaves behind; an error of that is attached to the failure. */
    static void after(Exception failure, Part part) {
        try {
            part.close();
        } catch (VfioException e) {
            failure.addSuppressed(e);
        }
    }
}
