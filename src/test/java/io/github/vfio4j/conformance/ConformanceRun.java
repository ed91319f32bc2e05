package io.github.vfio4j.conformance;

import io.github.vfio4j.conformance.report.Evidence;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;

/**
 * What the properties of a run share: the devices they ask, the evidence they give, where transcripts go. Safe for use by
 * many threads.
 */
public final class ConformanceRun {

    /** Where reports and transcripts go unless somebody says otherwise. */
    static final Path DIRECTORY = Path.of("target", "conformance");

    private static volatile ConformanceRun current = new ConformanceRun(List.of(), OptionalLong.empty(), DIRECTORY);

    private final List<DeviceUnderTest> devices;
    private final OptionalLong seed;
    private final Path directory;
    private final Evidence evidence = new Evidence();

    ConformanceRun(List<DeviceUnderTest> devices, OptionalLong seed, Path directory) {
        this.devices = List.copyOf(devices);
        this.seed = seed;
        this.directory = directory;
    }

    /**
     * The run under way.
     *
     * @return that of the {@link ConformanceRunner}; without one, the properties' devices are their own
     */
    public static ConformanceRun current() {
        return current;
    }

    /** Runs something as part of this run. */
    void execute(Runnable task) {
        ConformanceRun before = current;
        current = this;
        try {
            task.run();
        } finally {
            current = before;
        }
    }

    /**
     * The devices the run was started for.
     *
     * @return none without a runner
     */
    public List<DeviceUnderTest> devices() {
        return devices;
    }

    /**
     * What has been seen.
     *
     * @return to be added to
     */
    public Evidence evidence() {
        return evidence;
    }

    /** Which all properties' seeds come from; empty where jqwik chooses them. */
    OptionalLong seed() {
        return seed;
    }

    /** Where transcripts go. */
    Path directory() {
        return directory;
    }
}
