package io.github.vfio4j.conformance;

import io.github.vfio4j.Errno;
import io.github.vfio4j.conformance.Subject.Kind;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntUnaryOperator;

/**
 * What a device has to answer to a header of VFIO_DEVICE_FEATURE: an oracle that is written from the specification
 * (semantics §A.2 to §A.5, §B.0, §B.7) and knows nothing of the emulation. Which features a device has is either known, for the
 * devices that the specification describes, or what the device itself answers to probes; all the rest follows from that.
 */
final class FeatureRules {

    /** The checks of a header, in the kernel's order, and what may follow them. */
    enum Ruling {
        /** The device's driver, or its kernel's core, does not know the request. */
        REQUEST_UNKNOWN,
        /** Not even eight bytes are accessible. */
        HEADER_UNREADABLE,
        /** An argsz of less than eight. */
        SHORTER_THAN_A_HEADER,
        /** A bit among 19 to 31. */
        UNKNOWN_FLAGS,
        /** Both, without PROBE. */
        GET_AND_SET,
        /** The device has no such feature. */
        ABSENT,
        /** The feature has no such operation. */
        NOT_ITS_OPERATION,
        /** All there is to a probe. */
        PROBED,
        /** Neither GET nor SET nor PROBE. */
        NO_OPERATION,
        /** An argsz of less than the feature needs. */
        TOO_LITTLE_DATA,
        /** The header is right: what comes now is the feature's own. */
        CARRY_ON
    }

    static final int GET = 1 << 16;
    static final int SET = 1 << 17;
    static final int PROBE = 1 << 18;
    static final int HEADER = 8;

    private static final int UNKNOWN_BITS = -1 << 19;
    private static final int INDEX = 0xffff;
    private static final int DMA_BUF = 11;
    private static final int PRECOPY_INFO = 12;

    /**
     * A feature of the header.
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
            Map.entry(9, new Feature(GET, 8, 0, 8)), Map.entry(10, new Feature(SET, 4, 4, 0)),
            Map.entry(DMA_BUF, new Feature(GET, 16, 16, 0)), Map.entry(PRECOPY_INFO, new Feature(SET, 0, 0, 0)));

    /** What is known of one index: the operations the device has there, or else what it answers to every probe. */
    private record Presence(int operations, int absent) {
        boolean isThere() {
            return operations != 0;
        }
    }

    private final String origin;
    private final boolean requestKnown;
    private final IntUnaryOperator probe;
    private final Map<Integer, Presence> presences = new HashMap<>();

    private FeatureRules(String origin, boolean requestKnown, IntUnaryOperator probe) {
        this.origin = origin;
        this.requestKnown = requestKnown;
        this.probe = probe;
    }

    /**
     * Those of a device that the specification describes.
     *
     * @param version
     *            of the kernel, for example {@code 6.12}
     */
    static FeatureRules of(String version, Kind kind) {
        boolean known = !kind.isMediated() || isSince(version, "6.1");
        return new FeatureRules(version + " " + kind, known, flags -> specified(version, kind, flags));
    }

    /**
     * Those of any device.
     *
     * @param ask
     *            makes a request that is only a header of 8 bytes with these flags, and returns the result
     */
    static FeatureRules probed(String device, IntUnaryOperator ask) {
        // Flags that nobody knows are refused, but for a driver that does not know the request at all.
        boolean known = ask.applyAsInt(UNKNOWN_BITS) != -Errno.ENOTTY.code();
        return new FeatureRules(device, known, ask);
    }

    private static int specified(String version, Kind kind, int flags) {
        int index = flags & INDEX;
        boolean there = ALL.containsKey(index) && switch (kind) {
            case MDPY -> false;
            case MTTY -> switch (index) {
                case 1, 2, 6, 7, 8, 9 -> isSince(version, "6.12");
                case PRECOPY_INFO -> isSince(version, "7.2");
                default -> false;
            };
            case PHYSICAL_FUNCTION, VIRTUAL_FUNCTION, PLAIN_FUNCTION -> switch (index) {
                case 0 -> kind == Kind.PHYSICAL_FUNCTION;
                case 3, 4, 5 -> isSince(version, "6.1");
                case DMA_BUF -> isSince(version, "7.2");
                default -> false;
            };
        };
        if (!there) {
            // Without migration there is no pre-copy, either, and that is looked at first.
            return -(index == PRECOPY_INFO && isSince(version, "7.2") ? Errno.EINVAL : Errno.ENOTTY).code();
        }
        return (flags & (GET | SET) & ~feature(index).operations()) == 0 ? 0 : -Errno.EINVAL.code();
    }

    private static boolean isSince(String version, String first) {
        return Float.compare(number(version), number(first)) >= 0;
    }

    /** 6.12 is newer than 6.1. */
    private static float number(String version) {
        int dot = version.indexOf('.');
        return Integer.parseInt(version.substring(0, dot)) + Integer.parseInt(version.substring(dot + 1)) / 100f;
    }

    private Presence presence(int index) {
        return presences.computeIfAbsent(index, key -> {
            int absent = probe.applyAsInt(key | PROBE);
            int operations = 0;
            for (int operation : List.of(GET, SET)) {
                if (absent == 0 && probe.applyAsInt(key | PROBE | operation) == 0) {
                    operations |= operation;
                }
            }
            return new Presence(operations, absent);
        });
    }

    /** Whether the device has the feature. */
    boolean has(int index) {
        return requestKnown && presence(index).isThere();
    }

    /** The operations that the device has of a feature. */
    int operations(int index) {
        return requestKnown ? presence(index).operations() : 0;
    }

    /** Whether the header says what the feature's data are. */
    static boolean isDescribed(int index) {
        return ALL.containsKey(index);
    }

    /** A feature of the header. */
    static Feature feature(int index) {
        Feature feature = ALL.get(index);
        if (feature == null) {
            throw new IllegalArgumentException("No feature " + index);
        }
        return feature;
    }

    /** With what a kernel may say that there is no such feature (semantics §A.3, §A.5). */
    static List<Errno> absences(int index) {
        return switch (index) {
            case DMA_BUF -> List.of(Errno.ENOTTY, Errno.EOPNOTSUPP);
            case PRECOPY_INFO -> List.of(Errno.ENOTTY, Errno.EINVAL);
            default -> List.of(Errno.ENOTTY);
        };
    }

    /** Which rule a header comes under, the first that applies. */
    Ruling judge(int flags, int argsz, int mapped) {
        if (!requestKnown) {
            return Ruling.REQUEST_UNKNOWN;
        }
        if (mapped < HEADER) {
            return Ruling.HEADER_UNREADABLE;
        }
        if (Integer.compareUnsigned(argsz, HEADER) < 0) {
            return Ruling.SHORTER_THAN_A_HEADER;
        }
        if ((flags & UNKNOWN_BITS) != 0) {
            return Ruling.UNKNOWN_FLAGS;
        }
        if ((flags & (GET | SET | PROBE)) == (GET | SET)) {
            return Ruling.GET_AND_SET;
        }
        int index = flags & INDEX;
        Presence presence = presence(index);
        if (!presence.isThere()) {
            return Ruling.ABSENT;
        }
        if ((flags & (GET | SET) & ~presence.operations()) != 0) {
            return Ruling.NOT_ITS_OPERATION;
        }
        if ((flags & PROBE) != 0) {
            return Ruling.PROBED;
        }
        if ((flags & (GET | SET)) == 0) {
            return Ruling.NO_OPERATION;
        }
        Feature feature = ALL.get(index);
        boolean tooShort = feature != null && Integer.compareUnsigned(argsz - HEADER, feature.minimum()) < 0;
        return tooShort ? Ruling.TOO_LITTLE_DATA : Ruling.CARRY_ON;
    }

    /** What is answered under a rule to a request for this feature, 0 if it is carried on. */
    int answer(Ruling ruling, int index) {
        return switch (ruling) {
            case REQUEST_UNKNOWN -> -Errno.ENOTTY.code();
            case HEADER_UNREADABLE -> -Errno.EFAULT.code();
            case ABSENT -> presence(index).absent();
            case PROBED, CARRY_ON -> 0;
            default -> -Errno.EINVAL.code();
        };
    }

    /** Whether a header can be made that comes under the rule, out of the features that the header file describes. */
    boolean canReach(Ruling ruling) {
        if ((ruling == Ruling.REQUEST_UNKNOWN) == requestKnown) {
            return false;
        }
        return switch (ruling) {
            case NOT_ITS_OPERATION ->
                ALL.keySet().stream().anyMatch(index -> has(index) && operations(index) != (GET | SET));
            case PROBED, NO_OPERATION, CARRY_ON -> ALL.keySet().stream().anyMatch(this::has);
            case TOO_LITTLE_DATA -> ALL.keySet().stream().anyMatch(index -> has(index) && feature(index).minimum() > 0);
            default -> true;
        };
    }

    /** Whose rules they are. */
    @Override
    public String toString() {
        return origin;
    }
}
