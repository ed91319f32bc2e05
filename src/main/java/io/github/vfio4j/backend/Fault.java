package io.github.vfio4j.backend;

import io.github.vfio4j.Errno;
import io.github.vfio4j.uapi.vfio_h;
import java.util.EnumSet;
import java.util.Set;
import java.util.function.Predicate;

/**
 * What goes wrong with some system calls, and which: for {@link FaultInjectingBackend}. Begins with which calls are
 * meant, goes on with which of them fail, and ends with what these answer. Unless said otherwise it is the first one,
 * once. Immutable.
 *
 * <pre>{@code
 * Fault.onRequest(0x3b6a).fails(Errno.EBUSY);            // the next VFIO_GROUP_GET_DEVICE_FD
 * Fault.on(SystemCall.READ).nth(3).fails(Errno.EIO);     // the third read from now on
 * Fault.onFeature(2).from(1).failsAfterwards(Errno.EIO); // every change of the migration state, though it is made
 * Fault.on(SystemCall.WRITE).from(1).isCutTo(512);       // writes take 512 bytes at most
 * }</pre>
 */
public final class Fault {

    private final Place place;
    private final Kind kind;
    private final long value;

    private enum Kind {
        BEFORE, AFTERWARDS, CUT
    }

    private Fault(Place place, Kind kind, long value) {
        this.place = place;
        this.kind = kind;
        this.value = value;
    }

    /** A call as it is looked at; path, request and feature are empty or −1 where the call has none. */
    record Call(SystemCall name, String path, long request, int feature) {
    }

    /**
     * Any system call at all.
     *
     * @return the first of them
     */
    public static Place onAnyCall() {
        return new Place(call -> true, "any call", 1, false);
    }

    /**
     * System calls by name.
     *
     * @param call
     *            one of them
     * @param more
     *            others that are counted along with it
     * @return the first of them
     */
    public static Place on(SystemCall call, SystemCall... more) {
        Set<SystemCall> calls = EnumSet.of(call, more);
        return new Place(made -> calls.contains(made.name()), calls.toString(), 1, false);
    }

    /**
     * open(2) and readlink(2) of a path.
     *
     * @param path
     *            the whole path, for example {@code /dev/vfio/vfio}
     * @return the first of them
     */
    public static Place onPath(String path) {
        return new Place(call -> call.path().equals(path), path, 1, false);
    }

    /**
     * ioctl(2) with a request.
     *
     * @param request
     *            its number in {@code vfio.h}
     * @return the first of them
     */
    public static Place onRequest(long request) {
        return new Place(call -> call.name() == SystemCall.IOCTL && call.request() == request,
                "request 0x" + Long.toHexString(request), 1, false);
    }

    /**
     * VFIO_DEVICE_FEATURE of a feature, whatever the operation.
     *
     * @param index
     *            the feature's number, 0 to 65535
     * @return the first of them
     * @throws IllegalArgumentException
     *             if it is another number
     */
    public static Place onFeature(int index) {
        if ((index & ~vfio_h.VFIO_DEVICE_FEATURE_MASK()) != 0) {
            throw new IllegalArgumentException("A feature's number is 0 to 65535, not " + index);
        }
        return new Place(call -> call.feature() == index, "feature " + index, 1, false);
    }

    boolean isAt(Call call) {
        return place.calls.test(call) && (kind != Kind.CUT || call.name().isTransfer());
    }

    /** Whether it happens at a call, which is the n-th that it {@linkplain #isAt is at}. */
    boolean happens(long n) {
        return place.forGood ? n >= place.nth : n == place.nth;
    }

    /** Whether the call is carried out all the same. */
    boolean isAfterwards() {
        return kind == Kind.AFTERWARDS;
    }

    boolean isCut() {
        return kind == Kind.CUT;
    }

    /** What is answered, −errno; for a cut, how many bytes are transferred at most. */
    long value() {
        return value;
    }

    /** The fault in words. */
    @Override
    public String toString() {
        return place + switch (kind) {
            case BEFORE -> " fails: " + Errno.ofResult(value);
            case AFTERWARDS -> " is carried out and fails: " + Errno.ofResult(value);
            case CUT -> " is cut to " + value + " bytes";
        };
    }

    /** Which calls a fault is at. Immutable. */
    public static final class Place {

        private final Predicate<Call> calls;
        private final String name;
        private final long nth;
        private final boolean forGood;

        private Place(Predicate<Call> calls, String name, long nth, boolean forGood) {
            if (nth < 1) {
                throw new IllegalArgumentException("Calls are counted from 1 on, there is no call " + nth);
            }
            this.calls = calls;
            this.name = name;
            this.nth = nth;
            this.forGood = forGood;
        }

        /**
         * One of these calls only.
         *
         * @param n
         *            which one from the injection on, the next being 1
         * @return that one
         * @throws IllegalArgumentException
         *             if n is less than 1
         */
        public Place nth(long n) {
            return new Place(calls, name, n, false);
        }

        /**
         * One of these calls and all that follow.
         *
         * @param n
         *            the first one, as in {@link #nth}
         * @return these
         * @throws IllegalArgumentException
         *             if n is less than 1
         */
        public Place from(long n) {
            return new Place(calls, name, n, true);
        }

        /**
         * The call is not made. Only close(2) is carried out all the same, for on Linux the descriptor is gone whatever that
         * answers.
         *
         * @param errno
         *            what it answers
         * @return the fault
         */
        public Fault fails(Errno errno) {
            return new Fault(this, Kind.BEFORE, -errno.code());
        }

        /**
         * The call is made, and what it answers is replaced: it fails as calls do that the kernel notices too late to undo. A
         * call that fails by itself keeps its errno. A descriptor or a mapping that it has made is closed again, as the kernel
         * does, for the caller knows nothing of it.
         *
         * @param errno
         *            what it answers
         * @return the fault
         */
        public Fault failsAfterwards(Errno errno) {
            return new Fault(this, Kind.AFTERWARDS, -errno.code());
        }

        /**
         * A read or a write is made with so much of its buffer at most. Other calls are neither counted nor touched.
         *
         * @param bytes
         *            0 or more; 0: it is not made and answers 0, which for a read is the end of the file
         * @return the fault
         * @throws IllegalArgumentException
         *             if it is a negative number
         */
        public Fault isCutTo(long bytes) {
            if (bytes < 0) {
                throw new IllegalArgumentException("A transfer is of 0 bytes or more, not of " + bytes);
            }
            return new Fault(this, Kind.CUT, bytes);
        }

        /** The calls in words. */
        @Override
        public String toString() {
            return name + (forGood ? " from number " : " number ") + nth + (forGood ? " on" : "");
        }
    }
}
