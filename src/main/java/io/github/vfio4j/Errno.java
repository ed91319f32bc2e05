package io.github.vfio4j;

import java.util.Map;

/**
 * A Linux error number as a system call reports it (errno(3)). Open: the kernel may answer with a number that has no
 * constant here.
 *
 * @param code
 *            the positive error number, in the numbering that x86-64 and arm64 share
 */
public record Errno(int code) {

    /** Operation not permitted. */
    public static final Errno EPERM = new Errno(1);
    /** No such file or directory. */
    public static final Errno ENOENT = new Errno(2);
    /** Interrupted system call. */
    public static final Errno EINTR = new Errno(4);
    /** Input/output error. */
    public static final Errno EIO = new Errno(5);
    /** Argument list too long. */
    public static final Errno E2BIG = new Errno(7);
    /** Bad file descriptor. */
    public static final Errno EBADF = new Errno(9);
    /** Resource temporarily unavailable. */
    public static final Errno EAGAIN = new Errno(11);
    /** Cannot allocate memory. */
    public static final Errno ENOMEM = new Errno(12);
    /** Permission denied. */
    public static final Errno EACCES = new Errno(13);
    /** Bad address. */
    public static final Errno EFAULT = new Errno(14);
    /** Device or resource busy. */
    public static final Errno EBUSY = new Errno(16);
    /** File exists. */
    public static final Errno EEXIST = new Errno(17);
    /** No such device. */
    public static final Errno ENODEV = new Errno(19);
    /** Not a directory. */
    public static final Errno ENOTDIR = new Errno(20);
    /** Is a directory. */
    public static final Errno EISDIR = new Errno(21);
    /** Invalid argument. */
    public static final Errno EINVAL = new Errno(22);
    /** Too many open files in the system. */
    public static final Errno ENFILE = new Errno(23);
    /** Too many open files. */
    public static final Errno EMFILE = new Errno(24);
    /** Inappropriate ioctl for device: the kernel does not know the request for this descriptor. */
    public static final Errno ENOTTY = new Errno(25);
    /** No space left on device. */
    public static final Errno ENOSPC = new Errno(28);
    /** Illegal seek: the descriptor has no file position. */
    public static final Errno ESPIPE = new Errno(29);
    /** Numerical result out of range. */
    public static final Errno ERANGE = new Errno(34);
    /** Function not implemented. */
    public static final Errno ENOSYS = new Errno(38);
    /** No message of desired type: the temporary end of a pre-copy stream. */
    public static final Errno ENOMSG = new Errno(42);
    /** Value too large for defined data type. */
    public static final Errno EOVERFLOW = new Errno(75);
    /** File descriptor in bad state. */
    public static final Errno EBADFD = new Errno(77);
    /** Message too long: more than there is room for. */
    public static final Errno EMSGSIZE = new Errno(90);
    /** Operation not supported. */
    public static final Errno EOPNOTSUPP = new Errno(95);
    /** Address already in use: what is mapped does not go together with a device's IOMMU. */
    public static final Errno EADDRINUSE = new Errno(98);

    private static final Map<Errno, String[]> NAMES = Map.ofEntries(name(EPERM, "EPERM", "operation not permitted"),
            name(ENOENT, "ENOENT", "no such file or directory"), name(EINTR, "EINTR", "interrupted system call"),
            name(EIO, "EIO", "input/output error"), name(E2BIG, "E2BIG", "argument list too long"),
            name(EBADF, "EBADF", "bad file descriptor"), name(EAGAIN, "EAGAIN", "resource temporarily unavailable"),
            name(ENOMEM, "ENOMEM", "cannot allocate memory"), name(EACCES, "EACCES", "permission denied"),
            name(EFAULT, "EFAULT", "bad address"), name(EBUSY, "EBUSY", "device or resource busy"),
            name(EEXIST, "EEXIST", "file exists"), name(ENODEV, "ENODEV", "no such device"),
            name(ENOTDIR, "ENOTDIR", "not a directory"), name(EISDIR, "EISDIR", "is a directory"),
            name(EINVAL, "EINVAL", "invalid argument"), name(ENFILE, "ENFILE", "too many open files in system"),
            name(EMFILE, "EMFILE", "too many open files"), name(ENOTTY, "ENOTTY", "inappropriate ioctl for device"),
            name(ENOSPC, "ENOSPC", "no space left on device"), name(ESPIPE, "ESPIPE", "illegal seek"),
            name(ERANGE, "ERANGE", "numerical result out of range"), name(ENOSYS, "ENOSYS", "function not implemented"),
            name(ENOMSG, "ENOMSG", "no message of desired type"),
            name(EOVERFLOW, "EOVERFLOW", "value too large for defined data type"),
            name(EBADFD, "EBADFD", "file descriptor in bad state"), name(EMSGSIZE, "EMSGSIZE", "message too long"),
            name(EOPNOTSUPP, "EOPNOTSUPP", "operation not supported"),
            name(EADDRINUSE, "EADDRINUSE", "address already in use"));

    /** Checks the range. */
    public Errno {
        if (code < 1 || code > 4095) {
            throw new IllegalArgumentException("An error number is 1 to 4095, not " + code);
        }
    }

    /**
     * The error number in a negative result of an {@link io.github.vfio4j.backend.IoctlBackend} call.
     *
     * @param result
     *            −errno
     * @return the error number
     */
    public static Errno ofResult(long result) {
        return new Errno(Math.toIntExact(-result));
    }

    // Written out, for what the compiler makes for a record is put together at run time, when it is first called: that is
    // at the start of every program, where the maps by errno are made.

    @Override
    public boolean equals(Object other) {
        return other instanceof Errno errno && errno.code == code;
    }

    @Override
    public int hashCode() {
        return code;
    }

    private static Map.Entry<Errno, String[]> name(Errno errno, String name, String text) {
        return Map.entry(errno, new String[]{name, text});
    }

    /**
     * The symbolic name.
     *
     * @return for example {@code EINVAL}; {@code errno 524} where the number has no constant here
     */
    public String name() {
        String[] known = NAMES.get(this);
        return known == null ? "errno " + code : known[0];
    }

    /** Name and meaning, for example {@code EINVAL (invalid argument)}. */
    @Override
    public String toString() {
        String[] known = NAMES.get(this);
        return known == null ? "errno " + code : known[0] + " (" + known[1] + ")";
    }
}
