package io.github.vfio4j.conformance.junit;

import io.github.vfio4j.emulation.EmulatedKernel;

/**
 * The machine of an {@link EmulatedVfio} test. Implementations have a constructor without parameters: a static nested
 * class of the test is what one usually wants. One is made for each test.
 */
@FunctionalInterface
public interface EmulatedDevices {

    /**
     * Describes the machine.
     *
     * @param kernel
     *            of the profile the test runs on, without devices
     */
    void addTo(EmulatedKernel.Builder kernel);

    /**
     * The machine of those who do not describe one: the SR-IOV physical function 0000:01:00.0 with up to two virtual
     * functions, and the plain function 0000:02:00.0, each on vfio-pci, in a group of its own and with memory in BAR 0.
     */
    final class Standard implements EmulatedDevices {

        /** Made by the extension. */
        public Standard() {
        }

        @Override
        public void addTo(EmulatedKernel.Builder kernel) {
            kernel.pciFunction("0000:01:00.0", function -> function.sriov(2).memoryBar(0, 16384))
                    .pciFunction("0000:02:00.0", function -> function.memoryBar(0, 1 << 20));
        }
    }
}
