package io.github.vfio4j.emulation.feature;

import io.github.vfio4j.Errno;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The VF token of a physical function, with the number of its virtual functions in use (semantics §D.1, §D.4). It comes
 * with the binding of the driver, random and so unknown to everybody, and survives the closing of the device.
 */
public final class PfToken {

    /** At first a random one, which nobody can give: it need not be made. */
    private byte @Nullable [] value;
    private int users;

    /** Feature 0: anybody who holds the physical function may set any token at any time. */
    synchronized void set(byte[] token) {
        value = token;
    }

    /** The opening of the physical function: proof while virtual functions are in use, otherwise a new token. */
    public synchronized int openPhysicalFunction(byte @Nullable [] given) {
        if (users > 0) {
            return matches(given);
        }
        if (given != null) {
            value = given;
        }
        return 0;
    }

    /** The opening of a virtual function: always with the token. */
    public synchronized int openVirtualFunction(byte @Nullable [] given) {
        return matches(given);
    }

    private int matches(byte @Nullable [] given) {
        return given != null && value != null && Arrays.equals(value, given) ? 0 : -Errno.EACCES.code();
    }

    /** A virtual function has come into use. */
    public synchronized void addUser() {
        users++;
    }

    /** A virtual function is no longer in use. */
    public synchronized void removeUser() {
        users--;
    }
}
