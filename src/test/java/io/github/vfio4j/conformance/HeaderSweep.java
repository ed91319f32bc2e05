package io.github.vfio4j.conformance;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.vfio4j.Errno;
import io.github.vfio4j.VfioDevice;
import io.github.vfio4j.feature.FeatureRequest;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Sends a device every combination of feature index, operations, unknown flag and a range of argsz, zero data behind it,
 * and checks what holds for all features (semantics §A.2). What a single feature answers is for the comparison of two
 * backends.
 */
final class HeaderSweep {

    private static final int[] INDICES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0x100, 0x7fff, 0xffff};
    private static final int[] ARGSZ = {0, 1, 7, 8, 9, 12, 16, 23, 24, 25, 32, 40, 64, -1};
    private static final int[] UNKNOWN_FLAGS = {0, 1 << 19, 1 << 31};
    private static final int OPERATIONS = 8;
    private static final int GET_AND_SET = 3;
    private static final int PROBE = 4;
    private static final int LOW_POWER_EXIT_SET = 5 | 1 << 17;

    private HeaderSweep() {
    }

    static void run(VfioDevice device) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment argument = arena.allocate(64);
            FeatureRequest request = FeatureRequest.raw(argument);
            for (int index : INDICES) {
                for (int operations = 0; operations < OPERATIONS; operations++) {
                    for (int unknown : UNKNOWN_FLAGS) {
                        for (int argsz : ARGSZ) {
                            check(device, request, argsz, index | operations << 16 | unknown);
                        }
                    }
                }
            }
            assertThat(device.executeRaw(FeatureRequest.raw(MemorySegment.NULL))).isEqualTo(-Errno.EFAULT.code());
            fill(argument, 8, LOW_POWER_EXIT_SET);
            device.executeRaw(request);
        }
    }

    private static void check(VfioDevice device, FeatureRequest request, int argsz, int flags) {
        MemorySegment argument = request.segment();
        fill(argument, argsz, flags);
        int result = device.executeRaw(request);
        int operations = flags >>> 16 & 7;
        boolean malformed = Integer.compareUnsigned(argsz, 8) < 0 || flags >>> 19 != 0 || operations == GET_AND_SET;
        if (malformed) {
            assertThat(result).as("argsz %d, flags %#x", argsz, flags).isEqualTo(-Errno.EINVAL.code());
        }
        if (malformed || (operations & PROBE) != 0) {
            MemorySegment expected = Arena.ofAuto().allocate(argument.byteSize());
            fill(expected, argsz, flags);
            assertThat(argument.mismatch(expected)).as("bytes changed, argsz %d, flags %#x", argsz, flags)
                    .isEqualTo(-1);
        }
    }

    private static void fill(MemorySegment argument, int argsz, int flags) {
        argument.fill((byte) 0);
        argument.set(ValueLayout.JAVA_INT, 0, argsz);
        argument.set(ValueLayout.JAVA_INT, 4, flags);
    }
}
