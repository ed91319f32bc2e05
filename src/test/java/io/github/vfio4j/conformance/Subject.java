package io.github.vfio4j.conformance;

/**
 * A device that random programs ask.
 *
 * @param name
 *            what its group calls it: a PCI address, or the UUID of a mediated device; of a virtual function, which is not
 *            there yet, the address of its physical function
 * @param index
 *            which of the virtual functions it is, or how many ports an mtty has
 */
record Subject(Kind kind, String name, int index) {

    /** What a program can do with it. */
    enum Kind {
        PHYSICAL_FUNCTION, VIRTUAL_FUNCTION, PLAIN_FUNCTION, MTTY, MDPY;

        boolean isMediated() {
            return this == MTTY || this == MDPY;
        }
    }

    Subject(Kind kind, String name) {
        this(kind, name, 0);
    }

    @Override
    public String toString() {
        return kind + (kind == Kind.VIRTUAL_FUNCTION ? " " + index : "");
    }
}
