package io.github.vfio4j.backend;

/** Events of poll(2), in the values that all architectures share for these. */
public final class Poll {

    /** A read would not wait. */
    public static final short POLLIN = 1;
    /** A write would not wait. */
    public static final short POLLOUT = 4;
    /** There is an error; told without being asked for. */
    public static final short POLLERR = 8;
    /** The descriptor is not open; told without being asked for. */
    public static final short POLLNVAL = 0x20;

    private Poll() {
    }
}
