package io.github.vfio4j.conformance;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;

/** The public API on a real kernel, compared call by call with the emulated one; run by {@link KernelLane}. */
@Tag("kernel-lane")
class KernelLaneApiTest extends VfioApiContract {

    private static volatile @Nullable RealMachine current;

    static void runOn(RealMachine machine) {
        current = machine;
    }

    /** The machine that was given. */
    static RealMachine current() {
        return Objects.requireNonNull(current, "this suite is started by KernelLane");
    }

    @Override
    Machine machine() {
        return current();
    }
}
