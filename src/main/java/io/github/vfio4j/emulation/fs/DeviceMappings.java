package io.github.vfio4j.emulation.fs;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Where a process has mapped memory of devices. */
public final class DeviceMappings {

    private final List<MemorySegment> mappings = new ArrayList<>();

    /** None at first. */
    public DeviceMappings() {
        // Nothing else to be done.
    }

    /** One more, until its arena is closed. */
    public synchronized void add(MemorySegment mapping) {
        // What has been unmapped may be other memory by now.
        mappings.removeIf(old -> !old.scope().isAlive());
        mappings.add(mapping);
    }

    /** Whether one of so many bytes, unsigned, from an address on is device memory. */
    public synchronized boolean overlap(long address, long size) {
        return mappings.stream().filter(mapping -> mapping.scope().isAlive())
                .anyMatch(mapping -> Long.compareUnsigned(mapping.address() - address, size) < 0
                        || Long.compareUnsigned(address - mapping.address(), mapping.byteSize()) < 0);
    }
}
