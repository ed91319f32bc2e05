package io.github.vfio4j.conformance;

import io.github.vfio4j.conformance.report.Evidence;
import java.nio.file.Path;
import java.util.OptionalLong;

/** What the properties of a run share: the seed, the evidence they give, where transcripts go. Safe for use by many threads. */
final class ConformanceRun {

    /** Where reports and transcripts go unless somebody says otherwise. */
    static final Path DIRECTORY = Path.of("target", "conformance");

    private static volatile ConformanceRun current = new ConformanceRun(OptionalLong.empty(), DIRECTORY);

    private final OptionalLong seed;
    private final Path directory;
    private final Evidence evidence = new Evidence();

    ConformanceRun(OptionalLong seed, Path directory) {
        this.seed = seed;
        this.directory = directory;
    }

    /** The run under way: that of the {@link ConformanceRunner}, or one that whoever runs the properties has not begun. */
    static ConformanceRun current() {
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

    /** What has been seen. */
    Evidence evidence() {
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
