package io.github.vfio4j.conformance;

import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The way from one migration state to another (semantics §B.2.5): an oracle that is written from the specification and knows
 * nothing of the emulation. States are the numbers of {@code vfio.h}.
 *
 * @param flags
 *            what the device says to feature 1
 */
record MigrationTable(long flags) {

    static final int ERROR = 0;
    static final int STOP = 1;
    static final int RUNNING = 2;
    static final int STOP_COPY = 3;
    static final int RESUMING = 4;

    private static final long NEEDS_STOP_COPY = 1;
    private static final long NEEDS_P2P = 2;
    private static final long NEEDS_PRE_COPY = 4;

    private static final Pattern RELEASE = Pattern.compile("(\\d+)\\.(\\d+)(?:\\.(\\d+))?");

    /** From STOP 1 to PRE_COPY_P2P 7, on a device that has all of them; empty where it is blocked. */
    private static final List<List<String>> WALKS = List.of(List.of("", "52", "3", "4", "5", "526", "57"),
            List.of("51", "", "513", "514", "5", "6", "57"), List.of("1", "152", "", "14", "15", "", ""),
            List.of("1", "152", "13", "", "15", "1526", "157"), List.of("1", "2", "13", "14", "", "26", "7"),
            List.of("251", "2", "73", "2514", "25", "", "7"), List.of("51", "52", "3", "514", "5", "6", ""));

    /** Whether the device has the state at all. */
    boolean has(int state) {
        return switch (state) {
            case STOP, RUNNING, STOP_COPY, RESUMING -> (flags & NEEDS_STOP_COPY) != 0;
            case 5 -> has(STOP) && (flags & NEEDS_P2P) != 0;
            case 6 -> has(STOP) && (flags & NEEDS_PRE_COPY) != 0;
            case 7 -> has(5) && has(6);
            default -> false;
        };
    }

    /** The states that are entered on the way, none if it is there already; or empty if there is no way. */
    Optional<List<Integer>> walk(int from, int to) {
        if (from == to) {
            return Optional.of(List.of());
        }
        if (!has(from) || !has(to)) {
            return Optional.empty();
        }
        // What the device does not have is passed through.
        List<Integer> steps = WALKS.get(from - 1).get(to - 1).chars().map(digit -> digit - '0').filter(this::has)
                .boxed().toList();
        return steps.isEmpty() ? Optional.empty() : Optional.of(steps);
    }

    /** Whether the state has a data descriptor. */
    static boolean transfersData(int state) {
        return state == RESUMING || isSaving(state);
    }

    static boolean isSaving(int state) {
        return state == STOP_COPY || state == 6 || state == 7;
    }

    /** Whether the device has both states and yet there is no way. */
    boolean isBlocked(int from, int to) {
        return has(from) && has(to) && walk(from, to).isEmpty();
    }

    /**
     * Whether a kernel is known to refuse a blocked way. Linux 6.12.94 was seen to look for it for ever instead (semantics
     * §B.2.5, §F.7), as others may, too; 6.12.107 and 7.2 refuse it.
     *
     * @param release
     *            for example {@code 6.12.107+deb13-amd64}
     */
    static boolean isRefusedBy(String release) {
        Matcher numbers = RELEASE.matcher(release);
        if (!numbers.lookingAt()) {
            return false;
        }
        int major = Integer.parseInt(numbers.group(1));
        int minor = Integer.parseInt(numbers.group(2));
        int patch = numbers.group(3) == null ? 0 : Integer.parseInt(numbers.group(3));
        return major > 7 || (major == 7 && minor >= 2) || (major == 6 && minor == 12 && patch >= 107);
    }
}
