package io.github.vfio4j.device;

/** Checks of offsets, with messages that name what was exceeded. */
final class Bounds {

    private Bounds() {
    }

    /** An access of a register. */
    static void checkRegister(Object where, long size, long offset, int width) {
        check(where, size, offset, width);
        if ((offset & width - 1) != 0) {
            throw new IllegalArgumentException("An access of " + width * Byte.SIZE + " bits to " + where
                    + " begins at a multiple of " + width + ", not at 0x" + Long.toHexString(offset));
        }
    }

    /** Any part. */
    static void check(Object where, long size, long offset, long length) {
        // Without an addition that could overflow.
        if (offset < 0 || length < 0 || offset > size - length) {
            throw new IndexOutOfBoundsException(length + " bytes at 0x" + Long.toHexString(offset) + " are not in "
                    + where + " of " + size + " bytes");
        }
    }
}
