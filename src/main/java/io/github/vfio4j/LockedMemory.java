package io.github.vfio4j;

import java.util.OptionalLong;

/** How much memory a process may lock, and thus have mapped for devices: RLIMIT_MEMLOCK (getrlimit(2)). */
final class LockedMemory {

    private static final String LIMITS = "/proc/self/limits";
    private static final String NAME = "Max locked memory";

    private LockedMemory() {
    }

    /** The soft limit in bytes; empty if there is none, or it can't be read (proc(5)). */
    static OptionalLong limit(Sysfs proc) {
        try {
            return proc.read(LIMITS).lines().filter(line -> line.startsWith(NAME))
                    .map(line -> line.substring(NAME.length()).strip().split("\\s+", 2)[0])
                    .filter(limit -> limit.matches("[0-9]{1,18}")).mapToLong(Long::parseLong).findFirst();
        } catch (VfioException e) {
            return OptionalLong.empty();
        }
    }
}
