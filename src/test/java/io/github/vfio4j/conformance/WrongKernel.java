package io.github.vfio4j.conformance;

import io.github.vfio4j.ForwardingBackend;
import io.github.vfio4j.backend.IoctlBackend;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;

/** Kernels with one rule broken each: what finds differences has to find them. */
enum WrongKernel {
    /** Semantics §A.2: an argsz of 7 is too small, 8 is not. */
    ARGSZ_OFF_BY_ONE {
        @Override
        int answer(int result, int argsz, int flags, MemorySegment argument) {
            return argsz == 8 && result == 0 ? EINVAL : result;
        }
    },
    /** Semantics §A.2: EINVAL comes before ENOTTY. */
    CHECK_ORDER_SWAPPED {
        @Override
        int answer(int result, int argsz, int flags, MemorySegment argument) {
            return (flags & 0xffff) == 0xffff && result == EINVAL ? ENOTTY : result;
        }
    },
    /** Semantics §A.4: probing touches nothing. */
    PROBE_WRITES {
        @Override
        int answer(int result, int argsz, int flags, MemorySegment argument) {
            if ((flags & 1 << 18) != 0 && result == 0 && argument.byteSize() > 8) {
                argument.set(ValueLayout.JAVA_BYTE, 8, (byte) ~argument.get(ValueLayout.JAVA_BYTE, 8));
            }
            return result;
        }
    },
    /** Semantics §B.4.1: too many ranges are E2BIG. */
    WRONG_ERRNO {
        @Override
        int answer(int result, int argsz, int flags, MemorySegment argument) {
            return result == E2BIG ? EINVAL : result;
        }
    },
    /** Semantics §B.2.2: a refused SET writes −1 in place of the descriptor. */
    REFUSED_SET_WRITES_NOTHING {
        @Override
        int answer(int result, int argsz, int flags, MemorySegment argument) {
            if (result == EINVAL && flags == (2 | 1 << 17) && argsz >= 16 && argument.byteSize() >= 16) {
                argument.set(INT, 12, 0);
            }
            return result;
        }
    },
    /** Semantics §B.3: low power is entered once. */
    LOW_POWER_ENTERED_TWICE {
        @Override
        int answer(int result, int argsz, int flags, MemorySegment argument) {
            return result == EINVAL && flags == (3 | 1 << 17) && argsz >= 8 ? 0 : result;
        }
    },
    /** Semantics §D.1: tokens are compared as a whole. */
    TOKEN_COMPARED_ON_15_BYTES {
        @Override
        void before(long request, MemorySegment argument) {
            byte[] bytes = argument.toArray(ValueLayout.JAVA_BYTE);
            String name = new String(bytes, StandardCharsets.US_ASCII);
            int at = name.indexOf("vf_token=");
            if (request == GET_DEVICE_FD && at >= 0 && bytes.length > at + 9 + 35) {
                argument.set(ValueLayout.JAVA_BYTE, at + 9 + 35L, (byte) '0');
            }
        }
    },
    /** Semantics §B.8: VFIO_DEVICE_RESET leads back to RUNNING. */
    STATE_NOT_RESET {
        @Override
        boolean skips(long request) {
            return request == DEVICE_RESET;
        }
    },
    /** A call that is refused leaves nothing open. */
    DESCRIPTOR_LEAKED {
        @Override
        boolean leaks(int result) {
            return result == EINVAL;
        }
    };

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final int E2BIG = -7;
    private static final int EINVAL = -22;
    private static final int ENOTTY = -25;
    private static final long GET_DEVICE_FD = 0x3b6a;
    private static final long DEVICE_RESET = 0x3b6f;
    private static final long DEVICE_FEATURE = 0x3b75;

    int answer(int result, int argsz, int flags, MemorySegment argument) {
        return result;
    }

    void before(long request, MemorySegment argument) {
        // As it is.
    }

    boolean skips(long request) {
        return false;
    }

    boolean leaks(int result) {
        return false;
    }

    /** The kernel with its mistake. */
    IoctlBackend inFrontOf(IoctlBackend kernel) {
        return new ForwardingBackend(kernel) {
            @Override
            public int ioctl(int fd, long request, MemorySegment argument, MemorySegment... pointees) {
                before(request, argument);
                if (skips(request)) {
                    return 0;
                }
                int result = super.ioctl(fd, request, argument, pointees);
                if (request != DEVICE_FEATURE || argument.byteSize() < 8) {
                    return result;
                }
                if (leaks(result)) {
                    super.eventfd(0, 0);
                }
                return answer(result, argument.get(INT, 0), argument.get(INT, 4), argument);
            }
        };
    }
}
