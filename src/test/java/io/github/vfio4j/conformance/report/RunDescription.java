package io.github.vfio4j.conformance.report;

import java.time.Duration;
import java.time.ZonedDateTime;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What was run, for the head of a report.
 *
 * @param started
 *            when
 * @param version
 *            of this library
 * @param seed
 *            which makes the same run again
 * @param tries
 *            of each property
 * @param command
 *            which makes the same run again, as a command line
 * @param devices
 *            which were asked
 * @param results
 *            of the properties, in order
 */
public record RunDescription(ZonedDateTime started, String version, long seed, int tries, String command,
        List<Device> devices, List<Result> results) {

    /** Copies the lists. */
    public RunDescription {
        devices = List.copyOf(devices);
        results = List.copyOf(results);
    }

    /**
     * A device.
     *
     * @param name
     *            as in the evidence
     * @param kernel
     *            as in the evidence
     * @param driver
     *            the one it is bound to; null if that is not known
     * @param excluded
     *            features that were not to be changed
     */
    public record Device(String name, String kernel, @Nullable String driver, List<String> excluded) {
        /** Copies the list. */
        public Device {
            excluded = List.copyOf(excluded);
        }
    }

    /**
     * What became of a property.
     *
     * @param property
     *            its name
     * @param status
     *            whether it holds
     * @param duration
     *            how long it took
     */
    public record Result(String property, Status status, Duration duration) {
    }

    /** What can become of a property. */
    public enum Status {
        /** It holds. */
        HOLDS,
        /** It does not. */
        FAILED,
        /** It does not apply to these devices, or was not run. */
        SKIPPED
    }

    /**
     * How many properties have a status.
     *
     * @param status
     *            which
     * @return 0 or more
     */
    public long count(Status status) {
        return results.stream().filter(result -> result.status() == status).count();
    }

    /** What became of the properties, in words. */
    String summary() {
        StringBuilder text = new StringBuilder(counted(count(Status.HOLDS), "property holds", "properties hold"));
        if (count(Status.FAILED) > 0) {
            text.append(", ").append(counted(count(Status.FAILED), "does not", "do not"));
        }
        if (count(Status.SKIPPED) > 0) {
            text.append(", ").append(count(Status.SKIPPED)).append(" skipped");
        }
        return text.toString();
    }

    static String counted(long number, String one, String many) {
        return number + " " + (number == 1 ? one : many);
    }
}
