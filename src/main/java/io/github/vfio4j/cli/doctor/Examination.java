package io.github.vfio4j.cli.doctor;

import org.jspecify.annotations.Nullable;

/**
 * What is examined.
 *
 * @param machine
 *            the machine
 * @param device
 *            a device of it; null if it is the machine as a whole
 */
record Examination(Machine machine, @Nullable Device device) {

    SystemFiles files() {
        return machine.files();
    }

    /** Whether it is about a device that needs neither an IOMMU nor vfio-pci. */
    boolean isMediated() {
        return device != null && !device.isPci();
    }
}
