package io.github.vfio4j.conformance;

import io.github.vfio4j.Errno;
import io.github.vfio4j.conformance.Subject.Kind;
import java.util.Map;

/**
 * What the kernels' source says that a device answers to a header of VFIO_DEVICE_FEATURE: an oracle written from the
 * specification (semantics §A.2 to §A.5, §B.0, §B.7) and independent of the emulation.
 *
 * @param version
 *            of the kernel, for example {@code 6.12}
 * @param kind
 *            of the device
 */
record FeatureRules(String version, Kind kind) {

    /** The header is right: what comes now is the feature's own. */
    static final int CARRY_ON = 1;

    static final int GET = 1 << 16;
    static final int SET = 1 << 17;
    static final int PROBE = 1 << 18;
    private static final int UNKNOWN = -1 << 19;
    private static final int HEADER = 8;
    private static final int PRECOPY_INFO = 12;

    /**
     * A feature.
     *
     * @param operations
     *            those it has
     * @param minimum
     *            the least length of data
     * @param read
     *            how many bytes are read of the data, at least
     * @param written
     *            how many bytes at the begin of the data can change, also when it fails
     */
    record Feature(int operations, int minimum, int read, int written) {

        /** How many bytes of data have to be accessible. */
        int touched() {
            return Math.max(read, written);
        }
    }

    private static final Map<Integer, Feature> ALL = Map.ofEntries(Map.entry(0, new Feature(SET, 16, 16, 0)),
            Map.entry(1, new Feature(GET, 8, 0, 8)), Map.entry(2, new Feature(GET | SET, 8, 8, 8)),
            Map.entry(3, new Feature(SET, 0, 0, 0)), Map.entry(4, new Feature(SET, 8, 8, 0)),
            Map.entry(5, new Feature(SET, 0, 0, 0)), Map.entry(6, new Feature(SET, 24, 24, 24)),
            Map.entry(7, new Feature(SET, 0, 0, 0)), Map.entry(8, new Feature(GET, 32, 32, 0)),
            Map.entry(9, new Feature(GET, 8, 0, 8)), Map.entry(11, new Feature(GET, 16, 16, 0)),
            Map.entry(PRECOPY_INFO, new Feature(SET, 0, 0, 0)));

    private boolean since(String first) {
        return Float.compare(number(version), number(first)) >= 0;
    }

    /** 6.12 is newer than 6.1. */
    private static float number(String version) {
        int dot = version.indexOf('.');
        return Integer.parseInt(version.substring(0, dot)) + Integer.parseInt(version.substring(dot + 1)) / 100f;
    }

    /** Whether the device has the feature. */
    boolean has(int index) {
        return ALL.containsKey(index) && switch (kind) {
            case MDPY -> false;
            case MTTY -> switch (index) {
                case 1, 2, 6, 7, 8, 9 -> since("6.12");
                case PRECOPY_INFO -> since("7.2");
                default -> false;
            };
            case PHYSICAL_FUNCTION, VIRTUAL_FUNCTION, PLAIN_FUNCTION -> switch (index) {
                case 0 -> kind == Kind.PHYSICAL_FUNCTION;
                case 3, 4, 5 -> since("6.1");
                case 11 -> since("7.2");
                default -> false;
            };
        };
    }

    /** A feature that the device has. */
    static Feature feature(int index) {
        Feature feature = ALL.get(index);
        if (feature == null) {
            throw new IllegalArgumentException("No feature " + index);
        }
        return feature;
    }

    /** The answer to a header, or {@link #CARRY_ON}. */
    int answer(int flags, int argsz, int mapped) {
        if (kind.isMediated() && !since("6.1")) {
            return -Errno.ENOTTY.code();
        }
        if (mapped < HEADER) {
            return -Errno.EFAULT.code();
        }
        boolean getAndSet = (flags & (GET | SET | PROBE)) == (GET | SET);
        if (Integer.compareUnsigned(argsz, HEADER) < 0 || (flags & UNKNOWN) != 0 || getAndSet) {
            return -Errno.EINVAL.code();
        }
        int index = flags & 0xffff;
        if (!has(index)) {
            // Without migration there is no pre-copy, either, and that is looked at first.
            return -(index == PRECOPY_INFO && since("7.2") ? Errno.EINVAL : Errno.ENOTTY).code();
        }
        Feature feature = feature(index);
        if ((flags & (GET | SET) & ~feature.operations()) != 0) {
            return -Errno.EINVAL.code();
        }
        if ((flags & PROBE) != 0) {
            return 0;
        }
        boolean tooShort = Integer.compareUnsigned(argsz - HEADER, feature.minimum()) < 0;
        return (flags & (GET | SET)) == 0 || tooShort ? -Errno.EINVAL.code() : CARRY_ON;
    }
}
