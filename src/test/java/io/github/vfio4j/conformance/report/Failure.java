package io.github.vfio4j.conformance.report;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A property that does not hold on a device. No VF token gets into its program or its transcript.
 *
 * @param property
 *            its name
 * @param target
 *            the device's name
 * @param kernel
 *            the kernel the device is on
 * @param feature
 *            index of the feature that was asked last; null if none was
 * @param operation
 *            what it was asked to do, as in {@link Evidence#answered}; null if it was not asked
 * @param seed
 *            which makes the run fail again
 * @param program
 *            the shrunk program in words, a line a call
 * @param transcript
 *            the same for {@code vfio4j replay}; null if nothing was recorded
 * @param message
 *            what was expected, and what was answered
 */
public record Failure(String property, String target, String kernel, @Nullable Integer feature,
        @Nullable String operation, String seed, List<String> program, @Nullable Path transcript, String message) {

    /** Copies the program. */
    public Failure {
        program = List.copyOf(program);
    }
}
