package io.github.vfio4j.conformance;

import io.github.vfio4j.Errno;
import java.util.Map;
import java.util.TreeMap;

/** What random programs have come upon: how often which answer to which feature. */
final class Tally {

    private static final int GET_SET_PROBE = 7;

    private final Map<String, Map<String, Integer>> features = new TreeMap<>();
    private final Map<String, Integer> others = new TreeMap<>();
    private final Map<String, Integer> passedOver = new TreeMap<>();
    private long ioctls;
    private int woken;
    private int notWoken;

    /** Answers to VFIO_DEVICE_FEATURE on a device. */
    void feature(int flags, int result) {
        ioctls++;
        int index = flags & 0xffff;
        boolean carriesOut = result >= 0 && (flags >>> 16 & GET_SET_PROBE) < 4;
        features.computeIfAbsent(index < 13 ? String.format("%2d", index) : "13 and more", key -> new TreeMap<>())
                .merge(carriesOut ? "carried out" : errno(result), 1, Integer::sum);
    }

    /** Any other ioctl; its result. */
    int other(int result) {
        ioctls++;
        others.merge(errno(result), 1, Integer::sum);
        return result;
    }

    private static String errno(int result) {
        return result >= 0 ? "0" : Errno.ofResult(result).name();
    }

    void passedOver(RuntimeException reason) {
        passedOver.merge(reason.getClass().getSimpleName() + ": " + reason.getMessage(), 1, Integer::sum);
    }

    void woken() {
        woken++;
    }

    void notWoken() {
        notWoken++;
    }

    long ioctls() {
        return ioctls;
    }

    /** How often a feature has been answered so. */
    int count(int index, String answer) {
        return features.getOrDefault(index < 13 ? String.format("%2d", index) : "13 and more", Map.of())
                .getOrDefault(answer, 0);
    }

    /** How often a sleeping device has been woken. */
    int wakeUps() {
        return woken;
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        features.forEach((feature, answers) -> text.append("feature ").append(feature).append(": ").append(answers)
                .append('\n'));
        text.append("other ioctls: ").append(others).append('\n');
        text.append("calls on devices in low power with a wake-up: asleep ").append(woken).append(", awake ")
                .append(notWoken).append('\n');
        passedOver.forEach((reason, count) -> text.append("passed over ").append(count).append(" times: ")
                .append(reason).append('\n'));
        return text.toString();
    }
}
